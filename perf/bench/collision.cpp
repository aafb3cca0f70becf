// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// Faults in a chunk while another part of it is invalidated, again and again: none may be lost to
// that. On two processors, because there the two really happen at the same time.

#include "arena.hpp"
#include "meter.hpp"
#include "pair.hpp"
#include "row.hpp"

#include <algorithm>
#include <atomic>
#include <format>
#include <stdexcept>

namespace odp_bench {

namespace {

using odp_test::mirror_window;

constexpr std::size_t elsewhere = 48 * mib;
constexpr std::uint32_t faults = 8192;
constexpr std::uint64_t least_invalidations = 200;

// A 2 MiB of its own in the same chunk, far from the faults.
void invalidate_until(const std::atomic<bool> &done, const mirror_window &window, void *va) {
    while (!done) {
        touch(window, va, true);
        odp_test::checked(madvise(va, page, MADV_DONTNEED), "MADV_DONTNEED");
    }
}

double collisions(bool disturbed) {
    const odp_test::test_device opened;
    const auto map = arena(64 * mib);
    const mirror_window window(opened);
    touch(window, map.data(), true);
    std::atomic<bool> done = false;
    const rounds cold{
        .op = ODP_TEST_BENCH_WRITE, .va = map.data() + page, .stride = page, .count = faults};
    run_pair(
        [&] {
            all_rounds(window, cold);
            done = true;
        },
        [&] {
            if (disturbed)
                invalidate_until(done, window, map.data() + elsewhere);
        });
    const auto stats = window.stats();
    if (disturbed && stats.invalidations < least_invalidations)
        throw std::runtime_error(std::format("only {} invalidations took place beside {} faults",
                                             stats.invalidations, faults));
    return static_cast<double>(stats.collisions);
}

} // namespace

std::vector<row> collision_rows() {
    return {
        {.about = {"lost-faults", "faults of 8192 lost to invalidations elsewhere in their chunk",
                   "faults", "without invalidations", bar::at_most(0)},
         .where = place::processors,
         .ours = [] { return collisions(true); },
         .beside = [] { return collisions(false); }},
    };
}

} // namespace odp_bench
