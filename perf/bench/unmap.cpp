// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// munmap() of a page that many MRs lie over, and that the device has.

#include "advise.hpp"
#include "arena.hpp"
#include "callbacks.hpp"
#include "clock.hpp"
#include "row.hpp"
#include "verbs.hpp"

#include "error.hpp"

#include <array>
#include <functional>
#include <utility>
#include <vector>

namespace odp_bench {

namespace {

using odp_test::device;
using odp_test::must;
using odp_test::odp_access;
using odp_test::region;

constexpr int many = 10'000;
constexpr std::size_t unmaps = 9;
constexpr std::size_t buffer_length = 2 * unmaps * page;

using measure_page = std::function<double(void *va)>;

void fetch(const device &rxe, const region &mr, const void *va) {
    const std::array pieces{mr.sge(va, page)};
    const int error = odp_test::advise(rxe, IB_UVERBS_ADVISE_MR_ADVICE_PREFETCH_WRITE,
                                       IB_UVERBS_ADVISE_MR_FLAG_FLUSH, pieces);
    if (error != 0)
        odp_test::fail_with(error, "prefetching a page");
}

// @unmap gets a page that the device has, every second one of the buffer.
double with_regions(int count, const measure_page &unmap) {
    const device rxe;
    const auto map = arena(buffer_length);
    std::vector<region> regions;
    regions.reserve(static_cast<std::size_t>(count));
    for (int i = 0; i < count; ++i)
        regions.push_back(must(region::over(rxe, map.data(), map.size(), odp_access)));
    auto *next = map.data();
    return middle_of(unmaps, [&] {
        auto *const victim = std::exchange(next, next + 2 * page);
        fetch(rxe, regions.front(), victim);
        return unmap(victim);
    });
}

void unmap_page(void *va) {
    odp_test::checked(munmap(va, page), "unmapping a page");
}

double unmap_cost(int count) {
    return with_regions(count, [](void *va) { return cost([&] { unmap_page(va); }); });
}

double unmap_callbacks(int count) {
    return with_regions(count, [](void *va) {
        const callback_count callbacks;
        unmap_page(va);
        return static_cast<double>(callbacks.count());
    });
}

} // namespace

std::vector<row> unmap_rows() {
    return {
        {.about = {"munmap-10000", "munmap() of a page under 10,000 MRs", "instructions",
                   "under 1 MR, the same run", bar::ratio_at_most(1.1)},
         .ours = [] { return unmap_cost(many); },
         .beside = [] { return unmap_cost(1); }},
        {.about = {"munmap-10000-upstream", "the same", "instructions", "upstream", {}},
         .ours = [] { return unmap_cost(many); },
         .upstream = [] { return unmap_cost(many); }},
        {.about = {"munmap-10000-callbacks", "notifier callbacks of that munmap()", "calls",
                   "upstream", bar::at_most(1)},
         .ours = [] { return unmap_callbacks(many); },
         .upstream = [] { return unmap_callbacks(many); }},
    };
}

} // namespace odp_bench
