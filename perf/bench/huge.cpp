// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// 2 MiB that nobody touched, where a huge page is possible: one fault, beside one for each page.

#include "arena.hpp"
#include "meter.hpp"
#include "row.hpp"

namespace odp_bench {

namespace {

using odp_test::mirror_window;

constexpr std::size_t huge = 2 * mib;
constexpr std::uint32_t npages = huge / page;

double all_pages(odp_test_bench_op op, int advice, const rounds &shape) {
    const odp_test::test_device opened;
    const auto map = arena(4 * huge, advice);
    const mirror_window window(opened);
    touch(window, map.data(), true);
    rounds what = shape;
    what.op = op;
    what.va = map.data() + huge;
    return all_rounds(window, what);
}

double at_once(odp_test_bench_op op) {
    return all_pages(op, MADV_HUGEPAGE, {.intent = huge});
}

double one_by_one(odp_test_bench_op op) {
    return all_pages(op, MADV_NOHUGEPAGE, {.stride = page, .count = npages});
}

double fault_count() {
    const odp_test::test_device opened;
    const auto map = arena(4 * huge, MADV_HUGEPAGE);
    const mirror_window window(opened);
    touch(window, map.data(), true);
    const auto before = window.stats().faults;
    all_rounds(window, {.op = ODP_TEST_BENCH_WRITE, .va = map.data() + huge, .intent = huge});
    all_rounds(
        window,
        {.op = ODP_TEST_BENCH_WRITE, .va = map.data() + huge, .stride = page, .count = npages});
    return static_cast<double>(window.stats().faults - before);
}

} // namespace

std::vector<row> huge_rows() {
    return {
        {.about = {"cold-2m", "reading cold 2 MiB, huge page possible", "instructions",
                   "512 faults of 4 KiB", bar::ratio_at_most(0.02)},
         .ours = [] { return at_once(ODP_TEST_BENCH_READ); },
         .beside = [] { return one_by_one(ODP_TEST_BENCH_READ); }},
        {.about = {"cold-2m-write",
                   "writing cold 2 MiB; mm zeroes the memory in both",
                   "instructions",
                   "512 faults of 4 KiB",
                   {}},
         .ours = [] { return at_once(ODP_TEST_BENCH_WRITE); },
         .beside = [] { return one_by_one(ODP_TEST_BENCH_WRITE); }},
        {.about = {"cold-2m-faults", "faults until each of its 512 pages was written", "faults", "",
                   bar::at_most(1)},
         .ours = fault_count},
    };
}

} // namespace odp_bench
