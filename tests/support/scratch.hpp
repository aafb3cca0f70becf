// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// File systems and devices that the guest does not have from its start: made when a test asks for
// them, gone with the program at the latest. On a scratch file system a test may do what nobody
// else could live with: shut it down, poison a page, copy its device as a loss of power leaves it.

#pragma once

#include "memory.hpp"

#include <string>

namespace odp_test {

/// An empty, mounted file system of its own; unmounted and forgotten at the end. On a disk it is
/// in a file; those on DAX take the third pmem region, so there is one at a time.
class scratch_mount {
  public:
    /// ext4, xfs, btrfs, ext4_dax or xfs_dax.
    explicit scratch_mount(memory_kind kind);
    scratch_mount(const scratch_mount &) = delete;
    scratch_mount &operator=(const scratch_mount &) = delete;
    ~scratch_mount();

    memory_kind kind() const { return kind_; }
    const std::string &directory() const { return directory_; }
    /// A new file without a name in it.
    file make_file() const;

  private:
    memory_kind kind_;
    std::string directory_;
};

/// A copy of what a file system's device has at this moment, mounted, its journal replayed: what a
/// loss of power would leave. Nothing that the kernel has in its memory is in it; what the CPU's
/// caches have is.
class crashed_copy {
  public:
    /// Of a scratch file system on DAX.
    explicit crashed_copy(const scratch_mount &original);
    crashed_copy(const crashed_copy &) = delete;
    crashed_copy &operator=(const crashed_copy &) = delete;
    ~crashed_copy();

    const std::string &directory() const { return directory_; }

  private:
    std::string directory_;
};

/// A block device over a file; forgotten at the end.
class loop_device {
  public:
    explicit loop_device(std::size_t length);
    loop_device(const loop_device &) = delete;
    loop_device &operator=(const loop_device &) = delete;
    ~loop_device();

    file open() const;

  private:
    std::string path_;
};

/// Makes the third pmem region a block device, /dev/pmem2.
void make_spare_pmem_a_disk();
/// Makes it a device that is mapped directly: /dev/dax2.0, in pages of 2 MiB.
void make_spare_pmem_device_dax();

} // namespace odp_test
