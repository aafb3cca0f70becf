// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// ibv_reg_mr() with IBV_ACCESS_ON_DEMAND, with the process's first registration done, which makes
// its mirror. And the same of the core alone: a window of the test device.

#include "arena.hpp"
#include "clock.hpp"
#include "row.hpp"
#include "test_device.hpp"
#include "verbs.hpp"

#include <optional>

namespace odp_bench {

namespace {

using odp_test::device;
using odp_test::mirror_window;
using odp_test::must;
using odp_test::odp_access;
using odp_test::region;

constexpr int times = 5;

enum class before { untouched, touched };

double register_bytes(std::size_t length, before state = before::untouched) {
    const device rxe;
    const auto map = arena(length);
    if (state == before::touched)
        map.advise(MADV_POPULATE_READ);
    const auto other = must(region::over(rxe, map.data(), page, odp_access));
    return middle_of(times, [&] {
        std::optional<region::result> result;
        const double taken =
            cost([&] { result = region::over(rxe, map.data(), length, odp_access); });
        must(std::move(*result));
        return taken;
    });
}

double register_implicit() {
    const device rxe;
    const auto map = arena(page);
    const auto other = must(region::over(rxe, map.data(), page, odp_access));
    return middle_of(times, [&] {
        std::optional<region::result> result;
        const double taken = cost([&] { result = region::implicit(rxe, odp_access); });
        must(std::move(*result));
        return taken;
    });
}

double make_window(std::size_t length) {
    const odp_test::test_device opened;
    const auto map = arena(length);
    const mirror_window other(opened, 0, map.data(), page);
    return middle_of(times, [&] {
        std::optional<mirror_window> window;
        return cost([&] { window.emplace(opened, 0, map.data(), length); });
    });
}

double make_whole_window() {
    const odp_test::test_device opened;
    const mirror_window other(opened);
    return middle_of(times, [&] {
        std::optional<mirror_window> window;
        return cost([&] { window.emplace(opened); });
    });
}

} // namespace

std::vector<row> registration_rows() {
    const auto small = [] { return register_bytes(page); };
    const auto small_window = [] { return make_window(page); };
    return {
        {.about = {"register-64g", "ibv_reg_mr() of 64 GiB, explicit, nothing touched",
                   "instructions", "4 KiB, the same run", bar::ratio_at_most(1.2)},
         .ours = [] { return register_bytes(64 * gib); },
         .beside = small},
        {.about = {"register-implicit", "ibv_reg_mr() of the whole address space", "instructions",
                   "4 KiB, the same run", bar::ratio_at_most(1.2)},
         .ours = register_implicit,
         .beside = small},
        {.about = {"register-1g", "ibv_reg_mr() of 1 GiB, nothing touched", "instructions",
                   "upstream", bar::ratio_at_most(0.001)},
         .ours = [] { return register_bytes(gib); },
         .upstream = [] { return register_bytes(gib); }},
        {.about = {"register-1g-touched", "the same where the CPU has every page mapped",
                   "instructions", "upstream", bar::ratio_at_most(0.001)},
         .ours = [] { return register_bytes(gib, before::touched); },
         .upstream = [] { return register_bytes(gib, before::touched); }},
        {.about = {"register-4k",
                   "ibv_reg_mr() of 4 KiB, nothing touched",
                   "instructions",
                   "upstream",
                   {}},
         .ours = small,
         .upstream = small},
        {.about = {"window-64g", "a window of 64 GiB on the test device, nothing touched",
                   "instructions", "4 KiB, the same run", bar::ratio_at_most(1.2)},
         .ours = [] { return make_window(64 * gib); },
         .beside = small_window},
        {.about = {"window-implicit", "a window of the whole address space on the test device",
                   "instructions", "4 KiB, the same run", bar::ratio_at_most(1.2)},
         .ours = make_whole_window,
         .beside = small_window},
    };
}

} // namespace odp_bench
