// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// The test device's bench command: what accesses cost in the kernel, without the system call around
// them, and the bare faults that they are compared with.

#pragma once

#include "test_device.hpp"

#include <cstddef>
#include <cstdint>

namespace odp_bench {

struct rounds {
    odp_test_bench_op op = ODP_TEST_BENCH_READ;
    const void *va = nullptr; ///< of the first round
    std::uint64_t stride = 0;
    std::uint32_t count = 1;
    std::uint32_t length = 8;
    std::uint64_t intent = 0;
};

/// Ticks of the middle round, less those of measuring. @window: over the whole address space.
double middle_round(const odp_test::mirror_window &window, const rounds &what);

/// Ticks of all rounds together, less those of measuring.
double all_rounds(const odp_test::mirror_window &window, const rounds &what);

/// Has the device touch 8 bytes, for reading (@write: for writing).
void touch(const odp_test::mirror_window &window, const void *va, bool write = false);

} // namespace odp_bench
