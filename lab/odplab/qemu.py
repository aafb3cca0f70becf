# SPDX-License-Identifier: GPL-2.0 OR MIT
"""QEMU's command line: a list built in one place from Options, with nothing in it that depends on order.

Memory: RAM up to 2 GiB lies below the 4 GiB line (q35 leaves a hole from there on), then the two pmem
regions from 4 GiB, then the rest of RAM; that is one NUMA node. A second one without processors follows, with a
third region and a little RAM. The kernel takes the regions out of RAM by memmap=SIZE!START. RAM is shared because
virtiofsd reads and writes it, and the first node's a descriptor of ours because its regions come formatted.

The kernel is booted as an ELF file by its PVH entry: that leaves out the firmware and the decompressor,
which take more than a second under TCG.

Descriptors (serial console, monitor, ports, disks) are inherited, so no path has to exist or be removed.
"""

from __future__ import annotations

from .config import FAR_MEMORY, FAR_PMEM, MIB, Options

# Order of the guest's virtio-serial ports; lab/guest/agent.cpp opens them by these names.
PORTS = ("control", "stdin", "stdout", "stderr")

PROBE_COMMAND_LINE = "odplab.probe"


def kernel_command_line(options: Options) -> str:
    pmem = options.pmem // MIB
    words = [
        # The console shows warnings while booting; init turns everything on. Each line costs an exit per
        # character, and the whole boot log costs a second under TCG.
        "console=ttyS0",
        f"loglevel={8 if options.verbose else 5}",
        "rootfstype=virtiofs root=root ro init=/src/lab/guest/init",
        f"memmap={pmem}M!4096M memmap={pmem}M!{4096 + pmem}M",
        f"memmap={FAR_PMEM // MIB}M!{options.far_start // MIB}M",
        # Tests turn it on when they mean it; else it takes pages away from mirrors at any time.
        "numa_balancing=disable",
        # Tests and the agent write to the kernel log; none of it may be lost to a rate limit.
        "printk.devkmsg=on",
        # A broken kernel must end the run, and end QEMU (-no-reboot), instead of limping on.
        "panic=-1 oops=panic",
        # An NMI that nobody expects comes from the lab, after a time-out: panic with every CPU's stack.
        "unknown_nmi_panic panic_sys_info=all_bt",
        # All processors' TSC is the host's, so it needs no watching; the clocksource watchdog's wait for another
        # processor, while that one waits for text patching, stops boots for ever when the host is loaded.
        "tsc=reliable no_timer_check",
        # What virtiofsd stores in the guest's memory, QEMU does not see: it goes on running what it has translated
        # from the page before. It sees the kernel clear the page first. Distributions do that anyway.
        "init_on_alloc=1",
        # It looks at any page of memory, also at those of a pmem device that is being set up: on the debug kernel a
        # BUG, if the boot is slow enough.
        "damon_stat.enabled=N",
        # Not what is tested here, and dear under TCG.
        "mitigations=off apparmor=0 audit=0",
        f"odplab.rxe={options.rxe} odplab.mtu={options.mtu}",
    ]
    if options.probe:
        words.append(PROBE_COMMAND_LINE)
    if options.share:
        words.append("odplab.share")
    return " ".join(words)


def accelerator_arguments(options: Options) -> list[str]:
    if options.icount:
        return ["-accel", "tcg", "-icount", "shift=0,sleep=off", "-smp", "1", "-cpu", "max,la57=off"]
    if options.accelerator == "kvm":
        return ["-accel", "kvm", "-smp", str(options.smp), "-cpu", "host"]
    # Five-level page tables are rare outside big servers and make every TLB miss dearer.
    return ["-accel", "tcg,thread=multi", "-smp", str(options.smp), "-cpu", "max,la57=off"]


def memory_arguments(options: Options, memory: int) -> list[str]:
    return [
        "-machine", f"q35,max-ram-below-4g={options.memory_below_4g}",
        "-m", f"{(options.near_memory + FAR_PMEM + FAR_MEMORY) // MIB}M",
        "-object", f"memory-backend-file,id=near,mem-path=/proc/self/fd/{memory},size={options.near_memory},share=on",
        "-object", f"memory-backend-memfd,id=far,size={FAR_PMEM + FAR_MEMORY},share=on",
        "-numa", f"node,nodeid=0,memdev=near,cpus=0-{0 if options.icount else options.smp - 1}",
        "-numa", "node,nodeid=1,memdev=far",
    ]  # fmt: skip


def command(
    options: Options, kernel: str, shares: dict[str, str], sockets: dict[str, int], memory: int, disks: list[int]
) -> list[str]:
    """shares: virtiofs tag -> socket path. sockets: "console", "monitor" and one for each of PORTS -> descriptor.
    memory, disks: descriptors of raw images."""
    line = ["qemu-system-x86_64", "-name", "odplab", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"]
    line += memory_arguments(options, memory)
    line += accelerator_arguments(options)
    line += ["-kernel", f"/usr/lib/modules/{kernel}/vmlinux", "-append", kernel_command_line(options)]
    line += ["-chardev", f"socket,id=console,fd={sockets['console']}", "-serial", "chardev:console"]
    line += ["-chardev", f"socket,id=monitor,fd={sockets['monitor']}", "-mon", "chardev=monitor,mode=control"]
    line += ["-device", "virtio-serial-pci,id=ports"]
    for port in PORTS:
        line += ["-chardev", f"socket,id={port},fd={sockets[port]}"]
        line += ["-device", f"virtserialport,bus=ports.0,chardev={port},name={port}"]
    for tag, socket in shares.items():
        line += ["-chardev", f"socket,id=fs-{tag},path={socket}"]
        line += ["-device", f"vhost-user-fs-pci,chardev=fs-{tag},tag={tag},queue-size=1024"]
    for number, disk in enumerate(disks, start=1):
        line += ["-add-fd", f"fd={disk},set={number}"]
        line += ["-blockdev", f"driver=raw,node-name=disk{number},file.driver=file,file.locking=off,"
                 f"file.filename=/dev/fdset/{number},discard=unmap"]  # fmt: skip
        line += ["-device", f"virtio-blk-pci,drive=disk{number}"]
    line += ["-device", "virtio-rng-pci"]
    return line
