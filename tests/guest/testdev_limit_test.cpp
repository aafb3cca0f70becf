// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// What one process may have in flight, so that memory that never answers does not take all workers
// there are: the count goes on when it makes its regions anew.

#include "advise.hpp"
#include "fixture.hpp"
#include "testdev.hpp"
#include "user_faults.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <chrono>
#include <thread>
#include <vector>

namespace odp_test {

namespace {

using namespace std::chrono_literals;

constexpr std::size_t most_prefetches = 64;
constexpr std::size_t most_faults = 32;
constexpr int rounds = 3;

/// Memory that nobody fills until the test does.
class TestDeviceLimit : public device_test {
  protected:
    static constexpr std::size_t npages = 50;

    /// Lets all faults end. With them the mirror goes.
    void fill() const {
        const std::vector<std::uint8_t> content(page(1), 0x5a);
        for (std::size_t n = 0; n < npages; ++n)
            faults.provide(whole_iova(stuck.data()) + page(n), content.data());
        EXPECT_TRUE(becomes_true([] { return read_mirror_counters(getpid()).empty(); }))
            << "the mirror outlived its last window and its last fault";
    }
    /// Asks for prefetches as long as @start says that it may, and longer. How many it could have.
    template <class function_type>
    std::size_t prefetch_as_much_as_possible(function_type start) const {
        std::size_t started = 0;
        for (std::size_t n = 0; n < most_prefetches + 10; ++n) {
            const int error = start();
            if (error == 0) {
                faults.next(); // it runs: one that has not begun ends with the windows
                ++started;
            } else {
                EXPECT_EQ(error, EAGAIN);
            }
        }
        return started;
    }

    const mapping stuck = anonymous(npages);
    const user_faults faults{stuck};
};

TEST_F(TestDeviceLimit, PrefetchesAreBoundedAcrossWindows) {
    std::size_t started = 0;
    for (int round = 0; round < rounds; ++round) {
        const mirror_window window(dev);
        started += prefetch_as_much_as_possible([&] {
            return window.start_prefetch(whole_iova(stuck.data()), 1, ODP_TEST_PREFETCH_READ);
        });
    }
    EXPECT_EQ(started, most_prefetches);
    EXPECT_EQ(counter("windows"), 0U);
    fill();
    const mirror_window window(dev);
    EXPECT_EQ(window.prefetch(whole_iova(stuck.data()), 1, ODP_TEST_PREFETCH_READ), 0);
}

TEST_F(TestDeviceLimit, PrefetchesAreBoundedAcrossMemoryRegions) {
    const device rxe;
    std::size_t started = 0;
    for (int round = 0; round < rounds; ++round) {
        const auto mr = must(region::implicit(rxe, odp_access));
        const ibv_sge pieces[] = {mr.sge(stuck.data(), 1)};
        started += prefetch_as_much_as_possible(
            [&] { return advise(rxe, IB_UVERBS_ADVISE_MR_ADVICE_PREFETCH, 0, pieces); });
    }
    EXPECT_EQ(started, most_prefetches);
    EXPECT_EQ(counter("windows"), 0U);
    fill();
}

TEST_F(TestDeviceLimit, FaultsAreBoundedAcrossWindows) {
    for (int round = 0; round < rounds; ++round) {
        const mirror_window window(dev);
        std::vector<std::jthread> accesses;
        for (std::size_t n = 0; n < npages; ++n)
            accesses.emplace_back([&, n] {
                std::uint8_t byte = 0;
                odp_test_access access{};
                access.window = window.id();
                access.iova = whole_iova(stuck.data()) + page(n);
                access.length = 1;
                access.buffer = whole_iova(&byte);
                EXPECT_EQ(dev.command(ODP_TEST_READ, access), EAGAIN);
            });
    }
    std::size_t asked = 0;
    while (faults.next_within(200ms))
        ++asked;
    EXPECT_EQ(asked, most_faults);
    EXPECT_EQ(counter("windows"), 0U);
    fill();
}

} // namespace

} // namespace odp_test
