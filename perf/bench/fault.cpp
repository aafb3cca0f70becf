// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// Faults of 4 KiB, beside the least that they could cost: hmm_range_fault() alone.

#include "arena.hpp"
#include "meter.hpp"
#include "row.hpp"

#include <sys/mman.h>

namespace odp_bench {

namespace {

using odp_test::mirror_window;

// In one 2 MiB, behind the page that makes its chunk and table.
constexpr std::uint32_t cold_count = 256;
constexpr std::size_t cold_start = 128 * page;

constexpr std::uint32_t first_count = 64;

// A look takes the 64 KiB around along.
constexpr std::size_t around = 64 * kib;
constexpr std::uint32_t present_count = 255;

double cold(odp_test_bench_op op) {
    const odp_test::test_device opened;
    const auto map = arena(gib);
    const mirror_window window(opened);
    touch(window, map.data(), true);
    return middle_round(
        window, {.op = op, .va = map.data() + cold_start, .stride = page, .count = cold_count});
}

double first(odp_test_bench_op op) {
    const odp_test::test_device opened;
    const auto map = arena(first_count * gib);
    const mirror_window window(opened);
    return middle_round(window, {.op = op, .va = map.data(), .stride = gib, .count = first_count});
}

double present(odp_test_bench_op op) {
    const odp_test::test_device opened;
    const auto map = arena((present_count + 1) * around);
    map.advise(MADV_POPULATE_WRITE);
    const mirror_window window(opened);
    touch(window, map.data(), true);
    return middle_round(window, {.op = op,
                                 .va = map.data() + around,
                                 .stride = around,
                                 .count = present_count,
                                 .intent = around});
}

using sample_of = double (*)(odp_test_bench_op);

row fault_row(const char *name, const char *text, sample_of sample, bool write, bar limit) {
    return {
        .about = {name, text, "instructions", "bare hmm_range_fault()", limit},
        .ours = [=] { return sample(write ? ODP_TEST_BENCH_WRITE : ODP_TEST_BENCH_READ); },
        .beside =
            [=] { return sample(write ? ODP_TEST_BENCH_BARE_WRITE : ODP_TEST_BENCH_BARE_READ); }};
}

} // namespace

std::vector<row> fault_rows() {
    const auto next = bar::ratio_at_most(1.15);
    const auto chunk = bar::ratio_at_most(1.5);
    return {
        fault_row("cold-read", "read fault of an absent page, chunk there", cold, false, next),
        fault_row("cold-write", "write fault of an absent page, chunk there", cold, true, next),
        fault_row("cold-read-present", "read of 16 pages that the CPU has", present, false, {}),
        fault_row("cold-write-present", "write to the same", present, true, {}),
        fault_row("first-read", "first read fault in a chunk", first, false, chunk),
        fault_row("first-write", "first write fault in a chunk", first, true, chunk),
    };
}

} // namespace odp_bench
