// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// Two threads, each on a processor of its own, that begin together.

#pragma once

#include <functional>

namespace odp_bench {

/// Seconds until both are done. Throws what one of them threw.
double run_pair(const std::function<void()> &first, const std::function<void()> &second);

/// Seconds until it is done, on the first processor.
double run_alone(const std::function<void()> &only);

} // namespace odp_bench
