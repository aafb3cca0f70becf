// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// What the mirror has for each page, as the snapshot shows it, and what it tells a driver that maps
// for DMA: every map has its unmap, with an invalidate before it, whatever happens to the memory.

#include "child.hpp"
#include "fixture.hpp"
#include "testdev.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <limits>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

namespace odp_test {

namespace {

constexpr std::uint8_t absent = 0;
constexpr std::uint8_t readable = ODP_TEST_PAGE_PRESENT;
constexpr std::uint8_t writable = ODP_TEST_PAGE_PRESENT | ODP_TEST_PAGE_WRITE;
constexpr std::size_t huge = std::size_t{2} << 20;

/// Private anonymous memory of one huge page, at its alignment.
mapping huge_page() {
    mapping map(huge, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0, lonely_va());
    map.advise(MADV_HUGEPAGE);
    return map;
}

class TestDeviceTable : public device_test {
  protected:
    static constexpr std::size_t npages = 12;

    static std::vector<std::uint8_t> flags_of(const mirror_window &window, const mapping &map) {
        std::vector<std::uint8_t> flags;
        for (const auto &page : window.snapshot(whole_iova(map.data()), map.size() / page_size()))
            flags.push_back(page.flags);
        return flags;
    }
    static std::vector<std::uint8_t> all(std::size_t count, std::uint8_t flags) {
        return std::vector<std::uint8_t>(count, flags);
    }
    int write(const mirror_window &window, const mapping &map, std::uint64_t data_seed) const {
        std::vector<std::uint8_t> data(map.size());
        fill_pattern(data, data_seed);
        return window.write(whole_iova(map.data()), data);
    }
    ::testing::AssertionResult reads_back(const mirror_window &window, const mapping &map,
                                          std::uint64_t data_seed) const {
        std::vector<std::uint8_t> data(map.size());
        const int error = window.read(whole_iova(map.data()), data);
        if (error != 0)
            return ::testing::AssertionFailure() << "reading: errno " << error;
        return matches(compare_pattern(data, data_seed));
    }
};

TEST_F(TestDeviceTable, SnapshotTellsWhatIsUsable) {
    const mapping map = anonymous(npages);
    const mirror_window window(dev);
    EXPECT_EQ(flags_of(window, map), all(npages, absent));
    EXPECT_EQ(window.stats().faults, 0U) << "a snapshot faulted";

    EXPECT_EQ(window.prefetch(whole_iova(map.data()), page(4), ODP_TEST_PREFETCH_READ), 0);
    auto expected = all(npages, absent);
    std::fill_n(expected.begin(), 4, readable); // a hole is the zero page
    EXPECT_EQ(flags_of(window, map), expected);
    EXPECT_EQ(window.prefetch(whole_iova(map.data()) + page(2), page(6), ODP_TEST_PREFETCH_WRITE),
              0);
    std::fill_n(expected.begin() + 2, 6, writable);
    EXPECT_EQ(flags_of(window, map), expected);

    const auto before = window.stats();
    checked(madvise(map.data() + page(5), page(2), MADV_DONTNEED), "MADV_DONTNEED");
    expected[5] = expected[6] = absent;
    EXPECT_EQ(flags_of(window, map), expected);
    // A fork shares the pages: they can be read, and nobody writes them without a copy.
    child sibling([] {
        pause();
        return 0;
    });
    std::ranges::replace(expected, writable, readable);
    EXPECT_EQ(flags_of(window, map), expected);
    EXPECT_EQ(window.stats().write_dropped, before.write_dropped + 4);
    EXPECT_EQ(window.stats().pages_dropped, before.pages_dropped + 2);
}

TEST_F(TestDeviceTable, SnapshotStaysInTheWindow) {
    const mapping map = anonymous(npages);
    const mirror_window window(dev, 7, map.data() + 7, map.size() - 7);
    std::vector<odp_test_page> pages(npages + 1);
    odp_test_snapshot request{};
    request.window = window.id();
    request.pages = whole_iova(pages.data());
    request.iova = 7;
    request.npages = npages;
    EXPECT_EQ(dev.command(ODP_TEST_SNAPSHOT, request), 0);
    request.npages = npages + 1;
    EXPECT_EQ(dev.command(ODP_TEST_SNAPSHOT, request), ERANGE);
    request.npages = std::numeric_limits<std::uint64_t>::max();
    EXPECT_EQ(dev.command(ODP_TEST_SNAPSHOT, request), ERANGE);
    request.npages = 1;
    request.iova = 6;
    EXPECT_EQ(dev.command(ODP_TEST_SNAPSHOT, request), ERANGE);
    request.iova = 7;
    request.pages = 8;
    EXPECT_EQ(dev.command(ODP_TEST_SNAPSHOT, request), EFAULT);
    request.npages = 0;
    EXPECT_EQ(dev.command(ODP_TEST_SNAPSHOT, request), 0);
    request.window += 1;
    request.npages = 1;
    EXPECT_EQ(dev.command(ODP_TEST_SNAPSHOT, request), ENOENT);
}

TEST_F(TestDeviceTable, PersistentMemoryIsMarked) {
    const memory persistent(memory_kind::xfs_dax, page(npages));
    const memory cached(memory_kind::xfs, page(npages));
    const mirror_window window(dev);
    EXPECT_EQ(write(window, persistent.map, seed), 0);
    EXPECT_EQ(write(window, cached.map, seed), 0);
    EXPECT_EQ(flags_of(window, persistent.map),
              all(npages, writable | std::uint8_t{ODP_TEST_PAGE_PMEM}));
    EXPECT_EQ(flags_of(window, cached.map), all(npages, writable));
}

/// The page's dirty flag in the kernel, which is not that of its page table entry:
/// proc_pid_pagemap(5).
bool is_dirty(const std::uint8_t *address) {
    constexpr std::uint64_t frame_bits = (std::uint64_t{1} << 55) - 1;
    constexpr std::uint64_t dirty = std::uint64_t{1} << 4; // KPF_DIRTY
    const auto entry = [](const char *path, std::uint64_t index) {
        std::uint64_t value = 0;
        const file table(open(path, O_RDONLY | O_CLOEXEC));
        checked(pread(table.descriptor(), &value, sizeof value,
                      static_cast<off_t>(index * sizeof value)),
                path);
        return value;
    };
    const std::uint64_t frame =
        entry("/proc/self/pagemap", whole_iova(address) / page_size()) & frame_bits;
    if (frame == 0)
        throw std::runtime_error("a page that should be present has no frame in pagemap");
    return (entry("/proc/kpageflags", frame) & dirty) != 0;
}

TEST_F(TestDeviceTable, NeighboursAreMappedAlongAndStayClean) {
    const mapping map = anonymous(npages);
    fill_pattern(map.bytes(), seed);
    const mirror_window window(dev);
    std::vector<std::uint8_t> found(page(1));
    ASSERT_EQ(window.read(whole_iova(map.data()), found), 0);
    EXPECT_EQ(flags_of(window, map), all(npages, writable));
    for (std::size_t n = 0; n < npages; ++n)
        EXPECT_FALSE(is_dirty(map.data() + page(n))) << "page " << n;

    ASSERT_EQ(window.write(whole_iova(map.data()), found), 0);
    EXPECT_TRUE(is_dirty(map.data()));
    EXPECT_FALSE(is_dirty(map.data() + page(1)));
}

TEST_F(TestDeviceTable, HugePageIsOneEntry) {
    const mapping map = huge_page();
    fill_pattern(map.bytes(), seed);
    const mirror_window window(dev);
    ASSERT_TRUE(reads_back(window, map, seed));
    const auto pages = window.snapshot(whole_iova(map.data()), huge / page_size());
    EXPECT_TRUE(std::ranges::all_of(pages, [](const auto &page) {
        return page.order == 9 && (page.flags & ODP_TEST_PAGE_PRESENT) != 0;
    }));
    EXPECT_EQ(window.stats().huge_mapped, 1U);

    // Split, by giving one page back: that page reads as zeros, and the rest as before.
    checked(madvise(map.data() + page(100), page(1), MADV_DONTNEED), "MADV_DONTNEED");
    for (const auto &page : window.snapshot(whole_iova(map.data()), huge / page_size()))
        ASSERT_EQ(page.order, 0U);
    std::vector<std::uint8_t> expected(huge);
    fill_pattern(expected, seed);
    std::fill_n(expected.begin() + static_cast<std::ptrdiff_t>(page(100)), page(1),
                std::uint8_t{0});
    std::vector<std::uint8_t> found(huge);
    EXPECT_EQ(window.read(whole_iova(map.data()), found), 0);
    EXPECT_TRUE(matches(compare_bytes(found, expected)));
    EXPECT_EQ(window.stats().pages, huge / page_size());
}

TEST_F(TestDeviceTable, StatisticsAreThoseOfTheSummary) {
    const mapping map = anonymous(npages);
    const mirror_window window(dev);
    const mirror_window other(dev);
    EXPECT_EQ(write(window, map, seed), 0);
    EXPECT_EQ(window.prefetch(whole_iova(map.data()), 1, ODP_TEST_PREFETCH_READ), 0);
    map.advise(MADV_DONTNEED);
    EXPECT_TRUE(reads_back(window, map, 0) == false) << "memory that was given back";
    EXPECT_EQ(window.read(whole_iova(lonely_va()), map.bytes(0, 1)), EACCES);
    EXPECT_TRUE(becomes_true([&] { return window.stats().chunks == 1; }));

    const auto stats = window.stats();
    const std::map<std::string, std::uint64_t> expected = {
        {"windows", stats.windows},
        {"chunks", stats.chunks},
        {"pages", stats.pages},
        {"table_bytes", stats.table_bytes},
        {"faults", stats.faults},
        {"faults_queued", stats.faults_queued},
        {"pages_mapped", stats.pages_mapped},
        {"snapshots", stats.snapshots},
        {"prefetches", stats.prefetches},
        {"invalidations", stats.invalidations},
        {"callbacks", stats.callbacks},
        {"pages_dropped", stats.pages_dropped},
        {"write_dropped", stats.write_dropped},
        {"collisions", stats.collisions},
        {"retries", stats.retries},
        {"busy", stats.busy},
        {"errors", stats.errors},
        {"chunks_created", stats.chunks_created},
        {"huge_mapped", stats.huge_mapped},
        {"tables_reclaimed", stats.tables_reclaimed},
        {"pages_flushed", stats.pages_flushed},
    };
    const auto summary = read_mirror_counters(getpid());
    for (const auto &[name, value] : expected) {
        ASSERT_TRUE(summary.contains(name)) << name;
        EXPECT_EQ(summary.at(name), value) << name;
    }
    EXPECT_EQ(stats.windows, 2U);
    EXPECT_EQ(stats.prefetches, 1U);
    EXPECT_EQ(stats.pages_dropped, npages);
    EXPECT_GE(stats.errors, 1U);
    EXPECT_GE(stats.pages_mapped, 2 * npages);
}

class TestDeviceDma : public TestDeviceTable {
  protected:
    /// Nothing wrong so far, and what is mapped is what is counted.
    void expect_balanced(std::uint64_t live) const {
        const auto stats = dev.dma_stats();
        EXPECT_EQ(stats.errors, 0U);
        EXPECT_EQ(stats.live, live);
        EXPECT_EQ(stats.maps, stats.unmaps + stats.live);
        EXPECT_GT(stats.maps, 0U) << "nothing was ever mapped";
    }
    /// With the last window everything goes, at once or soon after.
    void expect_nothing_left() const {
        EXPECT_TRUE(becomes_true([&] { return dev.dma_stats().live == 0; }))
            << dev.dma_stats().live << " mappings are left";
        expect_balanced(0);
    }
};

TEST_F(TestDeviceDma, DataGoesThroughTheDevicesAddresses) {
    const mapping map = anonymous(npages);
    {
        const mirror_window window(dev, ODP_TEST_WINDOW_DMA);
        EXPECT_EQ(write(window, map, seed), 0);
        EXPECT_TRUE(matches(compare_pattern(map.bytes(), seed)));
        EXPECT_TRUE(reads_back(window, map, seed));
        expect_balanced(npages);
        EXPECT_EQ(window.read(whole_iova(lonely_va()), map.bytes(0, 1)), EACCES);
    }
    expect_nothing_left();
}

TEST_F(TestDeviceDma, PlainWindowsMapNothing) {
    const mapping map = anonymous(npages);
    const mirror_window plain(dev);
    EXPECT_EQ(write(plain, map, seed), 0);
    EXPECT_EQ(dev.dma_stats().maps, 0U);
    const mirror_window window(dev, ODP_TEST_WINDOW_DMA);
    EXPECT_TRUE(reads_back(window, map, seed));
    EXPECT_EQ(dev.dma_stats().maps, npages);
    EXPECT_EQ(window.stats().windows, 1U) << "the two kinds share a mirror";
}

TEST_F(TestDeviceDma, EveryEventUnmapsWhatItTakes) {
    mapping map = anonymous(npages);
    {
        const mirror_window window(dev, ODP_TEST_WINDOW_DMA);
        const std::uint64_t iova = whole_iova(map.data());
        EXPECT_EQ(window.prefetch(iova, map.size(), ODP_TEST_PREFETCH_READ), 0);
        expect_balanced(npages);
        EXPECT_EQ(write(window, map, seed), 0); // the same, with more permission
        expect_balanced(npages);
        checked(madvise(map.data() + page(2), page(3), MADV_DONTNEED), "MADV_DONTNEED");
        expect_balanced(npages - 3);
        EXPECT_EQ(write(window, map, seed + 1), 0);
        child sibling([] {
            pause();
            return 0;
        });
        EXPECT_TRUE(reads_back(window, map, seed + 1)); // shared with the child now
        expect_balanced(npages);
        EXPECT_EQ(write(window, map, seed + 2), 0);
        sibling.kill();
        map.protect(PROT_NONE);
        expect_balanced(0);
        map.protect(PROT_READ | PROT_WRITE);
        EXPECT_TRUE(reads_back(window, map, seed + 2));
        expect_balanced(npages);
        map.unmap();
        expect_balanced(0);
    }
    expect_nothing_left();
}

TEST_F(TestDeviceDma, HugePageIsMappedOnce) {
    const mapping map = huge_page();
    fill_pattern(map.bytes(), seed);
    {
        const mirror_window window(dev, ODP_TEST_WINDOW_DMA);
        EXPECT_TRUE(reads_back(window, map, seed));
        EXPECT_EQ(write(window, map, seed + 1), 0);
        expect_balanced(1);
        checked(madvise(map.data() + page(100), page(1), MADV_DONTNEED), "MADV_DONTNEED");
        expect_balanced(0);
        EXPECT_EQ(write(window, map, seed + 2), 0);
        expect_balanced(huge / page_size());
        EXPECT_TRUE(matches(compare_pattern(map.bytes(), seed + 2)));
    }
    expect_nothing_left();
}

// MADV_FREE leaves the pages writable and clean, so no fault tells the kernel of the device's
// store.
TEST_F(TestDeviceDma, WhatTheDeviceWroteIsDirty) {
    const mapping map = anonymous(npages);
    fill_pattern(map.bytes(), seed);
    {
        const mirror_window window(dev, ODP_TEST_WINDOW_DMA);
        EXPECT_TRUE(reads_back(window, map, seed));
        map.free_lazily();
        EXPECT_EQ(write(window, map, seed + 1), 0);
    }
    expect_nothing_left();
    map.page_out();
    EXPECT_TRUE(matches(compare_pattern(map.bytes(), seed + 1)));
}

TEST_F(TestDeviceDma, ThreadsAndInvalidationsBalance) {
    const mapping map = anonymous(npages);
    {
        const mirror_window window(dev, ODP_TEST_WINDOW_DMA);
        const std::uint64_t iova = whole_iova(map.data());
        thread_run run(window, iova, map.size(), seed,
                       {.nthreads = 3,
                        .flags = ODP_TEST_THREADS_READ | ODP_TEST_THREADS_WRITE |
                                 ODP_TEST_THREADS_VERIFY | ODP_TEST_THREADS_ZERO,
                        .nwords = 40,
                        .pause_us = 0});
        int rounds = 0;
        while (run.count().ok < 3000 || rounds < 50) {
            ASSERT_LT(++rounds, 20'000) << "the threads do not get anywhere";
            checked(
                madvise(map.data() + page(random.between(0, npages - 1)), page(1), MADV_DONTNEED),
                "MADV_DONTNEED");
        }
        EXPECT_TRUE(all_right(run.stop()));
        EXPECT_EQ(dev.dma_stats().errors, 0U);
    }
    expect_nothing_left();
}

TEST_F(TestDeviceDma, OwnersExitUnmapsEverything) {
    child owner([&] {
        const mapping map = anonymous(npages);
        mirror_window window(dev, ODP_TEST_WINDOW_DMA);
        const int error = write(window, map, seed);
        window.release(); // so that only the exit takes the pages away
        return error;
    });
    EXPECT_EQ(owner.wait(), 0);
    expect_nothing_left();
}

} // namespace

} // namespace odp_test
