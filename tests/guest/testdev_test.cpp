// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// The mirror core through the test device: bounds and shift of windows, every kind of access, and
// what prefetching, mapping and unmapping do to chunks and notifiers. No queue pair is in the way,
// so a failure here is the core's.

#include "child.hpp"
#include "control_group.hpp"
#include "fixture.hpp"
#include "testdev.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <limits>
#include <thread>
#include <vector>

namespace odp_test {

namespace {

class TestDevice : public device_test {
  protected:
    static constexpr std::size_t npages = 40;

    std::vector<std::uint8_t> bytes(std::size_t length) const {
        return std::vector<std::uint8_t>(length);
    }
    std::vector<std::uint8_t> pattern(std::size_t length, std::uint64_t data_seed) const {
        auto data = bytes(length);
        fill_pattern(data, data_seed);
        return data;
    }
};

TEST_F(TestDevice, WindowEndsWhereItSays) {
    const mapping map = anonymous(npages);
    fill_pattern(map.bytes(), seed);
    // A window that begins and ends within a page, with memory around it.
    const std::size_t start = page(3) + 17;
    const std::size_t length = page(20) + 5;
    constexpr std::uint64_t iova = 0x1234'5678'9abc;
    const mirror_window window(dev, iova, map.data() + start, length);

    auto data = bytes(length);
    EXPECT_EQ(window.read(iova, data), 0);
    EXPECT_TRUE(matches(compare_pattern(data, seed, start)));
    auto one = bytes(1);
    EXPECT_EQ(window.read(iova + length - 1, one), 0);
    EXPECT_EQ(window.read(iova - 1, one), ERANGE);
    EXPECT_EQ(window.read(iova + length, one), ERANGE);
    EXPECT_EQ(window.write(iova - 1, one), ERANGE);
    EXPECT_EQ(window.write(iova + length, one), ERANGE);
    auto more = bytes(8);
    EXPECT_EQ(window.read(iova + length - 7, more), ERANGE);
    EXPECT_EQ(window.read(0, one), ERANGE);
    EXPECT_EQ(window.read(std::numeric_limits<std::uint64_t>::max(), more), ERANGE);
    EXPECT_EQ(window.prefetch(iova, length + 1, ODP_TEST_PREFETCH_READ), ERANGE);
    EXPECT_EQ(window.prefetch(iova - 1, 1, ODP_TEST_PREFETCH_READ), ERANGE);
    EXPECT_TRUE(matches(compare_pattern(map.bytes(), seed))) << "a refused write wrote";
}

TEST_F(TestDevice, WindowReachesTheLastAddress) {
    const mapping map = anonymous(2);
    fill_pattern(map.bytes(), seed);
    const std::uint64_t iova = std::uint64_t{0} - map.size(); // its last byte is 2^64 - 1
    const mirror_window window(dev, iova, map.data(), map.size());
    auto data = bytes(map.size());
    EXPECT_EQ(window.read(iova, data), 0);
    EXPECT_TRUE(matches(compare_pattern(data, seed)));
    auto last = bytes(1);
    EXPECT_EQ(window.read(std::numeric_limits<std::uint64_t>::max(), last), 0);
    EXPECT_TRUE(matches(compare_pattern(last, seed, map.size() - 1)));
    auto beyond = bytes(2);
    EXPECT_EQ(window.read(std::numeric_limits<std::uint64_t>::max(), beyond), ERANGE);
}

TEST_F(TestDevice, WindowThatWrapsOrIsEmptyIsRefused) {
    const std::uint64_t top = std::numeric_limits<std::uint64_t>::max();
    const struct {
        std::uint64_t iova, va, length;
    } cases[] = {{0, 0, 0}, {0, page(1), 0}, {top, 0, 2}, {0, top, 2}, {2, 0, top}, {0, 2, top}};
    for (const auto &wrong : cases) {
        odp_test_window_create create{};
        create.iova = wrong.iova;
        create.va = wrong.va;
        create.length = wrong.length;
        EXPECT_EQ(dev.command(ODP_TEST_WINDOW_CREATE, create), EINVAL)
            << wrong.iova << ' ' << wrong.va << ' ' << wrong.length;
    }
}

// Lengths on both sides of the device's bounce buffer, at any offset; what is around stays.
TEST_F(TestDevice, DataArrivesWhereTheShiftSays) {
    const mapping map = anonymous(npages);
    constexpr std::uint64_t iova = 5;
    const mirror_window window(dev, iova, map.data(), map.size());
    auto shadow = bytes(map.size());
    for (int round = 0; round < 40; ++round) {
        const std::size_t length = random.between(1, round % 2 == 0 ? 100 : map.size());
        const std::size_t start = random.between(0, map.size() - length);
        const auto data = pattern(length, random.next());
        ASSERT_EQ(window.write(iova + start, data), 0);
        std::ranges::copy(data, shadow.begin() + static_cast<std::ptrdiff_t>(start));
        ASSERT_TRUE(matches(compare_bytes(map.bytes(), shadow)));
    }
    for (int round = 0; round < 20; ++round) {
        auto data = bytes(random.between(1, map.size()));
        const std::size_t start = random.between(0, map.size() - data.size());
        ASSERT_EQ(window.read(iova + start, data), 0);
        ASSERT_TRUE(matches(compare_bytes(data, std::span(shadow).subspan(start, data.size()))));
    }
}

TEST_F(TestDevice, AtomicsReturnTheOldValue) {
    const mapping map = anonymous(2);
    auto *const words = reinterpret_cast<std::uint64_t *>(map.data());
    constexpr std::uint64_t iova = 3; // the va has to be aligned, not the iova
    const mirror_window window(dev, iova, map.data(), map.size());
    std::uint64_t old = 0;
    std::uint64_t value = words[511] = random.next();
    const std::uint64_t there = iova + std::uint64_t{511} * 8;

    EXPECT_EQ(window.fetch_add(there, 42, old), 0);
    EXPECT_EQ(old, value);
    EXPECT_EQ(words[511], value += 42);
    EXPECT_EQ(window.compare_swap(there, value + 1, 7, old), 0);
    EXPECT_EQ(old, value);
    EXPECT_EQ(words[511], value) << "a comparison that failed stored";
    EXPECT_EQ(window.compare_swap(there, value, 7, old), 0);
    EXPECT_EQ(old, value);
    EXPECT_EQ(words[511], 7U);
    EXPECT_EQ(window.fetch_add(there + 5, 1, old), EINVAL);
    EXPECT_EQ(window.fetch_add(iova + map.size() - 7, 1, old), EINVAL);
    EXPECT_EQ(window.fetch_add(iova + map.size(), 1, old), ERANGE);
    EXPECT_EQ(words[510], 0U);
    EXPECT_EQ(words[512], 0U);
}

TEST_F(TestDevice, AtomicsAreAtomicAgainstTheCpu) {
    const mapping map = anonymous(1);
    const mirror_window window(dev);
    std::atomic_ref<std::uint64_t> counter(*reinterpret_cast<std::uint64_t *>(map.data()));
    std::atomic<bool> stop = false;
    std::uint64_t by_cpu = 0;
    std::jthread adder([&] {
        for (; !stop; ++by_cpu)
            counter.fetch_add(1);
    });
    std::uint64_t by_device = 0;
    std::uint64_t old = 0;
    int error = 0;
    // Long enough that the two meet often, also where processors are emulated and shared.
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(2);
    for (; error == 0 && std::chrono::steady_clock::now() < end; ++by_device)
        error = window.fetch_add(whole_iova(map.data()), std::uint64_t{1} << 32, old);
    stop = true;
    adder.join();
    EXPECT_EQ(error, 0);
    EXPECT_GT(by_device, 100U);
    EXPECT_GT(by_cpu, 100U);
    EXPECT_EQ(counter.load(), (by_device << 32) + by_cpu);
}

TEST_F(TestDevice, WholeAddressSpaceIsReachedAsItIs) {
    const mirror_window window(dev); // before anything is mapped
    const mapping one = anonymous(npages);
    const mapping other = anonymous(npages);
    for (const auto *map : {&one, &other}) {
        const auto data = pattern(map->size(), whole_iova(map->data()));
        EXPECT_EQ(window.write(whole_iova(map->data()), data), 0);
        EXPECT_TRUE(matches(compare_bytes(map->bytes(), data)));
    }
    auto data = bytes(100);
    EXPECT_EQ(window.read(whole_iova(lonely_va()), data), EACCES) << "nothing is mapped there";
    EXPECT_EQ(window.read(whole_iova(one.data()) + one.size() - 50, data), EACCES);
    EXPECT_EQ(window.read(0, data), EACCES);
    EXPECT_EQ(window.read(0xffff'8880'0000'1000, data), EACCES) << "the kernel's own";
    EXPECT_EQ(window.write(0xffff'ffff'8100'0000, data), EACCES) << "the kernel's own";
    EXPECT_EQ(window.prefetch(0xffff'8880'0000'1000, 1, ODP_TEST_PREFETCH_READ), EACCES);
}

TEST_F(TestDevice, ReadOnlyMemoryIsNotWritten) {
    const mapping map = anonymous(2);
    fill_pattern(map.bytes(), seed);
    map.protect(PROT_READ);
    const mirror_window window(dev);
    auto data = bytes(map.size());
    std::uint64_t old = 0;
    EXPECT_EQ(window.read(whole_iova(map.data()), data), 0);
    EXPECT_EQ(window.write(whole_iova(map.data()), data), EACCES);
    EXPECT_EQ(window.fetch_add(whole_iova(map.data()), 1, old), EACCES);
    EXPECT_EQ(window.prefetch(whole_iova(map.data()), 1, ODP_TEST_PREFETCH_WRITE), EACCES);
    EXPECT_TRUE(matches(compare_pattern(map.bytes(), seed)));
}

TEST_F(TestDevice, PrefetchDoesAsMuchAsItsModeSays) {
    const mapping map = anonymous(npages);
    const mirror_window window(dev);
    const std::uint64_t iova = whole_iova(map.data());
    map.data()[page(1)] = 1; // present: pages 1 and 2 of the first ten
    map.data()[page(2)] = 1;

    EXPECT_EQ(window.prefetch(iova, page(10), ODP_TEST_PREFETCH_PRESENT), 0);
    EXPECT_EQ(counter("pages"), 2U) << "pages that the owner did not have";
    EXPECT_EQ(counter("faults"), 0U);
    EXPECT_EQ(window.prefetch(iova, page(10), ODP_TEST_PREFETCH_READ), 0);
    EXPECT_GE(counter("pages"), 10U);
    EXPECT_EQ(window.prefetch(iova, page(npages), ODP_TEST_PREFETCH_WRITE), 0);
    EXPECT_EQ(counter("pages"), npages);

    const std::uint64_t faults = counter("faults");
    const std::uint64_t snapshots = counter("snapshots");
    EXPECT_EQ(window.write(iova, pattern(map.size(), seed)), 0);
    EXPECT_EQ(counter("faults"), faults) << "memory that was prefetched for writing faulted";
    EXPECT_EQ(counter("snapshots"), snapshots) << "it was looked up again";
    EXPECT_TRUE(matches(compare_pattern(map.bytes(), seed)));
    EXPECT_EQ(window.prefetch(whole_iova(lonely_va()), page(1), ODP_TEST_PREFETCH_READ), EACCES);
}

TEST_F(TestDevice, PrefetchedPageCacheIsOnTheOwnersBill) {
    constexpr std::size_t length = std::size_t{16} << 20;
    constexpr std::size_t other_files = std::size_t{1} << 20; // and what is counted late
    const file content = make_file(memory_kind::ext4);
    content.write(pattern(length, seed), 0);
    content.leave_page_cache();
    const control_group group;
    child owner([&] {
        group.enter();
        const test_device own;
        const mirror_window window(own);
        const mapping map(length, PROT_READ, MAP_SHARED, content.descriptor());
        return window.prefetch(whole_iova(map.data()), length, ODP_TEST_PREFETCH_READ);
    });
    EXPECT_EQ(owner.wait(), 0);
    EXPECT_GE(group.statistic("file"), length - other_files);
}

// A fault looks at sixteen pages, of which one is there.
TEST_F(TestDevice, AbsentPagesAreNotCounted) {
    const mapping map = anonymous(npages);
    map.data()[page(3)] = 1;
    const mirror_window window(dev);
    auto one = bytes(1);
    EXPECT_EQ(window.read(whole_iova(map.data()) + page(3), one), 0);
    EXPECT_EQ(one[0], 1U);
    EXPECT_EQ(counter("pages_mapped"), 1U);
    EXPECT_EQ(counter("pages"), 1U);
}

TEST_F(TestDevice, PrefetchOfNothingPresentLeavesNothing) {
    constexpr std::size_t length = std::size_t{64} << 20; // as many tables as a chunk may have
    mapping map = anonymous(length / page_size());
    map.advise(MADV_NOHUGEPAGE);
    map.data()[page(3)] = 1;
    const mirror_window window(dev);
    const std::uint64_t iova = whole_iova(map.data());
    auto one = bytes(1);
    EXPECT_EQ(window.read(iova + page(3), one), 0);
    const std::uint64_t one_table = counter("table_bytes");
    EXPECT_GT(one_table, 0U);
    EXPECT_EQ(window.prefetch(iova, length, ODP_TEST_PREFETCH_PRESENT), 0);
    EXPECT_EQ(counter("table_bytes"), one_table);
    EXPECT_EQ(counter("pages"), 1U);

    map.advise(MADV_DONTNEED);
    EXPECT_EQ(window.prefetch(iova, length, ODP_TEST_PREFETCH_PRESENT), 0);
    EXPECT_LT(counter("table_bytes"), one_table) << "more than a chunk without tables";
    EXPECT_TRUE(becomes_true([] { return counter("chunks") == 0; }));
    EXPECT_EQ(counter("table_bytes"), 0U);
}

TEST_F(TestDevice, FlushTakesPersistentMemoryOnly) {
    const memory persistent(memory_kind::ext4_dax, page(npages));
    const mapping other = anonymous(1);
    const mirror_window window(dev);
    const std::uint64_t iova = whole_iova(persistent.map.data());
    EXPECT_EQ(window.write(iova + 10, pattern(page(5), seed)), 0);
    EXPECT_EQ(window.flush(iova + 10, page(5)), 0);
    EXPECT_GE(counter("pages_flushed"), 5U);
    other.data()[0] = 1;
    EXPECT_EQ(window.flush(whole_iova(other.data()), 8), EOPNOTSUPP);
    EXPECT_EQ(window.flush(whole_iova(lonely_va()), 8), EACCES);
}

TEST_F(TestDevice, MunmapFreesChunks) {
    mapping map = anonymous(npages);
    const mirror_window window(dev);
    EXPECT_EQ(counter("chunks"), 0U) << "nothing was accessed yet";
    EXPECT_EQ(counter("table_bytes"), 0U);
    EXPECT_EQ(window.write(whole_iova(map.data()), pattern(map.size(), seed)), 0);
    EXPECT_EQ(counter("chunks"), 1U);
    EXPECT_EQ(counter("pages"), npages);
    map.unmap();
    EXPECT_EQ(counter("pages"), 0U);
    EXPECT_TRUE(becomes_true([] { return counter("chunks") == 0; }))
        << counter("chunks") << " chunks are left of a range that is gone";
    EXPECT_EQ(counter("table_bytes"), 0U);
    EXPECT_EQ(counter("windows"), 1U);
}

TEST_F(TestDevice, UntouchedMemoryCostsItsOwnerNothing) {
    const mapping touched = anonymous(2);
    const mirror_window window(dev);
    EXPECT_EQ(window.write(whole_iova(touched.data()), pattern(10, seed)), 0);
    const std::uint64_t callbacks = counter("callbacks");

    mapping untouched = anonymous(npages);
    fill_pattern(untouched.bytes(), seed);
    untouched.protect(PROT_READ);
    untouched.advise(MADV_DONTNEED);
    untouched.unmap();
    EXPECT_EQ(counter("callbacks"), callbacks) << "the mirror was called for memory it never saw";
    touched.advise(MADV_DONTNEED);
    EXPECT_EQ(counter("callbacks"), callbacks + 1) << "and it is called for what it did see";
}

TEST_F(TestDevice, TenThousandWindowsShareOneNotifier) {
    constexpr std::size_t nwindows = 10'000;
    const mapping map = anonymous(npages);
    std::vector<mirror_window> windows;
    windows.reserve(nwindows);
    for (std::size_t i = 0; i < nwindows; ++i)
        windows.emplace_back(dev, i * page(npages), map.data(), map.size());
    EXPECT_EQ(counter("windows"), nwindows);

    const auto data = pattern(map.size(), seed);
    EXPECT_EQ(windows.front().write(0, data), 0);
    const std::uint64_t published = counter("pages_mapped");
    for (std::size_t i = 0; i < nwindows; i += 997) {
        auto found = bytes(map.size());
        ASSERT_EQ(windows[i].read(i * page(npages), found), 0);
        ASSERT_TRUE(matches(compare_pattern(found, seed)));
    }
    EXPECT_EQ(counter("pages_mapped"), published) << "a second copy of the entries";
    EXPECT_EQ(counter("chunks"), 1U);

    const std::uint64_t callbacks = counter("callbacks");
    checked(madvise(map.data() + page(1), page(1), MADV_DONTNEED), "MADV_DONTNEED");
    EXPECT_EQ(counter("callbacks"), callbacks + 1);
    auto found = bytes(page(1));
    for (const std::size_t i : {std::size_t{0}, nwindows / 2, nwindows - 1}) {
        ASSERT_EQ(windows[i].read(i * page(npages) + page(1), found), 0);
        EXPECT_TRUE(matches(compare_bytes(found, bytes(page(1)))));
    }
    windows.clear();
    EXPECT_EQ(counter("windows"), 0U);
}

} // namespace

} // namespace odp_test
