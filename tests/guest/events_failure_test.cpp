// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// Memory that breaks and file systems that stop working, while a mirror holds their pages.

#include "events.hpp"
#include "scratch.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <format>
#include <fstream>
#include <optional>

namespace odp_test {

namespace {

bool is_dax(memory_kind kind) {
    return kind == memory_kind::ext4_dax || kind == memory_kind::xfs_dax;
}

/// Whether the CPU would get a byte from there, and not SIGBUS.
bool is_readable(const std::uint8_t *va) {
    std::uint8_t byte = 0;
    const iovec here{.iov_base = &byte, .iov_len = 1};
    const iovec there{.iov_base = const_cast<std::uint8_t *>(va), .iov_len = 1};
    return process_vm_readv(getpid(), &here, 1, &there, 1, 0) == 1;
}

/// Where a present page is in physical memory.
std::uint64_t physical_address(const void *va) {
    const file pagemap(
        checked(open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC), "opening pagemap"));
    std::uint64_t word = 0;
    pagemap.read({reinterpret_cast<std::uint8_t *>(&word), sizeof word},
                 reinterpret_cast<std::uintptr_t>(va) / page_size() * sizeof word);
    if ((word >> 63 & 1) == 0)
        throw std::runtime_error("a page that should be present is not");
    return (word & ((std::uint64_t{1} << 55) - 1)) * page_size();
}

/// As a machine check does: the driver of the persistent memory notes the bad block.
void note_bad_block(std::uint64_t physical) {
    std::uint64_t start = 0;
    std::ifstream("/sys/bus/nd/devices/region2/resource") >> std::hex >> start;
    std::ofstream list("/sys/block/pmem2/badblocks");
    list << (physical - start) / 512 << " " << page_size() / 512;
    list.close();
    if (!list || start == 0)
        throw std::runtime_error("noting a bad block failed");
}

/// The signal that tells a process about its bad memory; the default would end it.
class ignored_sigbus {
  public:
    ignored_sigbus() {
        struct sigaction action{};
        action.sa_handler = [](int) {};
        checked(sigaction(SIGBUS, &action, &before_), "handling SIGBUS");
    }
    ignored_sigbus(const ignored_sigbus &) = delete;
    ignored_sigbus &operator=(const ignored_sigbus &) = delete;
    ~ignored_sigbus() { sigaction(SIGBUS, &before_, nullptr); }

  private:
    struct sigaction before_{};
};

class BrokenMemory : public MemoryEvents {
  protected:
    BrokenMemory() {
        if (!is_dax(kind()))
            return;
        // A bad block stays bad: not on a file system that others use.
        allow_in_log("unable to guarantee persistence of writes");
        scratch.emplace(kind());
        file content = scratch->make_file();
        content.truncate(page(npages));
        map_file(std::move(content));
    }

    ~BrokenMemory() override {
        if (!scratch)
            return;
        area.map.unmap();
        area.backing = file();
        scratch.reset();
        make_spare_pmem_device_dax(); // anew, so that it has no bad blocks
    }

    std::optional<scratch_mount> scratch;
};

// What is broken is refused; what the disk has too comes from there. The rest goes on.
TEST_P(BrokenMemory, MemoryFailure) {
    constexpr std::size_t bad = 5;
    allow_in_log("Memory failure");
    const ignored_sigbus handler;
    write(0, npages, seed);
    if (has_file(kind()))
        checked(msync(area.map.data(), area.map.size(), MS_SYNC), "writing back");
    EXPECT_TRUE(reads(0, npages, seed));
    const std::uint64_t dropped = counter("pages_dropped");
    if (is_dax(kind()))
        note_bad_block(physical_address(va(bad)));
    checked(madvise(va(bad), page_size(), MADV_HWPOISON), "MADV_HWPOISON");
    EXPECT_GT(counter("pages_dropped"), dropped) << "the mirror still has the page";

    const bool on_disk =
        kind() == memory_kind::ext4 || kind() == memory_kind::xfs || kind() == memory_kind::btrfs;
    // Where mm cannot take a broken page from its file, because somebody looks at its folio just
    // then, the page stays what the CPU does not get either.
    if (on_disk && is_readable(va(bad))) {
        EXPECT_TRUE(reads(bad, 1, seed));
    } else {
        EXPECT_TRUE(refuses_read(bad));
        EXPECT_TRUE(refuses_write(bad));
    }
    EXPECT_TRUE(reads(0, bad, seed));
    EXPECT_TRUE(reads(bad + 1, npages - bad - 1, seed));
    write(bad + 1, 2, seed + 1);
    EXPECT_TRUE(shows(bad + 1, 2, seed + 1));
}

ODP_EVENTS(BrokenMemory, memory_kind::anonymous, memory_kind::tmpfs, memory_kind::ext4,
           memory_kind::xfs, memory_kind::btrfs, memory_kind::hugetlb, memory_kind::ext4_dax,
           memory_kind::xfs_dax);

/// A file system that can be told to stop, as it does by itself when its metadata is damaged.
class StoppedFilesystem : public MemoryEvents {
  protected:
    StoppedFilesystem() {
        for (const char *part :
             {"EXT4-fs", "Aborting journal", "XFS", "persistence of writes", "I/O error"})
            allow_in_log(part);
        scratch.emplace(kind());
        file content = scratch->make_file();
        std::vector<std::uint8_t> data(page(length));
        fill_pattern(data, seed);
        content.write(data, 0);
        checked(fsync(content.descriptor()), "fsync");
        checked(posix_fadvise(content.descriptor(), 0, 0, POSIX_FADV_DONTNEED), "fadvise");
        // Not read ahead: what nobody touched is to be cold.
        checked(posix_fadvise(content.descriptor(), 0, 0, POSIX_FADV_RANDOM), "fadvise");
        cold = mapping(page(npages), PROT_READ | PROT_WRITE, MAP_SHARED, content.descriptor(),
                       page(length - npages), lonely_va());
        map_file(std::move(content));
        area.map.advise(MADV_RANDOM);
        cold.advise(MADV_RANDOM);
    }

    void shut_down() const {
        const file root(checked(open(scratch->directory().c_str(), O_RDONLY | O_CLOEXEC),
                                "opening the mount point"));
        std::uint32_t without_log = 2;
        checked(ioctl(root.descriptor(), _IOR('X', 125, std::uint32_t), &without_log),
                "shutting a file system down");
    }

    /// How a fault of the CPU's ends.
    static access_result as_cpu(std::uint8_t *va, int advice) {
        if (madvise(va, page_size(), advice) == 0)
            return access_result::done;
        if (errno != EFAULT)
            fail_with_errno("having the CPU fault a page in");
        return access_result::refused;
    }

    static constexpr std::size_t length = 4 * npages;
    std::optional<scratch_mount> scratch;
    mapping cold;
};

TEST_P(StoppedFilesystem, HotPagesStayAndColdOnesFail) {
    write(0, 2, seed + 1);
    EXPECT_TRUE(reads(2, npages - 2, seed));
    const std::uint64_t dropped = counter("pages_dropped");
    shut_down();
    EXPECT_EQ(counter("pages_dropped"), dropped);

    EXPECT_TRUE(reads(0, 2, seed + 1));
    EXPECT_TRUE(reads(2, npages - 2, seed));
    // What was writable is, for the CPU too.
    write(0, 2, seed + 2);
    EXPECT_TRUE(shows(0, 2, seed + 2));

    // For all else the file system is asked, and says the same to the device as to the CPU, which
    // tries the page beside.
    const std::vector<std::uint8_t> data(100);
    EXPECT_EQ(access->write(va(npages - 1), data), as_cpu(va(npages - 2), MADV_POPULATE_WRITE));
    EXPECT_EQ(access->write(cold.data() + page(1), data),
              as_cpu(cold.data() + page(2), MADV_POPULATE_WRITE));
    std::vector<std::uint8_t> found(100);
    EXPECT_EQ(access->read(cold.data() + page(8), found),
              as_cpu(cold.data() + page(9), MADV_POPULATE_READ));
    // Ext4 goes on with blocks that it knows: it reads them, and writes them in the page cache.
    if (kind() != memory_kind::ext4) {
        EXPECT_TRUE(refuses_write(npages - 1));
    }
    if (kind() == memory_kind::xfs || kind() == memory_kind::xfs_dax) {
        EXPECT_EQ(access->read(cold.data() + page(3), found), access_result::refused);
    }
}

ODP_EVENTS(StoppedFilesystem, memory_kind::ext4, memory_kind::xfs, memory_kind::ext4_dax,
           memory_kind::xfs_dax);

} // namespace

} // namespace odp_test
