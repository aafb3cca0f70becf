// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// What one process and one user may have in flight, so that memory that never answers does not take
// all workers there are: the count goes on when a process makes its regions anew, and when a user
// starts another process.

#include "advise.hpp"
#include "child.hpp"
#include "fixture.hpp"
#include "testdev.hpp"
#include "user_faults.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <chrono>
#include <memory>
#include <new>
#include <thread>
#include <vector>

namespace odp_test {

namespace {

using namespace std::chrono_literals;

constexpr std::size_t most_prefetches = 64;
constexpr std::size_t most_faults = 32;
constexpr std::size_t most_of_a_user = 256; // of 512, when nobody else has any
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

/// A process of another user's that starts as many prefetches as it may, none of which ends.
class greedy {
  public:
    explicit greedy(uid_t user) : child_([this, user] { return take(user); }) { done_.await(); }

    pid_t pid() const { return child_.pid(); }
    std::size_t started() const { return *started_; }

  private:
    int take(uid_t user) {
        const test_device own;
        const mapping stuck(page_size(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
        const user_faults faults(stuck);
        checked(setresuid(user, user, user), "becoming another user");
        const mirror_window window(own);
        for (std::size_t n = 0; n < most_prefetches; ++n) {
            if (window.start_prefetch(whole_iova(stuck.data()), 1, ODP_TEST_PREFETCH_READ) != 0)
                continue;
            faults.next(); // it runs
            ++*started_;
        }
        done_.raise();
        pause();
        return 1;
    }

    const mapping shared_{page_size(), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS};
    std::size_t *const started_ = new (shared_.data()) std::size_t(0);
    shared_flag done_;
    child child_;
};

TEST_F(TestDeviceLimit, OneUsersProcessesLeaveAsMuchToOthers) {
    std::vector<std::unique_ptr<greedy>> processes;
    std::size_t started = 0;
    for (std::size_t n = 0; n < most_of_a_user / most_prefetches + 2; ++n) {
        processes.push_back(std::make_unique<greedy>(1001));
        started += processes.back()->started();
    }
    EXPECT_EQ(started, most_of_a_user);
    EXPECT_EQ(greedy(1002).started(), most_prefetches) << "another user";

    const std::vector<pid_t> pids = [&] {
        std::vector<pid_t> all;
        for (const auto &process : processes)
            all.push_back(process->pid());
        return all;
    }();
    processes.clear();
    for (const pid_t pid : pids)
        EXPECT_TRUE(becomes_true([pid] { return read_mirror_counters(pid).empty(); }));
    EXPECT_EQ(greedy(1001).started(), most_prefetches) << "nothing of it is left";
}

} // namespace

} // namespace odp_test
