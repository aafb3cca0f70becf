// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// Numbers that the environment may give a test, so that a long run needs no other program.

#pragma once

#include <cstdint>
#include <cstdlib>

namespace odp_test {

/// The environment's number of that name, decimal or with 0x; without one, @otherwise.
inline std::uint64_t setting(const char *name, std::uint64_t otherwise) {
    const char *const text = std::getenv(name);
    return text != nullptr ? std::strtoull(text, nullptr, 0) : otherwise;
}

} // namespace odp_test
