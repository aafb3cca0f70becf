// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// What mm and file systems do to a page that a mirror holds, event by event, through both users of
// the mirror core and on each kind of memory where the event can happen: each test's name is the
// event, its suite says where. After each event an access sees what the CPU sees, and memory that
// is no longer the mapping's is never touched.

#include "child.hpp"
#include "events.hpp"
#include "resources.hpp"
#include "swap.hpp"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <format>
#include <fstream>
#include <optional>
#include <thread>

namespace odp_test {

namespace {

/// Any memory.
class AnyMemory : public MemoryEvents {};

TEST_P(AnyMemory, Munmap) {
    write(0, npages, seed);
    EXPECT_EQ(counter("chunks"), 1U);
    std::uint8_t *const place = area.map.data();
    area.map.unmap();
    EXPECT_TRUE(becomes_true([] { return counter("chunks") == 0; }));
    EXPECT_EQ(counter("table_bytes"), 0U);
    // Something else there.
    area.map =
        mapping(page(npages), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0, place);
    ASSERT_EQ(area.map.data(), place);
    EXPECT_TRUE(reads_zeros(0, npages));
    write(3, 1, seed + 1);
    EXPECT_TRUE(shows(3, 1, seed + 1));
    if (has_file(kind())) {
        EXPECT_TRUE(stored(area.backing, 0, npages, seed)) << "the file that was mapped before";
    }
}

TEST_P(AnyMemory, Mremap) {
    write(0, npages, seed);
    std::uint8_t *const old = area.map.data();
    area.map.move();
    std::vector<std::uint8_t> data(100);
    EXPECT_EQ(access->read(old, data), access_result::refused);
    EXPECT_EQ(access->write(old, data), access_result::refused);
    EXPECT_TRUE(reads(0, npages, seed));
    write(1, 2, seed + 1);
    EXPECT_TRUE(shows(1, 2, seed + 1));
}

TEST_P(AnyMemory, Mprotect) {
    write(0, npages, seed);
    area.map.protect(PROT_NONE);
    EXPECT_TRUE(refuses_read(0));
    EXPECT_TRUE(refuses_write(npages - 1));
    area.map.protect(PROT_READ);
    EXPECT_TRUE(reads(0, npages, seed));
    EXPECT_TRUE(refuses_write(1));
    area.map.protect(PROT_READ | PROT_WRITE);
    write(0, npages, seed + 1);
    EXPECT_TRUE(shows(0, npages, seed + 1));
}

TEST_P(AnyMemory, MadvDontneed) {
    write(0, npages, seed);
    checked(madvise(va(2), page(3), MADV_DONTNEED), "MADV_DONTNEED");
    // A file's pages come back as they were, private memory as zeros.
    if (has_file(kind())) {
        EXPECT_TRUE(reads(0, npages, seed));
    } else {
        EXPECT_TRUE(reads(0, 2, seed));
        EXPECT_TRUE(reads_zeros(2, 3));
        EXPECT_TRUE(reads(5, npages - 5, seed));
    }
    write(3, 1, seed + 1);
    EXPECT_TRUE(shows(3, 1, seed + 1));
}

TEST_P(AnyMemory, MadvColdTakesNothing) {
    if (kind() == memory_kind::hugetlb)
        GTEST_SKIP() << "huge pages are never reclaimed, so that there is no such advice";
    write(0, npages, seed);
    const std::uint64_t invalidations = counter("invalidations");
    area.map.advise(MADV_COLD);
    EXPECT_EQ(counter("invalidations"), invalidations);
    const std::uint64_t mapped = counter("pages_mapped");
    EXPECT_TRUE(reads(0, npages, seed));
    EXPECT_EQ(counter("pages_mapped"), mapped) << "pages had to be mapped again";
}

TEST_P(AnyMemory, SoftDirty) {
    const auto soft_dirty = [this](std::size_t index) {
        const file pagemap(
            checked(open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC), "opening pagemap"));
        std::uint64_t word = 0;
        pagemap.read({reinterpret_cast<std::uint8_t *>(&word), sizeof word},
                     reinterpret_cast<std::uintptr_t>(va(index)) / page_size() * sizeof word);
        return (word >> 55 & 1) != 0;
    };
    if (kind() == memory_kind::hugetlb)
        GTEST_SKIP() << "the kernel does not follow soft-dirty for huge pages";
    write(0, npages, seed);
    {
        std::ofstream clear("/proc/self/clear_refs");
        clear << 4;
        clear.close();
        ASSERT_TRUE(clear) << "clearing soft-dirty bits";
    }
    ASSERT_FALSE(soft_dirty(4)) << "the bits were not cleared";
    EXPECT_TRUE(reads(0, npages, seed));
    EXPECT_FALSE(soft_dirty(4)) << "a read made the page dirty";
    write(4, 1, seed + 1);
    EXPECT_FALSE(soft_dirty(5)) << "the page beside it";
    // insert_page_into_pte_locked() of 7.2 makes the page of a DAX file writable again without the
    // bit, so that the kernel misses the CPU's stores too.
    va(6)[0] ^= 0xff;
    if (!soft_dirty(6))
        GTEST_SKIP() << "on this memory the kernel does not see the CPU's own stores either";
    EXPECT_TRUE(soft_dirty(4)) << "a write that whoever tracks them does not see";
}

TEST_P(AnyMemory, Fork) {
    write(0, npages, seed);
    shared_flag written;
    // A private page keeps its data in the child; a shared one shows the new.
    const std::uint64_t childs = has_file(kind()) ? seed + 1 : seed;
    child reader([&] {
        written.await();
        return shows(0, npages, childs) ? 0 : 1;
    });
    write(0, npages, seed + 1);
    EXPECT_TRUE(shows(0, npages, seed + 1));
    EXPECT_TRUE(reads(0, npages, seed + 1));
    written.raise();
    EXPECT_EQ(reader.wait(), 0);
}

TEST_P(AnyMemory, StoreIntoAHoleThatWasRead) {
    EXPECT_TRUE(reads_zeros(0, npages));
    store(0, npages, seed);
    EXPECT_TRUE(reads(0, npages, seed));
}

/// Memory that is nobody's file.
class AnonymousMemory : public MemoryEvents {};

// The pages are clean after the advice: unless the device's write makes them dirty, reclaim throws
// them away.
TEST_P(AnonymousMemory, MadvFree) {
    fill_pattern(area.map.bytes(), seed);
    EXPECT_TRUE(reads(0, npages, seed));
    area.map.free_lazily();
    write(4, 8, seed + 1);
    area.map.page_out();
    EXPECT_TRUE(shows(4, 8, seed + 1));
    EXPECT_TRUE(reads(4, 8, seed + 1));
}

TEST_P(AnonymousMemory, SamePageMerging) {
    const auto pages_sharing = [] {
        std::uint64_t count = 0;
        std::ifstream("/sys/kernel/mm/ksm/pages_sharing") >> count;
        return count;
    };
    const auto set = [](const char *name, int value) {
        std::ofstream(std::string("/sys/kernel/mm/ksm/") + name) << value;
    };
    std::vector<std::uint8_t> same(page(1));
    fill_pattern(same, seed);
    for (std::size_t i = 0; i < npages; ++i)
        ASSERT_EQ(access->write(va(i), same), access_result::done);
    area.map.advise(MADV_MERGEABLE);
    set("sleep_millisecs", 1);
    set("pages_to_scan", 1000);
    set("run", 1);
    const bool merged =
        becomes_true([&] { return pages_sharing() >= npages - 1; }, std::chrono::seconds(30));
    set("run", 0);
    ASSERT_TRUE(merged) << pages_sharing() << " pages were merged";
    write(3, 1, seed + 1);
    EXPECT_TRUE(shows(3, 1, seed + 1));
    for (std::size_t i = 0; i < npages; ++i) {
        std::vector<std::uint8_t> found(page(1));
        ASSERT_EQ(access->read(va(i), found), access_result::done);
        if (i != 3) {
            EXPECT_TRUE(matches(compare_bytes(found, same))) << "page " << i;
        }
    }
    set("run", 2); // unmerge
    EXPECT_TRUE(reads(3, 1, seed + 1));
}

TEST_P(AnonymousMemory, CollapseAndSplit) {
    constexpr std::size_t huge = std::size_t{2} << 20;
    area.map =
        mapping(huge, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0, lonely_va());
    area.map.advise(MADV_NOHUGEPAGE);
    fill_pattern(area.map.bytes(), seed);
    write(1, 8, seed + 1);
    area.map.advise(MADV_HUGEPAGE);
    checked(madvise(area.map.data(), huge, MADV_COLLAPSE), "MADV_COLLAPSE");
    EXPECT_TRUE(reads(1, 8, seed + 1));
    write(20, 8, seed + 2);
    EXPECT_TRUE(shows(1, 8, seed + 1));
    EXPECT_TRUE(shows(20, 8, seed + 2));
    EXPECT_TRUE(shows(30, 400, seed));
    checked(madvise(va(40), page(1), MADV_DONTNEED), "MADV_DONTNEED");
    EXPECT_TRUE(reads(20, 8, seed + 2));
    EXPECT_TRUE(reads_zeros(40, 1));
    EXPECT_TRUE(reads(41, 400, seed));
}

/// Files, on whatever they are.
class MappedFile : public MemoryEvents {};

TEST_P(MappedFile, Truncate) {
    write(0, npages, seed);
    area.backing.truncate(page(4));
    const file other = neighbour();
    EXPECT_TRUE(refuses_write(5));
    EXPECT_TRUE(refuses_read(npages - 1));
    EXPECT_TRUE(reads(0, 4, seed));
    area.backing.truncate(page(npages));
    EXPECT_TRUE(reads_zeros(4, npages - 4));
    write(5, 2, seed + 1);
    EXPECT_TRUE(stored(area.backing, 5, 2, seed + 1));
    EXPECT_TRUE(stored(area.backing, 0, 4, seed));
    EXPECT_TRUE(is_intact(other));
}

TEST_P(MappedFile, PunchHole) {
    write(0, npages, seed);
    area.backing.punch_hole(page(2), page(3));
    const file other = neighbour();
    EXPECT_TRUE(reads_zeros(2, 3));
    write(3, 1, seed + 1);
    EXPECT_TRUE(stored(area.backing, 3, 1, seed + 1));
    EXPECT_TRUE(stored(area.backing, 0, 2, seed));
    EXPECT_TRUE(stored(area.backing, 5, npages - 5, seed));
    EXPECT_TRUE(is_intact(other));
}

TEST_P(MappedFile, Pageout) {
    if (kind() == memory_kind::hugetlb)
        GTEST_SKIP() << "huge pages are never reclaimed";
    std::optional<swap_file> swap;
    if (kind() == memory_kind::tmpfs)
        swap.emplace(); // tmpfs pages out to swap
    write(0, npages, seed);
    area.map.page_out();
    EXPECT_TRUE(reads(0, npages, seed));
    write(1, 3, seed + 1);
    area.map.page_out();
    EXPECT_TRUE(shows(1, 3, seed + 1));
    EXPECT_TRUE(stored(area.backing, 1, 3, seed + 1));
}

TEST_P(MappedFile, AnotherFileMappedOverIt) {
    write(0, npages, seed);
    const file other = neighbour();
    area.map.replace_by(other);
    EXPECT_TRUE(reads(0, npages, seed + 99));
    write(1, 2, seed + 1);
    EXPECT_TRUE(stored(other, 1, 2, seed + 1));
    EXPECT_TRUE(stored(area.backing, 0, npages, seed)) << "the file that was mapped before";
}

TEST_P(MappedFile, CopyOnWriteOfAPrivateMapping) {
    store(0, npages, seed);
    area.map = mapping(page(npages), PROT_READ | PROT_WRITE, MAP_PRIVATE, area.backing.descriptor(),
                       0, lonely_va());
    EXPECT_TRUE(reads(0, npages, seed));
    write(1, 1, seed + 1);
    area.map.data()[page(4)] ^= 0xff; // by the CPU, after the mirror had the file's page
    std::vector<std::uint8_t> byte(1);
    ASSERT_EQ(access->read(va(4), byte), access_result::done);
    EXPECT_EQ(byte[0], *va(4));
    EXPECT_TRUE(shows(1, 1, seed + 1));
    EXPECT_TRUE(stored(area.backing, 0, npages, seed)) << "the file under a private mapping";
}

/// Files on a disk or on persistent memory.
class StoredFile : public MemoryEvents {
  protected:
    /// Whether the file system can; else why the test is skipped.
    bool allocate(int mode, std::size_t start, std::size_t length) const {
        if (fallocate(area.backing.descriptor(), mode, static_cast<off_t>(start),
                      static_cast<off_t>(length)) == 0)
            return true;
        if (errno != EOPNOTSUPP)
            fail_with_errno("fallocate");
        return false;
    }
    void sync() const { checked(msync(area.map.data(), area.map.size(), MS_SYNC), "writing back"); }
};

TEST_P(StoredFile, CollapseRange) {
    write(0, npages, seed);
    if (!allocate(FALLOC_FL_COLLAPSE_RANGE, page(2), page(3)))
        GTEST_SKIP() << "this file system cannot collapse a range of a file";
    const file other = neighbour();
    std::vector<std::uint8_t> found(page(npages - 5));
    ASSERT_EQ(access->read(va(2), found), access_result::done);
    EXPECT_TRUE(matches(compare_pattern(found, seed, page(5)))) << "what was behind moves up";
    EXPECT_TRUE(refuses_write(npages - 1)) << "behind the end of the file";
    write(2, 1, seed + 1);
    EXPECT_TRUE(stored(area.backing, 2, 1, seed + 1));
    EXPECT_TRUE(stored(area.backing, 0, 2, seed));
    EXPECT_TRUE(is_intact(other));
}

TEST_P(StoredFile, InsertRange) {
    write(0, npages, seed);
    if (!allocate(FALLOC_FL_INSERT_RANGE, page(2), page(3)))
        GTEST_SKIP() << "this file system cannot insert a range into a file";
    EXPECT_TRUE(reads(0, 2, seed));
    EXPECT_TRUE(reads_zeros(2, 3));
    std::vector<std::uint8_t> found(page(npages - 5));
    ASSERT_EQ(access->read(va(5), found), access_result::done);
    EXPECT_TRUE(matches(compare_pattern(found, seed, page(2)))) << "what was there moves down";
    write(3, 1, seed + 1);
    EXPECT_TRUE(stored(area.backing, 3, 1, seed + 1));
}

// Writeback takes the permission to write, so that it sees the next write; reading goes on.
TEST_P(StoredFile, Writeback) {
    write(0, npages, seed);
    const std::uint64_t dropped = counter("pages_dropped");
    const std::uint64_t mapped = counter("pages_mapped");
    sync();
    EXPECT_EQ(counter("pages_dropped"), dropped) << "writeback took pages away";
    EXPECT_TRUE(reads(0, npages, seed));
    EXPECT_EQ(counter("pages_mapped"), mapped) << "reading after writeback had to map pages";
    write(2, 2, seed + 1);
    sync();
    area.map.unmap();
    // Past the page cache, with the alignment that this takes.
    const auto path = std::format("/proc/self/fd/{}", area.backing.descriptor());
    const file direct(checked(open(path.c_str(), O_RDONLY | O_DIRECT | O_CLOEXEC), path));
    const mapping found(page(npages), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
    direct.read(found.bytes(), 0);
    EXPECT_TRUE(matches(compare_pattern(found.bytes(0, page(2)), seed)));
    EXPECT_TRUE(matches(compare_pattern(found.bytes(page(2), page(2)), seed + 1, page(2))));
    EXPECT_TRUE(matches(compare_pattern(found.bytes(page(4), page(npages - 4)), seed, page(4))));
}

// What the CPU writes with a system call is what the device reads, and the other way round.
TEST_P(StoredFile, WriteBesideIt) {
    write(0, npages, seed);
    std::vector<std::uint8_t> data(page(2));
    fill_pattern(data, seed + 1, page(3));
    area.backing.write(data, page(3));
    EXPECT_TRUE(reads(3, 2, seed + 1));
    EXPECT_TRUE(reads(5, npages - 5, seed));
    write(4, 1, seed + 2);
    EXPECT_TRUE(stored(area.backing, 4, 1, seed + 2));
}

/// Files that can share their blocks with others.
class ClonedFile : public MemoryEvents {};

TEST_P(ClonedFile, Reflink) {
    write(0, npages, seed);
    const file clone = make_file(kind());
    checked(ioctl(clone.descriptor(), FICLONE, area.backing.descriptor()), "cloning a file");
    EXPECT_TRUE(reads(0, npages, seed));
    write(1, 3, seed + 1);
    EXPECT_TRUE(stored(clone, 0, npages, seed)) << "in the clone";
    EXPECT_TRUE(stored(area.backing, 1, 3, seed + 1));
}

ODP_EVENTS(AnyMemory, memory_kind::anonymous, memory_kind::tmpfs, memory_kind::ext4,
           memory_kind::xfs, memory_kind::ext4_dax, memory_kind::xfs_dax, memory_kind::btrfs,
           memory_kind::hugetlb, memory_kind::device_dax);
ODP_EVENTS(AnonymousMemory, memory_kind::anonymous);
ODP_EVENTS(MappedFile, memory_kind::tmpfs, memory_kind::ext4, memory_kind::xfs,
           memory_kind::ext4_dax, memory_kind::xfs_dax, memory_kind::btrfs, memory_kind::hugetlb);
ODP_EVENTS(StoredFile, memory_kind::ext4, memory_kind::xfs, memory_kind::ext4_dax,
           memory_kind::xfs_dax, memory_kind::btrfs);
ODP_EVENTS(ClonedFile, memory_kind::xfs, memory_kind::xfs_dax, memory_kind::btrfs);

} // namespace

} // namespace odp_test
