// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// Which of the kernel's words fail a test in the guest. If the check overlooked a race in our
// modules, no test on the kernel that looks for races could fail.

#include "kernel_log.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace odp_test {

namespace {

using records = std::vector<std::string>;

const std::string frame = "3,900,100,-,caller=T7;" + std::string(66, '=');

/// As KCSAN writes it: two accesses, each with a trace.
records race(const std::string &one, const std::string &other) {
    return {frame,
            "3,901,100,-,caller=T7;BUG: KCSAN: data-race in one / other",
            "3,902,100,-,caller=T7;",
            "3,903,100,-,caller=T7;write to 0xffff888003bd1234 of 4 bytes by task 7 on cpu 0:",
            "3,904,100,-,caller=T7; " + one,
            "3,905,100,-,caller=T7; ret_from_fork+0x1b9/0x2a0",
            "3,906,100,-,caller=T7;",
            "3,907,100,-,caller=T7;read to 0xffff888003bd1234 of 4 bytes by task 8 on cpu 1:",
            "3,908,100,-,caller=T7; " + other,
            "3,909,100,-,caller=T7;Reported by Kernel Concurrency Sanitizer on:",
            "3,910,100,-,caller=T7;CPU: 0 UID: 0 PID: 7 Comm: kworker Tainted: G O",
            frame};
}

records operator+(records first, const records &second) {
    first.insert(first.end(), second.begin(), second.end());
    return first;
}

const records foreign = race("lru_add+0x5c/0x90", "folio_lruvec+0x10/0x80");

TEST(KernelLog, WarningsOffendAndOtherLinesDoNot) {
    const std::string warning = "4,10,1,-;something is wrong";
    const std::string quiet = "6,11,1,-;something happened";
    EXPECT_EQ(offending_records(records{warning, quiet}), records{warning});
}

TEST(KernelLog, AnyLineOfOursOffends) {
    const records ours{"6,10,1,-;rdma_rxe: loaded", "7,11,1,-;odp_mirror: hello"};
    EXPECT_EQ(offending_records(ours), ours);
}

TEST(KernelLog, RaceOfOthersDoesNotOffend) {
    EXPECT_EQ(offending_records(foreign), records{});
}

TEST(KernelLog, RaceWithAFunctionOfOursOffendsOnEitherSide) {
    for (const char *const function :
         {"odp_window_access+0x5c/0x90 [odp_mirror]", "odp_test_run+0x5c/0x90 [odp_mirror_test]",
          "rxe_odp_mr_copy+0x5c/0x90 [rdma_rxe]"}) {
        const auto first = race(function, "folio_lruvec+0x10/0x80");
        const auto second = race("lru_add+0x5c/0x90", function);
        EXPECT_EQ(offending_records(first), first);
        EXPECT_EQ(offending_records(second), second);
    }
}

TEST(KernelLog, WhatStandsBesideARaceOfOthersIsSeen) {
    const records warning{"4,10,1,-;something is wrong"};
    const auto ours = race("odp_look+0x5c/0x90 [odp_mirror]", "lru_add+0x5c/0x90");
    EXPECT_EQ(offending_records(warning + foreign + foreign + warning + ours),
              warning + warning + ours);
}

TEST(KernelLog, FramedReportOfAnotherSanitizerOffends) {
    const records report{frame, "3,11,1,-;BUG: KASAN: use-after-free in kfree+0x10/0x20", frame};
    EXPECT_EQ(offending_records(report), report);
}

} // namespace

} // namespace odp_test
