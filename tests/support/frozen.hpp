// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// A file system that nobody may write to for a while.

#pragma once

#include "memory.hpp"

namespace odp_test {

/// Frozen while it lives.
class frozen {
  public:
    /// The file system that files of the kind are on.
    explicit frozen(memory_kind kind);
    frozen(const frozen &) = delete;
    frozen &operator=(const frozen &) = delete;
    ~frozen() { thaw(); }

    void thaw();

  private:
    file mount_;
    bool thawed_ = false;
};

} // namespace odp_test
