// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// Threads on processors 0 and 1; see pair.hpp.

#include "pair.hpp"

#include "error.hpp"

#include <sched.h>

#include <barrier>
#include <chrono>
#include <future>

namespace odp_bench {

namespace {

void stay_on(int processor) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(processor, &set);
    odp_test::checked(sched_setaffinity(0, sizeof set, &set), "binding a thread to a processor");
}

double seconds_since(std::chrono::steady_clock::time_point begun) {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
}

} // namespace

double run_pair(const std::function<void()> &first, const std::function<void()> &second) {
    std::barrier together(3);
    const auto start = [&](int processor, const std::function<void()> &body) {
        return std::async(std::launch::async, [&together, processor, &body] {
            stay_on(processor);
            together.arrive_and_wait();
            body();
        });
    };
    auto one = start(0, first);
    auto two = start(1, second);
    together.arrive_and_wait();
    const auto begun = std::chrono::steady_clock::now();
    one.wait();
    two.wait();
    const double taken = seconds_since(begun);
    one.get();
    two.get();
    return taken;
}

double run_alone(const std::function<void()> &only) {
    double taken = 0;
    std::async(std::launch::async, [&] {
        stay_on(0);
        const auto begun = std::chrono::steady_clock::now();
        only();
        taken = seconds_since(begun);
    }).get();
    return taken;
}

} // namespace odp_bench
