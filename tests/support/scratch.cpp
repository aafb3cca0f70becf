// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// Scratch file systems are made with mkfs and mounted by mount, which sets up the loop device and
// has it go with the mount. The third pmem region belongs to nobody (lab/odplab/config.py); ndctl
// makes it one device or the other.

#include "scratch.hpp"

#include "command.hpp"
#include "resources.hpp"

#include <fcntl.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <format>
#include <stdexcept>

namespace odp_test {

namespace {

constexpr const char *disk = "/dev/pmem2";
constexpr const char *device = "/dev/dax2.0";

/// Of a file system on DAX, in MiB: small, because it is copied as a whole. As in maker_of().
constexpr int dax_length = 64;

/// Where images are; there is room.
constexpr const char *image_directory = "/mnt/file";

std::string make_directory() {
    std::string path = "/tmp/scratch-XXXXXX";
    if (mkdtemp(path.data()) == nullptr)
        fail_with_errno("making a mount point");
    return path;
}

void drop_mount(const std::string &directory) {
    // Something may still have a file of it open, and would keep it mounted for ever.
    if (umount2(directory.c_str(), 0) != 0)
        umount2(directory.c_str(), MNT_DETACH);
    rmdir(directory.c_str());
}

struct maker {
    const char *mkfs;
    const char *size;    ///< what it takes behind the device
    const char *options; ///< of mount
    bool dax;
};

maker maker_of(memory_kind kind) {
    switch (kind) {
    case memory_kind::ext4:
        return {"mkfs.ext4 -q -F", "", "loop", false};
    case memory_kind::xfs:
        return {"mkfs.xfs -q -f", "", "loop", false};
    case memory_kind::btrfs:
        return {"mkfs.btrfs -q -f", "", "loop", false};
    case memory_kind::ext4_dax:
        return {"mkfs.ext4 -q -F -b 4096 -E nodiscard", "64m", "dax=always", true};
    case memory_kind::xfs_dax:
        return {"mkfs.xfs -q -f -K -m reflink=1 --unsupported -d size=64m", "", "dax=always", true};
    default:
        throw std::logic_error(kind_name(kind) + " is no file system to make");
    }
}

} // namespace

scratch_mount::scratch_mount(memory_kind kind) : kind_(kind), directory_(make_directory()) {
    const auto wanted = maker_of(kind);
    if (wanted.dax) {
        make_spare_pmem_a_disk();
        run_command(std::format("{} {} {}", wanted.mkfs, disk, wanted.size));
        run_command(std::format("mount -o {} {} {}", wanted.options, disk, directory_));
        return;
    }
    const auto image = std::format("{}/scratch-{}", image_directory, getpid());
    run_command(std::format("truncate -s 320M {}", image));
    run_command(std::format("{} {}", wanted.mkfs, image));
    run_command(
        std::format("modprobe loop && mount -o {} {} {}", wanted.options, image, directory_));
    unlink(image.c_str()); // the loop device has it
}

scratch_mount::~scratch_mount() {
    drop_mount(directory_);
}

file scratch_mount::make_file() const {
    return file(checked(open(directory_.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600),
                        "creating a file in " + directory_));
}

crashed_copy::crashed_copy(const scratch_mount &original) : directory_(make_directory()) {
    if (!maker_of(original.kind()).dax)
        throw std::logic_error(original.directory() + " is not on persistent memory");
    const auto image = std::format("{}/crashed-{}", image_directory, getpid());
    run_command(
        std::format("modprobe loop && dd if={} of={} bs=1M count={} conv=sparse status=none", disk,
                    image, dax_length));
    // xfs mounts one file system of an identity only, and the original still is.
    const char *const options = original.kind() == memory_kind::xfs_dax ? "loop,nouuid" : "loop";
    run_command(std::format("mount -o {} {} {}", options, image, directory_));
    unlink(image.c_str());
}

crashed_copy::~crashed_copy() {
    drop_mount(directory_);
}

loop_device::loop_device(std::size_t length) {
    const auto image = std::format("{}/loop-{}", image_directory, getpid());
    run_command(std::format("modprobe loop && truncate -s {} {}", length, image));
    path_ = output_of("losetup --find --show " + image);
    unlink(image.c_str()); // the loop device has it
    if (!path_.ends_with('\n'))
        throw std::runtime_error("losetup made no device");
    path_.pop_back();
}

loop_device::~loop_device() {
    std::system(std::format("losetup --detach {}", path_).c_str());
}

file loop_device::open() const {
    return file(checked(::open(path_.c_str(), O_RDWR | O_CLOEXEC), "opening " + path_));
}

void make_spare_pmem_a_disk() {
    if (!std::filesystem::exists(disk))
        run_command("ndctl create-namespace -f -e namespace2.0 -m raw");
}

void make_spare_pmem_device_dax() {
    if (!std::filesystem::exists(device))
        run_command("modprobe -a device_dax dax_pmem && "
                    "ndctl create-namespace -f -e namespace2.0 -m devdax -M mem");
}

} // namespace odp_test
