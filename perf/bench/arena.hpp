// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// Memory to measure on: private, anonymous, without huge pages, far from everything else, at an
// address that begins a GiB. Nothing of it is there until it is touched.

#pragma once

#include "memory.hpp"

#include <sys/mman.h>

#include <cstddef>
#include <cstdint>

namespace odp_bench {

inline constexpr std::size_t kib = 1024;
inline constexpr std::size_t mib = 1024 * kib;
inline constexpr std::size_t gib = 1024 * mib;
inline constexpr std::size_t page = 4 * kib;

inline void *arena_address() {
    return reinterpret_cast<void *>(std::uintptr_t{32} << 40);
}

/// One at a time: all are at the same address.
inline odp_test::mapping arena(std::size_t length, int advice = MADV_NOHUGEPAGE) {
    odp_test::mapping map(length, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0, arena_address());
    map.advise(advice);
    return map;
}

} // namespace odp_bench
