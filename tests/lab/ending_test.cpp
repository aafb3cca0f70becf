// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// How runs end that do not end by themselves: a crash or a complaint of the guest's kernel, a
// time-out, a signal to the lab. Nothing may stay behind.

#include "process.hpp"
#include "scratch.hpp"

#include <gtest/gtest.h>

#include <signal.h>

#include <chrono>
#include <string>
#include <thread>

namespace {

using namespace lab_test;
using namespace std::chrono_literals;

TEST(Ending, PanicIs255AndShowsTheReport) {
    const outcome end = run_lab(
        {.arguments = guest_script({}, "echo before; echo c >/proc/sysrq-trigger; sleep 60")});
    EXPECT_EQ(end.status, 255);
    EXPECT_EQ(end.out, "before\n");
    EXPECT_NE(end.error.find("Kernel panic - not syncing"), std::string::npos) << end.error;
    EXPECT_NE(end.error.find("write_sysrq_trigger"), std::string::npos)
        << "the stack is not shown: " << end.error;
}

// What the kernel says counts even when the command succeeds. The line is one that only the kernel
// prints, and /dev/kmsg is as good as the kernel for the console.
TEST(Ending, KernelWarningIs255AlthoughTheCommandSucceeds) {
    const outcome end = run_lab(
        {.arguments = guest_script({}, "echo '<4>WARNING: a test says so' >/dev/kmsg; exit 0")});
    EXPECT_EQ(end.status, 255);
    EXPECT_NE(end.error.find("WARNING: a test says so"), std::string::npos) << end.error;
}

// Words of a report inside a line are not a report, nor is what a driver says about a refused
// request.
TEST(Ending, OrdinaryKernelMessagesAreNoReason) {
    const outcome end = run_lab(
        {.arguments = guest_script({}, "echo '<4>rxe0: returned err = -22, no BUG: or WARNING: at "
                                       "all' >/dev/kmsg; exit 0")});
    EXPECT_EQ(end.status, 0) << end.error;
}

// A kernel with KCSAN finds races of its own. They are in the log, and only ours end a run.
TEST(Ending, RacesCountIfAModuleOfOursIsInThem) {
    const std::string report = R"sh(
        say() { echo "<3>$1" >/dev/kmsg; }
        race() {
            say "=================================================================="
            say "BUG: KCSAN: data-race in $1 / $1"
            say " $1+0x10/0x20 $2"
            say "=================================================================="
        }
        race elsewhere
        race here "[odp_mirror]"
        race nowhere
        exit 0
    )sh";
    const outcome end = run_lab({.arguments = guest_script({}, report)});
    EXPECT_EQ(end.status, 255);
    EXPECT_NE(end.error.find("data-race in here / here"), std::string::npos) << end.error;
    EXPECT_EQ(end.error.find("elsewhere"), std::string::npos) << end.error;
    EXPECT_EQ(end.error.find("nowhere"), std::string::npos) << end.error;
}

TEST(Ending, TimeoutIs124AndShowsWhereTheCommandIs) {
    const auto begun = std::chrono::steady_clock::now();
    const outcome end =
        run_lab({.arguments = guest_script({"--timeout", "2"}, "echo begun; exec sleep 1000")});
    EXPECT_LT(std::chrono::steady_clock::now() - begun, 120s);
    EXPECT_EQ(end.status, 124);
    EXPECT_EQ(end.out, "begun\n");
    EXPECT_NE(end.error.find("--timeout"), std::string::npos) << end.error;
    EXPECT_NE(end.error.find("(sleep):"), std::string::npos) << end.error;
    EXPECT_NE(end.error.find("nanosleep"), std::string::npos) << end.error;
}

// A guest in which not even the agent runs any more is asked by an NMI. Nothing runs there only
// when the scheduler does not keep a share for others, out of which a slow machine's agent would
// answer.
TEST(Ending, TimeoutOfAGuestThatIsStuckShowsItsStacks) {
    const outcome end = run_lab(
        {.arguments = guest_script({"--timeout", "3", "--smp", "1"},
                                   "echo freezing; echo -1 >/proc/sys/kernel/sched_rt_runtime_us; "
                                   "echo 0 >/sys/kernel/debug/sched/fair_server/cpu0/runtime; "
                                   "exec chrt -f 99 sh -c 'while :; do :; done'")});
    EXPECT_EQ(end.status, 124) << end.error;
    EXPECT_NE(end.error.find("NMI"), std::string::npos) << end.error;
}

struct way_to_stop {
    const char *name;
    int signal;
    bool to_group;
    int status;
};

class Interrupt : public testing::TestWithParam<way_to_stop> {};

// Stopped while the guest boots. Everything below the lab must be gone, no mount may show, and the
// file systems' images must not lie in the cache.
TEST_P(Interrupt, LeavesNothingBehind) {
    const std::string mounts = read_file("/proc/self/mountinfo");
    running_lab lab({.arguments = {"run", "--", "sleep", "1000"}});
    lab.await_program("qemu-system-x86_64", 60s);
    const std::vector<pid_t> family = lab.family();
    ASSERT_GE(family.size(), 4U) << "expected the lab's two processes, virtiofsd and QEMU";
    const way_to_stop way = GetParam();
    kill(way.to_group ? -lab.pid() : lab.pid(), way.signal);
    EXPECT_EQ(lab.wait(2s), way.status);
    // After SIGKILL nobody waits for the inner process; the kernel ends it within moments.
    for (int i = 0; i < 200; ++i) {
        bool any = false;
        for (const pid_t pid : family)
            any = any || runs(pid);
        if (!any)
            break;
        std::this_thread::sleep_for(10ms);
    }
    for (const pid_t pid : family)
        EXPECT_FALSE(runs(pid)) << "process " << pid << " still runs";
    EXPECT_EQ(read_file("/proc/self/mountinfo"), mounts);
}

INSTANTIATE_TEST_SUITE_P(By, Interrupt,
                         testing::Values(way_to_stop{"CtrlC", SIGINT, true, 128 + SIGINT},
                                         way_to_stop{"Term", SIGTERM, false, 128 + SIGTERM},
                                         way_to_stop{"Hangup", SIGHUP, false, 128 + SIGHUP},
                                         way_to_stop{"Kill", SIGKILL, false, 128 + SIGKILL}),
                         [](const auto &way) { return std::string(way.param.name); });

} // namespace
