// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// What the tests in a guest have in common: a device, a seed of their own, and two promises checked
// after every one of them: the kernel's log is silent, and the device still works for a fresh pair
// of queue pairs.

#pragma once

#include "kernel_log.hpp"
#include "memory.hpp"
#include "pattern.hpp"
#include "verbs.hpp"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <functional>

namespace odp_test {

/// The run's seed mixed with the name of the current test, so that a test sees the same numbers
/// whether it runs alone or among others.
std::uint64_t test_seed();

class verbs_test : public ::testing::Test {
  protected:
    verbs_test() : seed(test_seed()), random(seed) {}
    void TearDown() override;

    const device dev;
    const std::uint64_t seed;
    random_source random;

  private:
    kernel_log log_;
};

/// One write and one read of a few pages between pinned buffers over new queue pairs; says what
/// went wrong, or nothing.
::testing::AssertionResult device_works(const device &device);

/// Passes when the completion has exactly this status; the message names both otherwise.
::testing::AssertionResult completed_with(const ibv_wc &completion, ibv_wc_status expected);

/// Passes when a comparison found no difference; the message describes it otherwise.
::testing::AssertionResult matches(const mismatch &result);

/// The whole of an error case on the requester's side and the responder's: the operation completes
/// with @expected and both queue pairs are in the error state.
void expect_fatal(connection &link, const operation &work, ibv_wc_status expected);

/// Passes when @act takes less than a second, patiently: for what nothing may hold up.
::testing::AssertionResult is_prompt(const std::function<void()> &act);

/// A pinned buffer with its MR: the side of a transfer that is not the subject of the test.
struct pinned_buffer {
    pinned_buffer(const device &device, std::size_t length)
        : map(length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS),
          mr(must(region::over(device, map.data(), length, all_access))) {}

    mapping map;
    region mr;
};

} // namespace odp_test
