// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// The arithmetic of metric.hpp.

#include "metric.hpp"

#include <algorithm>
#include <format>
#include <stdexcept>

namespace odp_bench {

std::string bar::text() const {
    switch (what) {
    case kind::none:
        return "";
    case kind::ratio_at_most:
        return std::format("ratio <= {:g}", limit);
    case kind::ratio_at_least:
        return std::format("ratio >= {:g}", limit);
    case kind::at_most:
        return std::format("<= {:g}", limit);
    case kind::at_least:
        return std::format(">= {:g}", limit);
    }
    throw std::logic_error("a bar of a kind that there is not");
}

double median(samples taken) {
    if (taken.empty())
        throw std::logic_error("the median of no samples");
    std::ranges::sort(taken);
    const auto middle = taken.size() / 2;
    return taken.size() % 2 == 1 ? taken[middle] : (taken[middle - 1] + taken[middle]) / 2;
}

double spread(const samples &taken) {
    const auto [least, most] = std::ranges::minmax(taken);
    return least == most ? 0 : (most - least) / median(taken);
}

std::optional<double> measured::ratio() const {
    if (ours.empty() || baseline.empty() || median(baseline) == 0)
        return std::nullopt;
    return median(ours) / median(baseline);
}

std::optional<double> measured::judged() const {
    if (about.limit.is_of_ratio())
        return ratio();
    return ours.empty() ? std::nullopt : std::optional(median(ours));
}

std::string measured::verdict() const {
    const auto limit = about.limit.limit;
    const auto figure = judged();
    if (about.limit.what == bar::kind::none)
        return ours.empty() ? "not measured" : "-";
    if (!figure)
        return "not measured";
    const bool least = about.limit.is_least();
    if (least ? *figure >= limit : *figure <= limit)
        return "ok";
    if (limit == 0)
        return std::format("misses: {:g} instead of 0", *figure);
    const double by = least ? 1 - *figure / limit : *figure / limit - 1;
    return std::format("misses by {:.1f} %", 100 * by);
}

} // namespace odp_bench
