// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// JSON of report.hpp.

#include "report.hpp"

#include <nlohmann/json.hpp>

namespace odp_bench {

namespace {

using nlohmann::json;

json side(const samples &taken) {
    if (taken.empty())
        return nullptr;
    return {{"samples", taken}, {"median", median(taken)}, {"spread", spread(taken)}};
}

template <class value_type>
json or_null(const std::optional<value_type> &value) {
    return value ? json(*value) : json(nullptr);
}

json row(const measured &one) {
    return {{"name", one.about.name},        {"what", one.about.what},
            {"unit", one.about.unit},        {"baseline", one.about.baseline},
            {"bar", one.about.limit.text()}, {"limit", one.about.limit.limit},
            {"ours", side(one.ours)},        {"beside", side(one.baseline)},
            {"ratio", or_null(one.ratio())}, {"verdict", one.verdict()},
            {"trouble", one.trouble}};
}

} // namespace

json report(const std::string &kernel, const std::string &driver,
            const std::vector<measured> &rows) {
    json list = json::array();
    for (const auto &one : rows)
        list.push_back(row(one));
    return {{"kernel", kernel}, {"driver", driver}, {"rows", std::move(list)}};
}

baselines read_baselines(const json &earlier) {
    baselines found;
    for (const auto &one : earlier.at("rows"))
        if (!one.at("beside").is_null())
            found[one.at("name").get<std::string>()] =
                one.at("beside").at("samples").get<samples>();
    return found;
}

} // namespace odp_bench
