// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// What a row of the benchmark's table says, and how samples become a verdict. Nothing here
// measures: it works on numbers, so that a host test can feed it some.

#pragma once

#include <optional>
#include <string>
#include <vector>

namespace odp_bench {

/// What has to hold. A ratio is that of the medians, ours over the baseline's.
struct bar {
    enum class kind {
        none,           ///< the figure is there to be read
        ratio_at_least, ///< ours is at least limit times the baseline
        ratio_at_most,  ///< ours is at most limit times the baseline
        at_most,        ///< ours is at most limit, in the metric's unit
        at_least,       ///< ours is at least limit
    };

    kind what = kind::none;
    double limit = 0;

    static bar ratio_at_most(double limit) { return {kind::ratio_at_most, limit}; }
    static bar ratio_at_least(double limit) { return {kind::ratio_at_least, limit}; }
    static bar at_most(double limit) { return {kind::at_most, limit}; }
    static bar at_least(double limit) { return {kind::at_least, limit}; }
    bool is_of_ratio() const { return what == kind::ratio_at_most || what == kind::ratio_at_least; }
    bool is_least() const { return what == kind::at_least || what == kind::ratio_at_least; }
    /// "ratio <= 1.15", ">= 1.8", "" for none.
    std::string text() const;
};

/// A row, without its numbers.
struct metric {
    std::string name;
    std::string what;
    std::string unit;          ///< of a sample
    std::string baseline = {}; ///< what ours is compared with; empty: with nothing
    bar limit = {};
};

/// One side's samples, in the order in which they were taken.
using samples = std::vector<double>;

/// The middle one; of an even number, the mean of the two in the middle. @taken is not empty.
double median(samples taken);

/// Largest minus smallest, as a part of the median; 0 if all are equal.
double spread(const samples &taken);

/// A row with its numbers.
struct measured {
    metric about;
    samples ours;             ///< empty: not measured
    samples baseline;         ///< empty: there is none, or it was not measured
    std::string trouble = {}; ///< why it could not be measured; then there are no samples

    /// Of the medians; nothing if a side is missing or the baseline is 0.
    std::optional<double> ratio() const;
    /// What the bar is about: the ratio, or the median of ours.
    std::optional<double> judged() const;
    /// "ok", "misses by 12.3 %", "misses: 3 instead of 0" for a limit of 0, "-" without a bar, "not
    /// measured" when what the bar is about is missing.
    std::string verdict() const;
};

} // namespace odp_bench
