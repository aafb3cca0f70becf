// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// The time stamp counter. On the instruction clock (`--icount`) one tick is one executed
// instruction of the guest, in user space and in the kernel.

#pragma once

#include "metric.hpp"

#include <x86intrin.h>

#include <cstdint>

namespace odp_bench {

/// Read when everything before it is done.
inline std::uint64_t ticks() {
    _mm_lfence();
    const std::uint64_t now = __rdtsc();
    _mm_lfence();
    return now;
}

/// What @act takes, in ticks.
template <class action>
double cost(const action &act) {
    const std::uint64_t begun = ticks();
    act();
    return static_cast<double>(ticks() - begun);
}

/// The middle one of what @take returns each time: any of them may have a timer's interrupt in it,
/// which costs tens of thousands of instructions.
template <class action>
double middle_of(int count, const action &take) {
    samples taken;
    for (int i = 0; i < count; ++i)
        taken.push_back(take());
    return median(taken);
}

} // namespace odp_bench
