// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// What an implicit MR costs a process where the device never was: munmap() and MADV_DONTNEED of
// memory that only the CPU touched. The device has one page elsewhere, so that the process has a
// notifier. The baseline is a process that never registered anything.

#include "advise.hpp"
#include "arena.hpp"
#include "callbacks.hpp"
#include "clock.hpp"
#include "row.hpp"
#include "verbs.hpp"

#include "error.hpp"

#include <array>
#include <cstring>
#include <optional>

namespace odp_bench {

namespace {

using odp_test::device;
using odp_test::mapping;
using odp_test::must;
using odp_test::region;

enum class event { munmap, dontneed };

struct owner {
    device rxe;
    mapping elsewhere{page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
                      0,    odp_test::lonely_va()};
    std::optional<region> implicit;

    explicit owner(bool registers) {
        std::memset(elsewhere.data(), 1, elsewhere.size());
        if (!registers)
            return;
        implicit = must(region::implicit(rxe, odp_test::odp_access));
        const std::array pieces{implicit->sge(elsewhere.data(), page)};
        const int error = odp_test::advise(rxe, IB_UVERBS_ADVISE_MR_ADVICE_PREFETCH_WRITE,
                                           IB_UVERBS_ADVISE_MR_FLAG_FLUSH, pieces);
        if (error != 0)
            odp_test::fail_with(error, "prefetching a page");
    }
};

void raise(event what, mapping &map) {
    if (what == event::munmap)
        map.unmap();
    else
        map.advise(MADV_DONTNEED);
}

double event_cost(event what, std::size_t length, bool registers) {
    const owner process(registers);
    return middle_of(9, [&] {
        auto map = arena(length);
        std::memset(map.data(), 1, map.size());
        return cost([&] { raise(what, map); });
    });
}

double event_callbacks(event what) {
    const owner process(true);
    auto map = arena(2 * mib);
    std::memset(map.data(), 1, map.size());
    const callback_count callbacks;
    raise(what, map);
    return static_cast<double>(callbacks.count());
}

row cost_row(const char *name, const char *text, event what, std::size_t length) {
    return {.about = {name, text, "instructions", "without an MR", bar::ratio_at_most(1.02)},
            .ours = [=] { return event_cost(what, length, true); },
            .beside = [=] { return event_cost(what, length, false); }};
}

row callbacks_row(const char *name, const char *text, event what) {
    return {.about = {name, text, "calls", "", bar::at_most(0)},
            .ours = [=] { return event_callbacks(what); }};
}

} // namespace

std::vector<row> untouched_rows() {
    return {
        cost_row("untouched-munmap", "munmap() of 2 MiB that only the CPU touched, implicit MR",
                 event::munmap, 2 * mib),
        cost_row("untouched-dontneed", "MADV_DONTNEED of the same", event::dontneed, 2 * mib),
        cost_row("untouched-munmap-4k", "munmap() of 4 KiB that only the CPU touched, implicit MR",
                 event::munmap, page),
        cost_row("untouched-dontneed-4k", "MADV_DONTNEED of the same", event::dontneed, page),
        callbacks_row("untouched-munmap-callbacks", "notifier callbacks of that munmap()",
                      event::munmap),
        callbacks_row("untouched-dontneed-callbacks", "notifier callbacks of that MADV_DONTNEED",
                      event::dontneed),
    };
}

} // namespace odp_bench
