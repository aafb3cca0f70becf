// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// How often mm calls a driver's notifier callback, counted by a kprobe on it, so that the figure is
// not the driver's own. While it counts, calls cost more: count and measure in two samples.

#pragma once

#include <cstdint>

namespace odp_bench {

class callback_count {
  public:
    /// Of the driver that is loaded. Counts from here on.
    callback_count();
    callback_count(const callback_count &) = delete;
    callback_count &operator=(const callback_count &) = delete;
    ~callback_count();

    std::uint64_t count() const;
};

} // namespace odp_bench
