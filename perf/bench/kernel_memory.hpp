// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// What the kernel has allocated for itself, from /proc/meminfo: slabs that nobody can reclaim, and
// vmalloc. Page tables and the pages of processes are not in it.

#pragma once

namespace odp_bench {

/// Bytes now, without what waits for a grace period and without what caches keep for the next one
/// who allocates.
double kernel_memory();

} // namespace odp_bench
