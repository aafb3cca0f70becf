// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// Counts that must come back to where they were: the verbs objects that the RDMA core knows, and
// what the mirrors hold. Both are read from the kernel, not from the test's own bookkeeping.

#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <string>

namespace odp_test {

/// What a shell command prints; throws unless it succeeds.
std::string output_of(const std::string &command);

/// Live objects of one device: "pd", "cq", "qp", "mr", "ctx", ...
using resource_counts = std::map<std::string, std::uint64_t>;

resource_counts count_resources(const std::string &device_name);

/// What `rdma` tells of an MR.
struct region_report {
    std::string odp;                                 ///< "implicit", "explicit"; empty if pinned
    std::map<std::string, std::uint64_t> statistics; ///< "page_faults", ...
};

region_report report_on_region(const std::string &device_name, std::uint32_t lkey);

/// What the device counted, such as "duplicate_request".
std::uint64_t device_counter(const std::string &device_name, const std::string &name);

/// The counters of this process's mirrors, summed over devices; empty without mirror statistics.
using mirror_counters = std::map<std::string, std::uint64_t>;

mirror_counters read_mirror_counters(int pid);

/// Polls until @condition holds; false when it does not within the time. For things that the kernel
/// finishes soon after the call that started them, such as taking down an empty chunk.
bool becomes_true(const std::function<bool()> &condition,
                  std::chrono::milliseconds deadline = std::chrono::seconds(10));

} // namespace odp_test
