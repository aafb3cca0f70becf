// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// A run of the benchmark as JSON: what `./odplab bench` prints a table of, and what a run on the
// unmodified driver hands to the one on ours as its baselines.

#pragma once

#include "metric.hpp"

#include <nlohmann/json_fwd.hpp>

#include <map>
#include <string>
#include <vector>

namespace odp_bench {

/// Samples by the name of their row.
using baselines = std::map<std::string, samples>;

/// {"kernel", "driver", "rows": [{"name", "what", "unit", "baseline", "bar", "limit", "ours": side,
/// "beside": side, "ratio", "verdict"}]}, where a side is {"samples", "median", "spread"} or null.
nlohmann::json report(const std::string &kernel, const std::string &driver,
                      const std::vector<measured> &rows);

/// What a report has under "beside". Throws nlohmann::json::exception if it is none.
baselines read_baselines(const nlohmann::json &earlier);

} // namespace odp_bench
