// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// Everything at once: threads that fault, prefetch, invalidate, map, unmap, fork, migrate, truncate
// and deregister, through the test device and rxe, while others have mm move and write back the
// same memory. See stress_owner.hpp for what is promised meanwhile.
//
// ODP_STRESS_SECONDS says how long, ODP_STRESS_SEED repeats a run.

#include "fixture.hpp"
#include "patience.hpp"
#include "resources.hpp"
#include "setting.hpp"
#include "stress_owner.hpp"
#include "swap.hpp"

#include <atomic>
#include <chrono>
#include <exception>
#include <format>
#include <functional>
#include <memory>
#include <mutex>
#include <print>
#include <span>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace odp_test {

namespace {

using namespace std::chrono_literals;
using std::chrono::steady_clock;

class Stress : public ::testing::Test {
  protected:
    void TearDown() override {
        EXPECT_TRUE(device_works(device()));
        for (const auto &line : log_.offending_lines())
            ADD_FAILURE() << "the kernel logged: " << line;
    }

    /// One step; what it throws becomes a problem, and ends the run.
    void attempt(const std::string &name, std::uint64_t number,
                 const std::function<std::string()> &doing, const std::function<void()> &step) {
        try {
            step();
        } catch (const std::exception &error) {
            stop_ = true;
            const std::lock_guard lock(problems_lock_);
            problems_.push_back(std::format("seed {:#x}, {}, step {}, {}: {}", seed_, name, number,
                                            doing(), error.what()));
        }
    }
    /// For as long as was asked for, and until there were enough to say something.
    bool goes_on() const {
        const auto now = steady_clock::now();
        return !stop_ && (now < end_ || (steps_ <= enough_ && now < end_ + patiently(1min)));
    }

    void own(stress_owner &owner, const std::string &name);
    void disturb(std::span<const std::unique_ptr<stress_owner>> owners, std::uint64_t number,
                 const std::string &name);

    const std::uint64_t seed_ = setting("ODP_STRESS_SEED", named_seed(run_seed(), "stress"));
    const std::chrono::seconds length_{setting("ODP_STRESS_SECONDS", 5)};
    steady_clock::time_point end_;
    std::atomic<bool> stop_ = false;
    std::atomic<std::uint64_t> steps_ = 0;
    std::uint64_t enough_ = 0;
    std::mutex problems_lock_;
    std::vector<std::string> problems_;

  private:
    kernel_log log_;
};

void Stress::own(stress_owner &owner, const std::string &name) {
    const auto doing = [&] { return owner.doing(); };
    std::uint64_t number = 0;
    for (; goes_on(); ++number) {
        attempt(name, number, doing, [&] { owner.step(number); });
        ++steps_;
    }
    if (!stop_)
        attempt(name, number, doing, [&] { owner.verify(); });
}

void Stress::disturb(std::span<const std::unique_ptr<stress_owner>> owners, std::uint64_t number,
                     const std::string &name) {
    const auto user = make_stress_user(number % 2 ? access_path::test_device : access_path::rxe,
                                       stress_owner::longest);
    const auto step = [&](random_source random) {
        const territory &land = owners[random.between(0, owners.size() - 1)]->land();
        const extent where = territory::pick(random, stress_owner::longest);
        if (random.between(0, 3) != 0)
            return disturb_memory(land, random);
        // Its owner may have unmapped it: the errno says nothing.
        user->prefetch(land.va(where.start), where.length, prefetch_mode::read,
                       random.next() % 2 != 0);
    };
    const std::uint64_t seed = named_seed(seed_ + number, "disturber");
    for (std::uint64_t i = 0; goes_on(); ++i) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1)); // leave time for the others
        attempt(
            name, i, [] { return "disturb"; },
            [&] { step(random_source(named_seed(seed + i, "step"))); });
    }
}

TEST_F(Stress, EverythingAtOnce) {
    std::println("seed {0:#x}, {1} s (ODP_STRESS_SEED={0:#x} repeats it)", seed_, length_.count());
    std::fflush(stdout);
    const swap_file swap;
    const auto resources = count_resources(device().name());
    {
        std::vector<std::unique_ptr<stress_owner>> owners;
        for (const auto kind : {memory_kind::anonymous, memory_kind::anonymous, memory_kind::tmpfs,
                                memory_kind::ext4, memory_kind::ext4_dax, memory_kind::xfs_dax})
            owners.push_back(
                std::make_unique<stress_owner>(kind, named_seed(seed_ + owners.size(), "owner")));
        enough_ = 2 * owners.size();
        end_ = steady_clock::now() + length_;
        std::vector<std::jthread> threads;
        for (std::size_t i = 0; i < owners.size(); ++i)
            threads.emplace_back([&, i] {
                own(*owners[i],
                    std::format("thread {} ({})", i, kind_name(owners[i]->land().kind())));
            });
        for (std::uint64_t i = 0; i < 2; ++i)
            threads.emplace_back([&, i] { disturb(owners, i, std::format("disturber {}", i)); });
    }
    for (const auto &problem : problems_)
        ADD_FAILURE() << problem;
    std::println("{} steps", steps_.load());
    EXPECT_GT(steps_, enough_) << "too few to say anything";
    EXPECT_TRUE(becomes_true([] { return read_mirror_counters(getpid()).empty(); }))
        << "a mirror is left";
    EXPECT_TRUE(becomes_true([&] { return count_resources(device().name()) == resources; }))
        << "verbs objects are left";
}

} // namespace

} // namespace odp_test
