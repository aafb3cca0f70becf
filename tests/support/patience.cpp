// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// The kernel says what it is by its release (lab/kernels/make). The factor is that of the lab's own
// limits (lab/odplab/config.py).

#include "patience.hpp"

#include "error.hpp"

#include <sys/utsname.h>

#include <string_view>

namespace odp_test {

namespace {

constexpr int slowness = 4;

bool looks_for_mistakes() {
    utsname kernel{};
    checked(uname(&kernel), "asking for the kernel's release");
    const std::string_view release = kernel.release;
    return release.contains("-debug-") || release.contains("-kcsan-");
}

} // namespace

std::chrono::milliseconds patiently(std::chrono::milliseconds limit) {
    static const int factor = looks_for_mistakes() ? slowness : 1;
    return limit * factor;
}

} // namespace odp_test
