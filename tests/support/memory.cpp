// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// Files are made with O_TMPFILE, so that nothing is left when a test dies, in the directories that
// the lab mounts; the file system and the DAX state of each are checked against what the kind says.
// Btrfs is mounted, huge pages are allowed and the spare pmem is mapped by whoever is first to ask.

#include "memory.hpp"

#include "scratch.hpp"

#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <format>
#include <fstream>
#include <ostream>
#include <stdexcept>
#include <vector>

namespace odp_test {

namespace {

struct kind_description {
    const char *name;
    const char *directory; ///< nullptr: no directory needed
    long file_system;      ///< statfs's f_type; 0: not checked
    bool dax;
};

kind_description describe(memory_kind kind) {
    switch (kind) {
    case memory_kind::anonymous:
        return {"Anonymous", nullptr, 0, false};
    case memory_kind::tmpfs:
        return {"Tmpfs", "/dev/shm", TMPFS_MAGIC, false};
    case memory_kind::memfd:
        return {"Memfd", nullptr, 0, false};
    case memory_kind::ext4:
        return {"Ext4", "/mnt/file", EXT4_SUPER_MAGIC, false};
    case memory_kind::xfs:
        return {"Xfs", "/mnt/xfs", XFS_SUPER_MAGIC, false};
    case memory_kind::ext4_dax:
        return {"Ext4Dax", "/mnt/dax", EXT4_SUPER_MAGIC, true};
    case memory_kind::xfs_dax:
        return {"XfsDax", "/mnt/xfsdax", XFS_SUPER_MAGIC, true};
    case memory_kind::btrfs:
        return {"Btrfs", nullptr, BTRFS_SUPER_MAGIC, false};
    case memory_kind::hugetlb:
        return {"Hugetlb", nullptr, HUGETLBFS_MAGIC, false};
    case memory_kind::device_dax:
        return {"DeviceDax", nullptr, 0, true};
    }
    throw std::logic_error("unknown memory kind");
}

void verify(const kind_description &wanted, int descriptor) {
    struct statfs file_system{};
    checked(fstatfs(descriptor, &file_system), std::format("statfs of a {} file", wanted.name));
    if (file_system.f_type != wanted.file_system)
        throw std::runtime_error(
            std::format("a {} file is on a file system of type {:#x}, not {:#x}; is it mounted?",
                        wanted.name, file_system.f_type, wanted.file_system));
    struct statx attributes{};
    checked(statx(descriptor, "", AT_EMPTY_PATH, 0, &attributes),
            std::format("statx of a {} file", wanted.name));
    const bool dax = (attributes.stx_attributes & STATX_ATTR_DAX) != 0;
    if (dax != wanted.dax)
        throw std::runtime_error(std::format("a {} file {} DAX; check the mount options",
                                             wanted.name, dax ? "uses" : "does not use"));
}

file make_huge_file() {
    // Pages beyond those set aside come from where all memory comes from, and go back there.
    std::ofstream limit("/proc/sys/vm/nr_overcommit_hugepages");
    limit << 256;
    limit.close();
    if (!limit)
        throw std::runtime_error("huge pages cannot be allowed");
    return file(checked(memfd_create("odp-test", MFD_CLOEXEC | MFD_HUGETLB),
                        "creating a memfd of huge pages"));
}

file open_device_dax() {
    make_spare_pmem_device_dax();
    return file(checked(open("/dev/dax2.0", O_RDWR | O_CLOEXEC), "opening device-dax"));
}

} // namespace

std::string kind_name(memory_kind kind) {
    return describe(kind).name;
}

void PrintTo(memory_kind kind, std::ostream *out) {
    *out << kind_name(kind);
}

bool has_file(memory_kind kind) {
    return kind != memory_kind::anonymous;
}

std::size_t page_size() {
    static const auto size = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    return size;
}

std::size_t unit_size(memory_kind kind) {
    const bool huge = kind == memory_kind::hugetlb || kind == memory_kind::device_dax;
    return huge ? std::size_t{2} << 20 : page_size();
}

std::string directory_of(memory_kind kind) {
    if (kind == memory_kind::btrfs) {
        static const scratch_mount mount(kind); // until the program ends
        return mount.directory();
    }
    const auto wanted = describe(kind);
    if (wanted.directory == nullptr)
        throw std::logic_error(std::format("{} memory has no directory", wanted.name));
    return wanted.directory;
}

void *lonely_va() {
    static std::uintptr_t next = std::uintptr_t{16} << 40;
    next += std::uintptr_t{1} << 30;
    return reinterpret_cast<void *>(next);
}

file::~file() {
    if (descriptor_ != -1)
        close(descriptor_);
}

void file::truncate(std::size_t length) const {
    checked(ftruncate(descriptor_, static_cast<off_t>(length)), "truncating a file");
}

void file::punch_hole(std::size_t start, std::size_t length) const {
    checked(fallocate(descriptor_, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                      static_cast<off_t>(start), static_cast<off_t>(length)),
            "punching a hole into a file");
}

void file::read(std::span<std::uint8_t> bytes, std::size_t start) const {
    while (!bytes.empty()) {
        const auto count =
            checked(pread(descriptor_, bytes.data(), bytes.size(), static_cast<off_t>(start)),
                    "reading a file");
        if (count == 0)
            throw std::runtime_error("reading a file: it is shorter than expected");
        bytes = bytes.subspan(static_cast<std::size_t>(count));
        start += static_cast<std::size_t>(count);
    }
}

void file::write(std::span<const std::uint8_t> bytes, std::size_t start) const {
    while (!bytes.empty()) {
        const auto count = static_cast<std::size_t>(
            checked(pwrite(descriptor_, bytes.data(), bytes.size(), static_cast<off_t>(start)),
                    "writing a file"));
        bytes = bytes.subspan(count);
        start += count;
    }
}

bool file::is_in_page_cache() const {
    struct stat status{};
    checked(fstat(descriptor_, &status), "asking for a file's length");
    const mapping view(static_cast<std::size_t>(status.st_size), PROT_READ, MAP_SHARED,
                       descriptor_);
    std::vector<unsigned char> present((view.size() + page_size() - 1) / page_size());
    checked(mincore(view.data(), view.size(), present.data()), "asking for a file's pages");
    return std::ranges::any_of(present, [](unsigned char page) { return (page & 1) != 0; });
}

void file::leave_page_cache() const {
    // A page that somebody looks at in this moment is passed over.
    for (int tries = 0; tries < 100; ++tries) {
        checked(fsync(descriptor_), "writing a file back");
        const int error = posix_fadvise(descriptor_, 0, 0, POSIX_FADV_DONTNEED);
        if (error != 0)
            fail_with(error, "taking a file out of the page cache");
        if (!is_in_page_cache())
            return;
    }
    throw std::runtime_error("a file does not leave the page cache");
}

file make_file(memory_kind kind) {
    const auto wanted = describe(kind);
    if (kind == memory_kind::memfd)
        return file(checked(memfd_create("odp-test", MFD_CLOEXEC), "creating a memfd"));
    if (kind == memory_kind::device_dax)
        return open_device_dax();
    file result =
        kind == memory_kind::hugetlb
            ? make_huge_file()
            : file(checked(open(directory_of(kind).c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600),
                           std::format("creating a {} file", wanted.name)));
    verify(wanted, result.descriptor());
    return result;
}

mapping::mapping(std::size_t length, int protection, int flags, int descriptor, std::size_t offset,
                 void *at) {
    void *const address =
        mmap(at, length, protection, flags, descriptor, static_cast<off_t>(offset));
    if (address == MAP_FAILED)
        fail_with_errno(std::format("mapping {} bytes", length));
    bytes_ = {static_cast<std::uint8_t *>(address), length};
}

void mapping::unmap() {
    if (!bytes_.empty())
        munmap(bytes_.data(), bytes_.size());
    bytes_ = {};
}

void mapping::protect(int protection) const {
    checked(mprotect(bytes_.data(), bytes_.size(), protection), "changing a mapping's protection");
}

void mapping::advise(int advice) const {
    checked(madvise(bytes_.data(), bytes_.size(), advice),
            std::format("madvise({}) on a mapping", advice));
}

void mapping::advise_lists(int advice) const {
    // A page that was faulted in on another CPU, because this thread has moved since or because the
    // driver's thread did it, may still wait in that CPU's batch for the LRU lists, where reclaim
    // and MADV_FREE pass it over in silence. The call empties only the batches of the CPU that it
    // runs on (lru_add_drain() in mm/madvise.c).
    cpu_set_t allowed;
    checked(sched_getaffinity(0, sizeof allowed, &allowed), "asking for this thread's CPUs");
    for (unsigned cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
        if (!CPU_ISSET(cpu, &allowed))
            continue;
        cpu_set_t one;
        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        checked(sched_setaffinity(0, sizeof one, &one), "moving to another CPU");
        advise(advice);
    }
    checked(sched_setaffinity(0, sizeof allowed, &allowed), "restoring this thread's CPUs");
    advise(advice); // with every batch empty
}

void mapping::free_lazily() const {
    advise_lists(MADV_FREE);
}

void mapping::page_out() const {
    advise_lists(MADV_PAGEOUT);
}

void mapping::replace_by(const file &other) const {
    if (mmap(bytes_.data(), bytes_.size(), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
             other.descriptor(), 0) == MAP_FAILED)
        fail_with_errno("mapping a file over another mapping");
}

void mapping::move() {
    // A reservation elsewhere first, so that the new place is certainly another one.
    mapping place(bytes_.size(), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0, lonely_va());
    void *const moved = mremap(bytes_.data(), bytes_.size(), bytes_.size(),
                               MREMAP_MAYMOVE | MREMAP_FIXED, place.data());
    if (moved == MAP_FAILED)
        fail_with_errno("moving a mapping");
    bytes_ = std::exchange(place.bytes_, {});
}

memory::memory(memory_kind wanted, std::size_t length) : kind(wanted) {
    if (!has_file(kind)) {
        map = mapping(length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
        return;
    }
    backing = make_file(kind);
    if (kind != memory_kind::device_dax)
        backing.truncate(length);
    map = mapping(length, PROT_READ | PROT_WRITE, MAP_SHARED, backing.descriptor());
    if (kind == memory_kind::device_dax)
        std::ranges::fill(map.bytes(), std::uint8_t{0});
}

} // namespace odp_test
