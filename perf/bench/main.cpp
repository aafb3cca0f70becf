// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// odp_bench: measures the rows that this guest can measure, and prints them as JSON. `./odplab
// bench` boots the guests and makes a table of it.
//
// On the unmodified driver it takes the baselines that only that one can give; a run on ours is
// given them by --baseline. With one processor it measures what the instruction clock is for, with
// more what needs two.

#include "report.hpp"
#include "row.hpp"

#include "error.hpp"

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <print>
#include <string>
#include <vector>

namespace {

using namespace odp_bench;

struct options {
    std::vector<std::string> only;
    std::string baseline;
    int count = samples_taken;
};

bool is_wanted(const row &one, const options &wanted) {
    return wanted.only.empty() || std::ranges::contains(wanted.only, one.about.name);
}

// One line a row: its name, and the guests that it needs.
void list_rows() {
    for (const auto &one : all_rows())
        std::println("{} {}{}", one.about.name, one.where == place::clock ? "clock" : "processors",
                     one.upstream ? " upstream" : "");
}

baselines given_baselines(const std::string &path) {
    if (path.empty())
        return {};
    std::ifstream file(path);
    return read_baselines(nlohmann::json::parse(file));
}

measured measure_row(const row &one, bool is_ours, const baselines &given, int count) {
    measured result{one.about, {}, {}};
    std::println(stderr, "{}", one.about.name);
    try {
        if (is_ours)
            take_samples(one.ours, result.ours, one.beside, result.baseline, count);
        else
            take_samples(one.upstream, result.baseline, {}, result.ours, count);
    } catch (const std::exception &error) {
        // The others' figures are good.
        return {.about = one.about, .ours = {}, .baseline = {}, .trouble = error.what()};
    }
    const auto found = given.find(one.about.name);
    if (found != given.end())
        result.baseline = found->second;
    return result;
}

std::vector<measured> measure_rows(const options &wanted, bool is_ours) {
    const auto given = given_baselines(wanted.baseline);
    const auto here = sysconf(_SC_NPROCESSORS_ONLN) == 1 ? place::clock : place::processors;
    std::vector<measured> results;
    for (const auto &one : all_rows())
        if (is_wanted(one, wanted) && one.where == here && (is_ours || one.upstream))
            results.push_back(measure_row(one, is_ours, given, wanted.count));
    return results;
}

void run(const options &wanted) {
    utsname system{};
    odp_test::checked(uname(&system), "asking for the kernel's name");
    const bool is_ours = std::filesystem::exists("/sys/module/odp_mirror");
    const auto results = measure_rows(wanted, is_ours);
    std::cout << report(system.release, is_ours ? "mirror" : "upstream", results).dump(1) << '\n';
}

} // namespace

int main(int argc, char **argv) {
    CLI::App app("Measures the mirror core and rxe's registration; prints JSON.");
    options wanted;
    bool only_list = false;
    app.add_option("--only", wanted.only, "Rows to measure, by name");
    app.add_option("--baseline", wanted.baseline, "JSON of a run on the unmodified driver")
        ->check(CLI::ExistingFile);
    app.add_option("--samples", wanted.count, "Samples of each side of a row")
        ->check(CLI::Range(1, 1000))
        ->capture_default_str();
    app.add_flag("--list", only_list, "Print the rows and where they are measured, and stop");
    try {
        app.parse(argc, argv);
        if (only_list)
            list_rows();
        else
            run(wanted);
        return 0;
    } catch (const CLI::ParseError &error) {
        return app.exit(error) == 0 ? 0 : 2;
    } catch (const std::exception &error) {
        std::println(stderr, "odp_bench: {}", error.what());
        return 1;
    }
}
