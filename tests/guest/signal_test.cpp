// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// Registration in a process that gets signals all the time, as one under a profiler does. The first
// one of a process waits for its threads, which a signal interrupts; the call then has to be made
// again, and not to fail. Only a new process registers for the first time.

#include "child.hpp"
#include "fixture.hpp"

#include <signal.h>
#include <time.h>
#include <unistd.h>

namespace odp_test {

namespace {

volatile sig_atomic_t signals;

void count_signal(int) {
    signals = signals + 1;
}

/// Interrupts this process all the time, for as long as it lives.
class profiler {
  public:
    profiler() {
        struct sigaction action{};
        action.sa_handler = count_signal;
        action.sa_flags = SA_RESTART;
        checked(sigaction(SIGPROF, &action, nullptr), "installing a signal handler");
        sigevent event{};
        event.sigev_notify = SIGEV_SIGNAL;
        event.sigev_signo = SIGPROF;
        checked(timer_create(CLOCK_MONOTONIC, &event, &timer_), "making a timer");
        constexpr timespec period{.tv_sec = 0, .tv_nsec = 200'000};
        const itimerspec all_the_time{.it_interval = period, .it_value = period};
        checked(timer_settime(timer_, 0, &all_the_time, nullptr), "starting a timer");
    }
    profiler(const profiler &) = delete;
    profiler &operator=(const profiler &) = delete;
    ~profiler() { timer_delete(timer_); }

  private:
    timer_t timer_{};
};

/// 0, or the errno value of a new process's first registration.
int register_under_signals(const device &dev) {
    const mapping map(page_size(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
    const profiler interrupting;
    while (signals == 0)
        continue; // the timer runs, and somewhere between two of its signals is now
    const auto mr = region::over(dev, map.data(), map.size(), odp_access);
    return mr ? 0 : mr.error();
}

class Signals : public verbs_test {};

TEST_F(Signals, FirstRegistrationIsMadeAgain) {
    constexpr int processes = 50;
    for (int i = 0; i < processes; ++i) {
        child process([&] { return register_under_signals(dev); });
        ASSERT_EQ(process.wait(), 0) << "the errno value of process " << i;
    }
}

} // namespace

} // namespace odp_test
