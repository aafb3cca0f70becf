// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// What a guest is: the devices, file systems, sizes and programs that docs/lab.md promises. The
// scripts print "name value" lines and the tests compare them, so one boot shows many things.

#include "process.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <map>
#include <sstream>
#include <string>

namespace {

using namespace lab_test;

std::map<std::string, std::string> facts(const outcome &end) {
    std::map<std::string, std::string> found;
    std::istringstream lines(end.out);
    for (std::string line; std::getline(lines, line);)
        found[line.substr(0, line.find(' '))] = line.substr(line.find(' ') + 1);
    return found;
}

std::map<std::string, std::string> facts_of(const std::vector<std::string> &options,
                                            const std::string &script) {
    std::vector<std::string> with_limit = options;
    with_limit.insert(with_limit.end(), {"--timeout", "60"});
    const outcome end = run_lab({.arguments = guest_script(with_limit, script)});
    EXPECT_EQ(end.status, 0) << end.out << end.error;
    return facts(end);
}

// GID 1 is the IPv4 address, GID 2 the IPv6 address. A modify to RTR fails with ETIMEDOUT while an
// address is tentative, so this connects at once.
TEST(Guest, NetworkIsReadyWhenTheCommandStarts) {
    auto found = facts_of({}, R"sh(
        pingpong() {
            ibv_rc_pingpong -d rxe0 -g $1 -n 10 >/dev/null & server=$!
            until ss -ltn | grep -q :18515; do :; done
            ibv_rc_pingpong -d rxe0 -g $1 -n 10 10.7.0.1 >/dev/null
            echo "gid$1 $?"
            wait $server
        }
        pingpong 1
        pingpong 2
        echo "tentative $(ip -o address show tentative | wc -l)"
        echo "mtu $(cat /sys/class/net/veth0/mtu)"
        echo "carrier $(cat /sys/class/net/veth0/carrier)"
        echo "driver $(cat /sys/module/odp_mirror/initstate)"
    )sh");
    EXPECT_EQ(found["gid1"], "0");
    EXPECT_EQ(found["gid2"], "0");
    EXPECT_EQ(found["tentative"], "0");
    EXPECT_EQ(found["mtu"], "1500");
    EXPECT_EQ(found["carrier"], "1");
    EXPECT_EQ(found["driver"], "live");
}

// STATX_ATTR_DAX of a file says more than a mount option. /src and /build are shown to be read-only
// by trying, the file systems by what they are and that they can share blocks.
TEST(Guest, FileSystemsAreWhatTheManualSays) {
    auto found = facts_of({}, R"sh(
        for d in dax xfsdax file xfs; do
            f=/mnt/$d/probe; echo data >$f
            echo "$d.type $(stat -f -c %T $f)"
            echo "$d.dax $(( $(xfs_io -r -c 'statx -r' $f | sed -n 's/^stat.attributes = //p') & 0x200000 ))"
            cp --reflink=always $f $f.clone 2>/dev/null; echo "$d.reflink $?"
        done
        for d in src build; do touch /$d/probe 2>/dev/null; echo "$d.write $?"; done
        touch /usr/probe; echo "root.write $?"
        echo "disk $(( $(blockdev --getsize64 /dev/vda) >> 30 ))"
    )sh");
    EXPECT_EQ(found["dax.type"], "ext2/ext3");
    EXPECT_EQ(found["xfsdax.type"], "xfs");
    EXPECT_EQ(found["file.type"], "ext2/ext3");
    EXPECT_EQ(found["xfs.type"], "xfs");
    EXPECT_EQ(found["dax.dax"], std::to_string(0x200000));
    EXPECT_EQ(found["xfsdax.dax"], std::to_string(0x200000));
    EXPECT_EQ(found["file.dax"], "0");
    EXPECT_EQ(found["xfs.dax"], "0");
    EXPECT_EQ(found["xfs.reflink"], "0");
    EXPECT_EQ(found["xfsdax.reflink"], "0");
    EXPECT_EQ(found["src.write"], "1");
    EXPECT_EQ(found["build.write"], "1");
    EXPECT_EQ(found["root.write"], "0");
    EXPECT_GE(std::stoi(found["disk"]), 2);
}

TEST(Guest, HasTheSizesThatWereAskedFor) {
    const std::vector<std::string> options = {"--smp", "1",     "--mem", "3G",    "--pmem",
                                              "640M",  "--mtu", "4200",  "--rxe", "upstream"};
    auto found = facts_of(options, R"sh(
        echo "smp $(nproc)"
        echo "mem $(( $(sed -n 's/^MemTotal: *\([0-9]*\) kB/\1/p' /proc/meminfo) >> 10 ))"
        echo "pmem0 $(( $(blockdev --getsize64 /dev/pmem0) >> 20 ))"
        echo "pmem1 $(( $(blockdev --getsize64 /dev/pmem1) >> 20 ))"
        echo "mtu $(cat /sys/class/net/veth0/mtu)"
        echo "active $(ibv_devinfo -d rxe0 | sed -n 's/.*active_mtu:[[:space:]]*\([0-9]*\) .*/\1/p')"
        [ -e /sys/module/odp_mirror ]; echo "mirror $?"
        [ -e /sys/module/rdma_rxe ]; echo "rxe $?"
    )sh");
    EXPECT_EQ(found["smp"], "1");
    // The kernel keeps some for itself.
    EXPECT_GE(std::stoi(found["mem"]), 3072 - 200);
    EXPECT_LE(std::stoi(found["mem"]), 3072);
    EXPECT_EQ(found["pmem0"], "640");
    EXPECT_EQ(found["pmem1"], "640");
    EXPECT_EQ(found["mtu"], "4200");
    EXPECT_EQ(found["active"], "4096");
    EXPECT_EQ(found["mirror"], "1");
    EXPECT_EQ(found["rxe"], "0");
}

TEST(Guest, HasTheProgramsOfTheManual) {
    const outcome end = run_lab({.arguments = guest_script({}, R"sh(
        for p in gcc g++ cmake ninja pkg-config ibv_rc_pingpong ibv_devinfo rping ib_write_bw rdma \
                 ndctl daxctl mkfs.ext4 mkfs.xfs mkfs.btrfs fio bpftrace gdb strace python3; do
            command -v $p >/dev/null || echo "missing $p"
        done
        pkg-config --exists libibverbs librdmacm gtest || echo "missing libraries"
        python3 -c 'import pyverbs.device' || echo "missing pyverbs"
        [ -e /usr/share/doc/rdma-core/tests/base.py ] || echo "missing rdma-core's tests"
    )sh")});
    EXPECT_EQ(end.status, 0) << end.error;
    EXPECT_EQ(end.out, "");
}

TEST(Guest, InstructionClockRunsOnOneProcessor) {
    auto found = facts_of({"--icount"}, R"sh(
        echo "smp $(nproc)"
        echo "rxe $(cat /sys/class/infiniband/rxe0/ports/1/state)"
    )sh");
    EXPECT_EQ(found["smp"], "1");
    EXPECT_EQ(found["rxe"], "4: ACTIVE");
}

// Each has its own disks and memory: what one writes the other does not see.
TEST(Guest, TwoAtATimeDoNotMeet) {
    const std::string script = "echo $1 >/mnt/file/mine; echo $1 >/mnt/dax/mine; sync; sleep 3; "
                               "cat /mnt/file/mine /mnt/dax/mine";
    std::vector<std::string> first = guest_script({}, script);
    first.insert(first.end(), {"sh", "first"});
    running_lab other({.arguments = first});
    std::vector<std::string> second = guest_script({}, script);
    second.insert(second.end(), {"sh", "second"});
    const outcome end = run_lab({.arguments = second});
    EXPECT_EQ(end.status, 0) << end.error;
    EXPECT_EQ(end.out, "second\nsecond\n");
    EXPECT_EQ(other.wait(std::chrono::minutes(2)), 0);
}

} // namespace
