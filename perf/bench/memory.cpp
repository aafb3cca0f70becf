// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// What regions and touched pages cost in kernel memory.

#include "arena.hpp"
#include "kernel_memory.hpp"
#include "meter.hpp"
#include "resources.hpp"
#include "row.hpp"
#include "verbs.hpp"

#include <unistd.h>

#include <vector>

namespace odp_bench {

namespace {

using odp_test::device;
using odp_test::mirror_window;
using odp_test::must;
using odp_test::odp_access;
using odp_test::region;

// The unmodified driver has 2 MiB of table for each GiB, so it gets fewer MRs.
constexpr int many = 1000;
constexpr int few = 100;
constexpr std::size_t touched_gib = 64;

std::vector<region> register_many(const device &rxe, const odp_test::mapping &map, int count) {
    std::vector<region> regions;
    regions.reserve(static_cast<std::size_t>(count));
    for (int i = 0; i < count; ++i)
        regions.push_back(must(region::over(rxe, map.data(), map.size(), odp_access)));
    return regions;
}

// Bytes of an MR of @length.
double region_bytes(std::size_t length, int count) {
    const device rxe;
    const auto map = arena(length);
    const auto before_first = register_many(rxe, map, 1);
    const double before = kernel_memory();
    const auto regions = register_many(rxe, map, count);
    return (kernel_memory() - before) / count;
}

double region_table(int count) {
    return region_bytes(gib, count) - region_bytes(page, count);
}

double counted_table() {
    const device rxe;
    const auto map = arena(gib);
    const auto regions = register_many(rxe, map, many);
    return static_cast<double>(odp_test::read_mirror_counters(getpid()).at("table_bytes"));
}

void touch_each_gib(const mirror_window &window, const odp_test::mapping &map) {
    for (std::size_t at = 0; at < map.size(); at += gib)
        touch(window, map.data() + at);
}

double touched_bytes() {
    const odp_test::test_device opened;
    const auto map = arena(touched_gib * gib);
    const mirror_window window(opened);
    const double before = kernel_memory();
    touch_each_gib(window, map);
    return (kernel_memory() - before) / touched_gib;
}

double counted_touched() {
    const odp_test::test_device opened;
    const auto map = arena(touched_gib * gib);
    const mirror_window window(opened);
    touch_each_gib(window, map);
    return static_cast<double>(window.stats().table_bytes) / touched_gib;
}

// A page of each 2 MiB has all the tables that all pages have.
double counted_dense() {
    const odp_test::test_device opened;
    const auto map = arena(gib);
    const mirror_window window(opened);
    for (std::size_t at = 0; at < map.size(); at += 2 * mib)
        touch(window, map.data() + at);
    return static_cast<double>(window.stats().table_bytes);
}

} // namespace

std::vector<row> memory_rows() {
    return {
        // A page of a slab more or less is 4 bytes for each of 1000 MRs.
        {.about = {"mr-table", "slab and vmalloc of an MR of 1 GiB, more than of one of 4 KiB",
                   "bytes", "upstream", bar::at_most(4.1)},
         .ours = [] { return region_table(many); },
         .upstream = [] { return region_table(few); }},
        {.about = {"mr-table-counted", "table bytes of 1000 MRs of 1 GiB, as the mirror counts",
                   "bytes", "", bar::at_most(0)},
         .ours = counted_table},
        {.about = {"mr-bytes", "slab and vmalloc of an MR of 4 KiB", "bytes", "upstream", {}},
         .ours = [] { return region_bytes(page, many); },
         .upstream = [] { return region_bytes(page, many); }},
        {.about = {"memory-64g", "slab and vmalloc for a touched page in each of 64 GiB, per GiB",
                   "bytes", "upstream, registering 1 GiB", bar::at_most(8 * kib)},
         .ours = touched_bytes,
         .upstream = [] { return region_table(few); }},
        {.about = {"memory-64g-counted", "the same, as the mirror counts", "bytes", "",
                   bar::at_most(8 * kib)},
         .ours = counted_touched},
        {.about = {"memory-dense",
                   "table bytes when all of 1 GiB is touched, as the mirror counts",
                   "bytes",
                   "",
                   {}},
         .ours = counted_dense},
    };
}

} // namespace odp_bench
