// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// The benchmark's numbers: that a verdict follows from the samples and can be bad, and that the
// table has a row for everything that it promises.

#include "metric.hpp"
#include "report.hpp"
#include "resources.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <set>
#include <sstream>
#include <string>

namespace odp_bench {

namespace {

measured of(bar limit, samples ours, samples baseline = {}) {
    return {{.name = "row", .what = "", .unit = "", .limit = limit}, ours, baseline};
}

TEST(BenchMedian, IsTheMiddleOne) {
    EXPECT_EQ(median({9, 1, 5}), 5);
    EXPECT_EQ(median({9, 1, 5, 3}), 4);
    EXPECT_THROW(median({}), std::logic_error);
}

TEST(BenchSpread, IsAPartOfTheMedian) {
    EXPECT_DOUBLE_EQ(spread({90, 100, 110}), 0.2);
    EXPECT_EQ(spread({0, 0, 0}), 0);
}

TEST(BenchVerdict, OfARatioIsThatOfTheMedians) {
    const auto limit = bar::ratio_at_most(1.15);
    EXPECT_EQ(of(limit, {100, 115, 900}, {100, 100, 100}).verdict(), "ok");
    EXPECT_EQ(of(limit, {230}, {100}).verdict(), "misses by 100.0 %");
}

TEST(BenchVerdict, OfALeastRatioIsTheOtherWayRound) {
    const auto limit = bar::ratio_at_least(0.9);
    EXPECT_EQ(of(limit, {1.8}, {2}).verdict(), "ok");
    EXPECT_EQ(of(limit, {0.9}, {2}).verdict(), "misses by 50.0 %");
}

TEST(BenchVerdict, OfAFigureIsThatOfOurs) {
    EXPECT_EQ(of(bar::at_most(10), {10}).verdict(), "ok");
    EXPECT_EQ(of(bar::at_most(10), {11}).verdict(), "misses by 10.0 %");
    EXPECT_EQ(of(bar::at_least(10), {10}).verdict(), "ok");
    EXPECT_EQ(of(bar::at_least(10), {5}).verdict(), "misses by 50.0 %");
}

TEST(BenchVerdict, OfNothingAllowedNamesTheNumber) {
    EXPECT_EQ(of(bar::at_most(0), {0}).verdict(), "ok");
    EXPECT_EQ(of(bar::at_most(0), {3}).verdict(), "misses: 3 instead of 0");
}

TEST(BenchReport, SaysWhatWentWrong) {
    measured failed = of(bar::at_most(10), {});
    failed.trouble = "no memory";
    const auto row = report("7.3", "mirror", {failed}).at("rows").at(0);
    EXPECT_EQ(row.at("trouble"), "no memory");
    EXPECT_EQ(row.at("verdict"), "not measured");
}

TEST(BenchVerdict, IsNeverGoodWithoutNumbers) {
    EXPECT_EQ(of(bar::ratio_at_most(1), {1}).verdict(), "not measured");
    EXPECT_EQ(of(bar::ratio_at_most(1), {}, {1}).verdict(), "not measured");
    EXPECT_EQ(of(bar::ratio_at_most(1), {1}, {0}).verdict(), "not measured");
    EXPECT_EQ(of(bar::at_most(1), {}).verdict(), "not measured");
    EXPECT_EQ(of({}, {}).verdict(), "not measured");
    EXPECT_EQ(of({}, {1}).verdict(), "-");
}

TEST(BenchReport, HasEverySampleAndWhatFollows) {
    const auto answer =
        report("7.3", "mirror", {of(bar::ratio_at_most(1.5), {2, 3, 4}, {2, 2, 2})});
    const auto &row = answer.at("rows").at(0);
    EXPECT_EQ(row.at("ours").at("samples"), nlohmann::json({2.0, 3.0, 4.0}));
    EXPECT_EQ(row.at("ours").at("median"), 3);
    EXPECT_EQ(row.at("ratio"), 1.5);
    EXPECT_EQ(row.at("bar"), "ratio <= 1.5");
    EXPECT_EQ(row.at("verdict"), "ok");
}

TEST(BenchReport, GivesItsBaselinesToALaterRun) {
    const auto earlier = report("7.3", "upstream", {of({}, {}, {7, 8, 9}), of({}, {1})});
    EXPECT_EQ(read_baselines(earlier), (baselines{{"row", {7, 8, 9}}}));
    EXPECT_THROW(read_baselines(nlohmann::json::object()), nlohmann::json::exception);
}

TEST(BenchRows, HaveNamesOfTheirOwnAndAllThatIsPromised) {
    std::istringstream listed(odp_test::output_of(ODP_BENCH " --list"));
    std::set<std::string> names;
    for (std::string name, rest; listed >> name && std::getline(listed, rest);)
        EXPECT_TRUE(names.insert(name).second) << name << " is there twice";
    for (const char *const promised : {"register-64g",
                                       "register-implicit",
                                       "register-1g",
                                       "mr-table",
                                       "memory-64g",
                                       "munmap-10000",
                                       "munmap-10000-callbacks",
                                       "untouched-munmap",
                                       "untouched-dontneed",
                                       "untouched-munmap-callbacks",
                                       "invalidate-one",
                                       "hit-read-8",
                                       "hit-read-4k",
                                       "cold-read",
                                       "cold-write",
                                       "first-read",
                                       "first-write",
                                       "cold-2m",
                                       "cold-2m-faults",
                                       "scan-256m",
                                       "lost-faults",
                                       "scaling-hits",
                                       "scaling-faults",
                                       "returned-chunks",
                                       "returned-bytes",
                                       "returned-callbacks"})
        EXPECT_TRUE(names.contains(promised)) << "no row " << promised;
}

} // namespace

} // namespace odp_bench
