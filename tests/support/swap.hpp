// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// Swap, which the guest has only while a test needs it, so that no other test meets it.

#pragma once

#include "memory.hpp"

#include <cstdint>

namespace odp_test {

/// A swap file for as long as it lives.
class swap_file {
  public:
    swap_file();
    swap_file(const swap_file &) = delete;
    swap_file &operator=(const swap_file &) = delete;
    ~swap_file();
};

/// All of a shared or private mapping; throws when pages stay. Needs swap.
void swap_out(const mapping &map);

/// Whether this process's page at @va is in swap, as /proc/self/pagemap says. Not for shared
/// memory, whose page tables forget where a page went.
bool is_swapped_out(const std::uint8_t *va);

} // namespace odp_test
