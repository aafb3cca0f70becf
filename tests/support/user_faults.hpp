// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// Memory whose pages a handler in user space provides, one at a time, when it likes: userfaultfd.
// It makes a fault take exactly as long as a test wants, up to for ever.

#pragma once

#include "memory.hpp"

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <optional>

namespace odp_test {

class user_faults {
  public:
    /// The pages of @map that are not there.
    explicit user_faults(const mapping &map);
    /// Those that the process @owner has @descriptor for. They stay stuck when it dies.
    static user_faults of_another(pid_t owner, int descriptor);

    int descriptor() const { return descriptor_.descriptor(); }
    /// The va of the next fault; throws when there is none in time.
    std::uint64_t next() const;
    /// The same, if there is one.
    std::optional<std::uint64_t> next_within(std::chrono::milliseconds deadline) const;
    /// Fills the page that @va is in, and lets go on who waits for it.
    void provide(std::uint64_t va, const void *content) const;

  private:
    explicit user_faults(int descriptor) : descriptor_(descriptor) {}

    file descriptor_;
};

} // namespace odp_test
