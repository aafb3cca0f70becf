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
#include <map>
#include <set>
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

    /// Before fail_below() of this @kind, until it is true: runs @work with a failure below a
    /// function of @callers at an unknown place, unless that is past its end.
    bool align(const kernel_code &callers, const std::string &kind,
               const std::function<void()> &work);
    /// Runs @work with the @nth allocation below a function of @callers failing, in whichever task.
    /// @kind is "failslab" or "fail_page_alloc". False if there are fewer; then align() again.
    bool fail_below(const kernel_code &callers, const std::string &kind, unsigned nth,
                    const std::function<void()> &work);

  private:
    bool fail_once(const kernel_code &callers, const std::string &kind,
                   const std::function<void()> &work);

    file nth_;                                  ///< of the thread that made this
    std::map<std::string, std::uint64_t> next_; ///< the count at which a kind fails
    std::set<std::string> aligned_;             ///< kinds whose count is known
};

} // namespace odp_test
