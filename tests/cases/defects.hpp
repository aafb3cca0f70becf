// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// The defects of the unmodified driver that are safe to provoke there, each as one function that
// does the thing and returns what it saw. guest/regression_test.cpp asserts that the converted
// driver gets them right, upstream/defects_test.cpp that the unmodified one does not: a case that
// both drivers answer alike would prove nothing.

#pragma once

#include "pattern.hpp"
#include "verbs.hpp"

#include <cstdint>

namespace odp_test {

/// 16 KiB written at path MTU 1024 into an explicit on-demand MR.
mismatch write_of_many_packets(const device &device);
/// The same, read.
mismatch read_of_many_packets(const device &device);

/// A page that is writable and clean, because it was given to MADV_FREE, is written by RDMA and
/// then paged out: what is read afterwards, against what was written. A lost dirty bit loses the
/// data.
mismatch write_into_lazily_freed_page(const device &device);
/// A writable, clean page of a tmpfs hole, the same way.
mismatch write_into_clean_tmpfs_page(const device &device);

/// The errno values of registering 4, 16 and 64 GiB on demand; 0 is success.
struct large_registrations {
    int of_4_gib;
    int of_16_gib;
    int of_64_gib;
};
large_registrations register_large(const device &device);

/// How long registering 1 GiB takes, as a multiple of 4 KiB: medians of several, in one run.
double cost_of_registering_1_gib(const device &device);

/// How a FLUSH of a whole on-demand MR of 4 GiB and a page ends, when only its first page, on DAX,
/// can be accessed. Success means that the length was cut to 32 bits and the rest of the MR never
/// looked at.
ibv_wc_status flush_whole_large_mr(const device &device);

/// How a WRITE ends that goes to an on-demand MR by the key of a memory window, and begins behind
/// the window's end.
ibv_wc_status write_beyond_a_memory_window(const device &device);

/// How a FLUSH for persistence ends of anonymous memory.
ibv_wc_status flush_anonymous_memory(const device &device);

/// The errno value of prefetching a read-only MR for reading; 0 is success.
int prefetch_read_only(const device &device);

/// The errno value of registering an implicit MR; 0 is success.
int register_implicit(const device &device);

} // namespace odp_test
