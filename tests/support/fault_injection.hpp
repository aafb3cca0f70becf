// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// Failures on demand in the kernel's allocations and copies from and to user space (failslab,
// fail_page_alloc, fail_usercopy of a kernel with CONFIG_FAULT_INJECTION). One at a time: either
// the nth of what the calling thread does in the kernel, or one of what a module's functions call,
// in whichever task.

#pragma once

#include "memory.hpp"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

namespace odp_test {

/// Where functions of the kernel are.
struct kernel_code {
    std::uint64_t start;
    std::uint64_t end;
};

/// Those of a module that is loaded.
kernel_code code_of_module(const std::string &name);

class fault_injection {
  public:
    /// Whether this kernel has it.
    static bool is_there();

    /// Silent, and for every allocation, also those that may sleep.
    fault_injection();
    fault_injection(const fault_injection &) = delete;
    fault_injection &operator=(const fault_injection &) = delete;
    ~fault_injection();

    /// Runs @work with its @nth failure point failing. False if it has fewer.
    bool fail_nth(unsigned nth, const std::function<void()> &work) const;

    /// Runs @work with one failure below a function of @callers: the first after @budget, which is
    /// bytes for "failslab" and pages for "fail_page_alloc". Returns how much of that was spent
    /// before; nothing if nothing failed.
    std::optional<std::uint64_t> fail_below(const kernel_code &callers, const std::string &kind,
                                            std::uint64_t budget,
                                            const std::function<void()> &work) const;

  private:
    file nth_; ///< of the thread that made this
};

} // namespace odp_test
