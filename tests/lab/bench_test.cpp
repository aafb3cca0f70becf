// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// `./odplab bench`: that the rows asked for, and no others, are measured in all guests that they
// need, and that everything that was measured is in the JSON.

#include "process.hpp"
#include "scratch.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <string>

namespace {

using namespace lab_test;
using nlohmann::json;

void expect_side(const json &row, const char *side) {
    ASSERT_TRUE(row.at(side).is_object()) << row;
    ASSERT_EQ(row.at(side).at("samples").size(), 1U) << row;
    EXPECT_GT(row.at(side).at("median").get<double>(), 0) << row;
}

// One row with a baseline of the unmodified driver, one with a baseline beside it.
TEST(Bench, MeasuresTheRowsThatAreAskedForAndSavesThem) {
    const scratch place;
    const auto file = place / "bench.json";
    const outcome end = run_lab({.arguments = {"bench", "--only", "register-[4i]*", "--samples",
                                               "1", "--json", file.string()}});
    ASSERT_EQ(end.status, 0) << end.out << end.error;
    const json report = json::parse(read_file(file));
    ASSERT_EQ(report.at("rows").size(), 2U) << report;
    for (const auto &row : report.at("rows")) {
        expect_side(row, "ours");
        expect_side(row, "beside");
        EXPECT_NE(row.at("verdict"), "not measured") << row;
        EXPECT_NE(end.out.find(row.at("name").get<std::string>()), std::string::npos) << end.out;
    }
}

} // namespace
