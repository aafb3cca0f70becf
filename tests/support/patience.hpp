// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// Limits on time on kernels of different speed. A limit is what a test gives up after, so it has to
// be far above what a working kernel takes, also one with every check on, under emulation, on a
// busy machine.

#pragma once

#include <chrono>

namespace odp_test {

/// @limit, which is meant for the distribution's kernel; more on one that the lab has built to look
/// for mistakes.
std::chrono::milliseconds patiently(std::chrono::milliseconds limit);

} // namespace odp_test
