// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// What tests on the test device (test_device.hpp) have in common.

#pragma once

#include "kernel_log.hpp"
#include "memory.hpp"
#include "pattern.hpp"
#include "resources.hpp"
#include "test_device.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <span>
#include <string>

namespace odp_test {

/// Passes if every access succeeded or came too early, and every word was right.
::testing::AssertionResult all_right(const odp_test_threads &counts);

/// Writes the words that threads with @seed expect; bytes[0] is at @iova.
void fill_words(std::span<std::uint8_t> bytes, std::uint64_t seed, std::uint64_t iova);

/// After each of them the kernel's log is silent and its mirrors are gone with their windows.
class device_test : public ::testing::Test {
  protected:
    device_test();
    void TearDown() override;

    static std::size_t page(std::size_t count) { return count * page_size(); }
    /// Private anonymous memory in chunks that nothing else is in.
    static mapping anonymous(std::size_t npages);
    /// One number of this process's mirrors; 0 without a mirror.
    static std::uint64_t counter(const std::string &name);

    test_device dev;
    const std::uint64_t seed;
    random_source random;

  private:
    kernel_log log_;
};

} // namespace odp_test
