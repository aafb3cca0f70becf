// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// What the kernel logged while a test ran. Nothing that an unprivileged process or a remote peer
// does may fill the log, so an error case must leave it silent: no warning from anyone, and not one
// line, at any level, from rxe or the mirror. Data races (KCSAN) are all over a kernel; of those,
// only one with a module of ours in it counts.

#pragma once

#include "memory.hpp"

#include <span>
#include <string>
#include <vector>

namespace odp_test {

/// Of @records, as /dev/kmsg has them one after the other, those that break the rule above.
std::vector<std::string> offending_records(std::span<const std::string> records);

class kernel_log {
  public:
    /// Starts at the log's present end.
    kernel_log();
    /// The lines since then (or since the last call) that break the rule above.
    std::vector<std::string> offending_lines();

  private:
    void read_to_end(std::vector<std::string> &records) const;
    bool gets_more() const;

    file messages_;
};

} // namespace odp_test
