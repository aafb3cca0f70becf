// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// How the tests' support code fails: by an exception whose text names what failed and the errno.
// GoogleTest turns it into a failure of the test that ran, with that text.

#pragma once

#include <cerrno>
#include <string>
#include <system_error>

namespace odp_test {

/// Throws for a call that reports through @error (an errno value, not necessarily errno itself).
[[noreturn]] inline void fail_with(int error, const std::string &what) {
    throw std::system_error(error, std::generic_category(), what);
}

/// Throws for a call that failed and left its cause in errno.
[[noreturn]] inline void fail_with_errno(const std::string &what) {
    fail_with(errno, what);
}

/// The value of a system call, or an exception when it is -1.
template <class value_type>
value_type checked(value_type value, const std::string &what) {
    if (value == static_cast<value_type>(-1))
        fail_with_errno(what);
    return value;
}

} // namespace odp_test
