// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// Failed calls become exceptions that say what was being done and why it failed; main() prints
// them.

#pragma once

#include <cerrno>
#include <string>
#include <system_error>

namespace demo {

[[noreturn]] inline void fail(const std::string &doing, int error = errno) {
    throw std::system_error(error, std::generic_category(), doing);
}

/// For calls that return -1 and set errno.
template <class value_type>
value_type checked(value_type value, const std::string &doing) {
    if (value == static_cast<value_type>(-1))
        fail(doing);
    return value;
}

} // namespace demo
