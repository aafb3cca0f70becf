// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// How often a task of this process had to wait for a lock of the kernel, from the tracepoint
// lock:contention_begin.

#pragma once

#include <cstdint>

namespace odp_bench {

class contention_count {
  public:
    /// Counts from here on, for all threads that this process has then and makes later.
    contention_count();
    contention_count(const contention_count &) = delete;
    contention_count &operator=(const contention_count &) = delete;
    ~contention_count();

    std::uint64_t count() const;

  private:
    int event_;
};

} // namespace odp_bench
