// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// What the driver's part in an invalidation of 1 GiB costs: MADV_DONTNEED with the pages in the
// device's table, less the same before anything was registered.

#include "advise.hpp"
#include "arena.hpp"
#include "clock.hpp"
#include "meter.hpp"
#include "row.hpp"
#include "verbs.hpp"

#include "error.hpp"

#include <array>

namespace odp_bench {

namespace {

using odp_test::device;
using odp_test::mapping;
using odp_test::mirror_window;
using odp_test::must;
using odp_test::region;

// One time of all of it takes as long as hundreds of times of one page, and wavers less.
constexpr int times(std::size_t length) {
    return length == page ? 9 : 1;
}

// A page in the middle of its 2 MiB.
constexpr std::size_t one_page = 256 * page;

void populate(const mapping &map, std::size_t start, std::size_t length) {
    odp_test::checked(madvise(map.data() + start, length, MADV_POPULATE_READ), "populating");
}

double drop(const mapping &map) {
    return cost([&] { map.advise(MADV_DONTNEED); });
}

double drop_without(const mapping &map, std::size_t start, std::size_t length) {
    return middle_of(times(length), [&] {
        populate(map, start, length);
        return drop(map);
    });
}

double mirrored(std::size_t start, std::size_t length) {
    const odp_test::test_device opened;
    const auto map = arena(gib);
    const double without = drop_without(map, start, length);
    const mirror_window window(opened);
    return middle_of(times(length), [&] {
        populate(map, start, length);
        const int error = window.prefetch(odp_test::whole_iova(map.data() + start), length,
                                          ODP_TEST_PREFETCH_READ);
        if (error != 0)
            odp_test::fail_with(error, "prefetching");
        return drop(map) - without;
    });
}

double upstream_one() {
    const auto map = arena(gib);
    const double without = drop_without(map, one_page, page);
    const device rxe;
    const auto mr = must(region::over(rxe, map.data(), map.size(), odp_test::odp_access));
    return middle_of(times(page), [&] {
        populate(map, one_page, page);
        const std::array pieces{mr.sge(map.data() + one_page, page)};
        const int error = odp_test::advise(rxe, IB_UVERBS_ADVISE_MR_ADVICE_PREFETCH,
                                           IB_UVERBS_ADVISE_MR_FLAG_FLUSH, pieces);
        if (error != 0)
            odp_test::fail_with(error, "prefetching a page");
        return drop(map) - without;
    });
}

} // namespace

std::vector<row> invalidate_rows() {
    const auto one = [] { return mirrored(one_page, page); };
    return {
        {.about = {"invalidate-one", "invalidating 1 GiB with one page mapped", "instructions",
                   "upstream", bar::ratio_at_most(0.01)},
         .ours = one,
         .upstream = upstream_one},
        {.about = {"invalidate-one-of-all",
                   "the same",
                   "instructions",
                   "with all of it mapped, the same run",
                   {}},
         .ours = one,
         .beside = [] { return mirrored(0, gib); }},
    };
}

} // namespace odp_bench
