// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// A control group for memory: a bound for the processes that enter it, and the bill for what they
// use.

#pragma once

#include <cstdint>
#include <string>

namespace odp_test {

/// One at a time; gone at the end. What its processes left in the page cache stays.
class control_group {
  public:
    /// @memory_max: what its processes may have, as the kernel's file of that name takes it.
    explicit control_group(const std::string &memory_max = "max");
    control_group(const control_group &) = delete;
    control_group &operator=(const control_group &) = delete;
    ~control_group();

    /// For the process that calls it.
    void enter() const;
    /// What its processes may have before they are made to wait; in bytes.
    void throttle_above(std::uint64_t memory_high) const;
    /// What they have.
    std::uint64_t usage() const;
    /// A line of memory.stat: in bytes, or a count.
    std::uint64_t statistic(const std::string &name) const;
};

} // namespace odp_test
