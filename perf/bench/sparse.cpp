// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// 64 GiB with a page touched in every 8 MiB: many chunks if chunks are small, much of each empty if
// they are big. The baseline is the CPU touching the same pages, and no device.

#include "arena.hpp"
#include "clock.hpp"
#include "kernel_memory.hpp"
#include "meter.hpp"
#include "row.hpp"

#include <optional>

namespace odp_bench {

namespace {

using odp_test::mirror_window;

constexpr std::size_t length = 64 * gib;
constexpr std::size_t step = 8 * mib;
constexpr auto touched = static_cast<double>(length) / static_cast<double>(step);

// By the device or, without one, by the CPU; for reading, so that no memory is needed.
void touch_all(const std::optional<mirror_window> &window, const odp_test::mapping &map) {
    for (std::size_t at = 0; at < map.size(); at += step)
        if (window)
            touch(*window, map.data() + at);
        else
            static_cast<void>(*static_cast<volatile std::uint8_t *>(map.data() + at));
}

std::optional<mirror_window> window_if(bool there, const odp_test::test_device &opened) {
    return there ? std::optional<mirror_window>(std::in_place, opened) : std::nullopt;
}

double touch_cost(bool device) {
    const odp_test::test_device opened;
    const auto map = arena(length);
    const auto window = window_if(device, opened);
    return cost([&] { touch_all(window, map); }) / touched;
}

double unmap_cost(bool device) {
    const odp_test::test_device opened;
    auto map = arena(length);
    const auto window = window_if(device, opened);
    touch_all(window, map);
    return cost([&] { map.unmap(); }) / touched;
}

double bytes() {
    const odp_test::test_device opened;
    const auto map = arena(length);
    const auto window = window_if(true, opened);
    const double before = kernel_memory();
    touch_all(window, map);
    return (kernel_memory() - before) / touched;
}

} // namespace

std::vector<row> sparse_rows() {
    return {
        {.about = {"sparse-touch",
                   "touching a page in every 8 MiB of 64 GiB, per page, with the "
                   "system call",
                   "instructions",
                   "by the CPU, no device",
                   {}},
         .ours = [] { return touch_cost(true); },
         .beside = [] { return touch_cost(false); }},
        {.about = {"sparse-munmap",
                   "munmap() of all of that, per page",
                   "instructions",
                   "by the CPU, no device",
                   {}},
         .ours = [] { return unmap_cost(true); },
         .beside = [] { return unmap_cost(false); }},
        {.about = {"sparse-bytes", "slab and vmalloc of that, per page", "bytes", "", {}},
         .ours = bytes},
    };
}

} // namespace odp_bench
