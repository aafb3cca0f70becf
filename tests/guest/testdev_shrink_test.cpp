// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// The mirror's tables when memory is short: idle ones are given back, and whatever the shrinker
// finds, reclaim goes on. Dropping caches asks every shrinker for all that it has.

#include "child.hpp"
#include "fixture.hpp"
#include "testdev.hpp"
#include "user_faults.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <chrono>
#include <optional>
#include <vector>

namespace odp_test {

namespace {

using namespace std::chrono_literals;

class TestDeviceShrink : public device_test {
  protected:
    static constexpr std::size_t npages = 3;

    /// Shared, so that a fork takes nothing from a mirror.
    mapping filled() const {
        mapping map(page(npages), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0,
                    lonely_va());
        fill_pattern(map.bytes(), seed);
        return map;
    }
    static int prefetch(const mirror_window &window, const mapping &map) {
        return window.prefetch(whole_iova(map.data()), map.size(), ODP_TEST_PREFETCH_READ);
    }
    ::testing::AssertionResult reads_back(const mirror_window &window, const mapping &map) const {
        std::vector<std::uint8_t> data(map.size());
        const int error = window.read(whole_iova(map.data()), data);
        if (error != 0)
            return ::testing::AssertionFailure() << "reading: errno " << error;
        return matches(compare_pattern(data, seed));
    }
    /// In a program of its own that holds nothing of ours: where a shrinker is never done, the call
    /// does not end, not even by a signal, and the test has failed.
    static void drop_caches() {
        child program([] {
            execlp("sh", "sh", "-c", "exec >/proc/sys/vm/drop_caches 2>/dev/null; echo 2", nullptr);
            return 1;
        });
        EXPECT_EQ(program.wait(10s), 0);
    }
    static ::testing::AssertionResult no_table_is_left() {
        if (becomes_true([] { return counter("chunks") == 0; }) && counter("table_bytes") == 0)
            return ::testing::AssertionSuccess();
        return ::testing::AssertionFailure() << counter("table_bytes") << " bytes are left";
    }
};

TEST_F(TestDeviceShrink, IdleTableIsGivenBack) {
    const mapping map = filled();
    const mirror_window window(dev);
    ASSERT_EQ(prefetch(window, map), 0);
    EXPECT_EQ(counter("pages"), npages);
    EXPECT_GT(counter("table_bytes"), 0U);
    drop_caches();
    EXPECT_EQ(counter("tables_reclaimed"), 1U);
    EXPECT_EQ(counter("pages"), 0U);
    EXPECT_TRUE(no_table_is_left());
    EXPECT_TRUE(reads_back(window, map));
}

TEST_F(TestDeviceShrink, IdleTablesOfTwoChunksAreGivenBack) {
    const mapping one = filled();
    const mapping other = filled();
    const mirror_window window(dev);
    ASSERT_EQ(prefetch(window, one), 0);
    ASSERT_EQ(prefetch(window, other), 0);
    EXPECT_EQ(counter("chunks"), 2U);
    drop_caches();
    EXPECT_EQ(counter("tables_reclaimed"), 2U);
    EXPECT_TRUE(no_table_is_left());
    EXPECT_TRUE(reads_back(window, one));
    EXPECT_TRUE(reads_back(window, other));
}

TEST_F(TestDeviceShrink, ChunksInUseStayRight) {
    const mapping one = anonymous(npages);
    const mapping other = anonymous(npages);
    fill_words(one.bytes(), seed, whole_iova(one.data()));
    fill_words(other.bytes(), seed, whole_iova(other.data()));
    const mirror_window window(dev);
    {
        thread_run run(window, whole_iova(one.data()), one.size(), seed, {});
        thread_run other_run(window, whole_iova(other.data()), other.size(), seed, {});
        run.await(100);
        other_run.await(100);
        for (int round = 0; round < 3; ++round)
            drop_caches();
        run.await(run.count().ok + 100);
        other_run.await(other_run.count().ok + 100);
        EXPECT_TRUE(all_right(run.stop()));
        EXPECT_TRUE(all_right(other_run.stop()));
    }
    // Nobody uses them any more, which the second look at them finds out.
    drop_caches();
    EXPECT_GE(counter("tables_reclaimed"), 2U);
    EXPECT_TRUE(no_table_is_left());
}

// The shrinker cannot know when the device uses its addresses.
TEST_F(TestDeviceShrink, TablesOfDevicesThatMapStay) {
    const mapping map = filled();
    const mirror_window window(dev, ODP_TEST_WINDOW_DMA);
    ASSERT_EQ(prefetch(window, map), 0);
    const std::uint64_t bytes = counter("table_bytes");
    EXPECT_GT(bytes, 0U);
    drop_caches();
    EXPECT_EQ(counter("tables_reclaimed"), 0U);
    EXPECT_EQ(counter("table_bytes"), bytes);
    EXPECT_EQ(dev.dma_stats().live, npages);
    EXPECT_TRUE(reads_back(window, map));
}

TEST_F(TestDeviceShrink, MirrorWithoutWindowsGivesItsTablesBack) {
    const mapping map = filled();
    const mapping stuck = anonymous(1);
    const user_faults faults(stuck);
    std::optional<mirror_window> window(std::in_place, dev);
    ASSERT_EQ(prefetch(*window, map), 0);
    ASSERT_EQ(window->start_prefetch(whole_iova(stuck.data()), 1, ODP_TEST_PREFETCH_READ), 0);
    faults.next();
    window.reset();
    EXPECT_EQ(counter("windows"), 0U);
    EXPECT_EQ(counter("pages"), npages) << "the fault in flight has the mirror";
    drop_caches();
    EXPECT_EQ(counter("tables_reclaimed"), 1U);
    EXPECT_EQ(counter("pages"), 0U);
    faults.provide(whole_iova(stuck.data()), map.data());
    EXPECT_TRUE(becomes_true([] { return read_mirror_counters(getpid()).empty(); }));
}

} // namespace

} // namespace odp_test
