// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// A row of the table together with what measures it, and the list of all rows. One file for each
// family of rows; each sample is taken in a process of its own, so that an address space is as new
// for the last one as for the first.

#pragma once

#include "metric.hpp"

#include <functional>
#include <vector>

namespace odp_bench {

/// Takes one sample. An exception ends the benchmark.
using measure = std::function<double()>;

/// Where a row is measured.
enum class place {
    clock,      ///< one processor, on the instruction clock
    processors, ///< two processors, in time
};

struct row {
    metric about;
    place where = place::clock;
    measure ours = {};     ///< on the converted driver
    measure beside = {};   ///< the baseline, in the same guest, alternating with ours; or none
    measure upstream = {}; ///< the baseline, in a guest with the unmodified driver; or none
};

std::vector<row> registration_rows(); ///< registration.cpp
std::vector<row> memory_rows();       ///< memory.cpp
std::vector<row> unmap_rows();        ///< unmap.cpp
std::vector<row> untouched_rows();    ///< untouched.cpp
std::vector<row> invalidate_rows();   ///< invalidate.cpp
std::vector<row> hit_rows();          ///< hit.cpp
std::vector<row> fault_rows();        ///< fault.cpp
std::vector<row> huge_rows();         ///< huge.cpp
std::vector<row> scan_rows();         ///< scan.cpp
std::vector<row> sparse_rows();       ///< sparse.cpp
std::vector<row> returned_rows();     ///< returned.cpp
std::vector<row> scaling_rows();      ///< scaling.cpp
std::vector<row> collision_rows();    ///< collision.cpp

/// All of them, in the order of the table.
std::vector<row> all_rows();

/// Samples of each side of a row.
inline constexpr int samples_taken = 5;

/// @side by turns with @other, which may be empty, each in a child; the first of each is thrown
/// away, because something in the kernel may be made once. Throws what a child threw, as text.
void take_samples(const measure &side, samples &taken, const measure &other, samples &other_taken,
                  int count);

} // namespace odp_bench
