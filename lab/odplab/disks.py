# SPDX-License-Identifier: GPL-2.0 OR MIT
"""The guest's memory and disks, formatted before it starts.

mkfs takes 30 ms here and half a second in a guest under TCG, so all four file systems are made on this side:
two on sparse files that become virtio disks, two inside the guest's memory where its pmem regions will be.
All of it is without a name (memfd, or unlinked once open), so each run has its own and none outlives it,
however it ends.
"""

from __future__ import annotations

import os
import subprocess
import tempfile

from .config import MIB, Options
from .errors import Failure
from .workshop import Workshop

DISK_LENGTH = 4096 * MIB

# assume_storage_prezeroed: else the guest's kernel would clear inode tables in the background of every test.
EXT4 = ["mkfs.ext4", "-q", "-F", "-E", "nodiscard,lazy_itable_init=0,lazy_journal_init=0,assume_storage_prezeroed=1"]
XFS = ["mkfs.xfs", "-q", "-f", "-K", "-m", "reflink=1"]


def _format(workshop: Workshop, mkfs: list[str], length: int) -> int:
    """A new file system in a sparse file of this length: a descriptor that belongs to the caller."""
    fd, name = tempfile.mkstemp(prefix="disk-", dir=workshop.paths.cache)
    os.unlink(name)
    os.ftruncate(fd, length)
    process = workshop.start(
        [*mkfs, f"/proc/self/fd/{fd}"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        pass_fds=[fd],
    )
    output, _ = process.communicate()
    if process.returncode != 0:
        raise Failure(f"{mkfs[0]} could not format a disk image: {output.decode(errors='replace').strip()}")
    return fd


def _copy_data(source: int, target: int, offset: int, length: int) -> None:
    """Copy what is not a hole in source to the same place after offset in target."""
    position = 0
    while position < length:
        try:
            start = os.lseek(source, position, os.SEEK_DATA)
        except OSError:  # ENXIO: only a hole is left
            return
        end = os.lseek(source, start, os.SEEK_HOLE)
        os.lseek(target, offset + start, os.SEEK_SET)
        while start < end:
            start += os.sendfile(target, source, start, end - start)
        position = end


def make_disks(workshop: Workshop) -> list[int]:
    """Descriptors of the disks in the guest's order: /dev/vda is ext4, /dev/vdb is xfs."""
    return [_format(workshop, mkfs, DISK_LENGTH) for mkfs in (EXT4, XFS)]


def make_memory(workshop: Workshop, options: Options) -> int:
    """Descriptor of the guest's memory on its first NUMA node, with ext4 in the first pmem region and xfs in the second."""
    memory = os.memfd_create("odplab-memory")
    os.ftruncate(memory, options.near_memory)
    for number, mkfs in enumerate((EXT4, XFS)):
        image = _format(workshop, mkfs, options.pmem)
        _copy_data(image, memory, options.memory_below_4g + number * options.pmem, options.pmem)
        os.close(image)
    return memory
