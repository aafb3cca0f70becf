// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// lab/kernels/check-config: a kernel is not built without what was asked for. The script alone; no
// kernel is built for it.

#include "process.hpp"
#include "scratch.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <sstream>
#include <string>
#include <vector>

namespace {

using namespace lab_test;

class CheckConfig : public testing::Test {
  protected:
    outcome check(const std::string &config, const std::vector<std::string> &fragments) {
        write_file(directory / "config", config);
        std::vector<std::string> arguments = {directory / "config"};
        for (const std::string &fragment : fragments) {
            arguments.push_back(directory / ("fragment" + std::to_string(arguments.size())));
            write_file(arguments.back(), fragment);
        }
        const std::filesystem::path checkout =
            std::filesystem::path(std::getenv("ODPLAB")).parent_path();
        return run_lab({.arguments = arguments, .program = checkout / "lab/kernels/check-config"});
    }

    scratch directory;
};

TEST_F(CheckConfig, TakesWhatIsThere) {
    const outcome end =
        check("CONFIG_A=y\nCONFIG_B=m\n# CONFIG_C is not set\nCONFIG_D=17\n",
              {"# why\nCONFIG_A=y\nCONFIG_B=m\n", "# CONFIG_C is not set\nCONFIG_D=17\n"});
    EXPECT_EQ(end.status, 0) << end.error;
    EXPECT_EQ(end.error, "");
}

// Not there, something else, a module instead of built in, there although it should not be.
TEST_F(CheckConfig, NamesEverySymbolThatIsNotAsAskedFor) {
    const outcome end =
        check("CONFIG_KASAN_OUTLINE=y\nCONFIG_XFS_FS=m\nCONFIG_BITS=15\nCONFIG_XEN=y\n",
              {"CONFIG_KASAN=y\nCONFIG_XFS_FS=y\nCONFIG_BITS=17\n"
               "# CONFIG_XEN is not set\nCONFIG_KASAN_OUTLINE=y\n"});
    EXPECT_EQ(end.status, 1);
    for (const std::string word :
         {"CONFIG_KASAN is n,", "CONFIG_XFS_FS is m,", "CONFIG_BITS is 15,", "CONFIG_XEN is y,"})
        EXPECT_NE(end.error.find(word), std::string::npos)
            << "no '" << word << "' in: " << end.error;
    EXPECT_EQ(end.error.find("OUTLINE"), std::string::npos) << end.error;
}

TEST_F(CheckConfig, TakesTheLaterOfTwoFragments) {
    EXPECT_EQ(check("CONFIG_A=y\n", {"# CONFIG_A is not set\n", "CONFIG_A=y\n"}).status, 0);
    EXPECT_EQ(check("CONFIG_A=y\n", {"CONFIG_A=y\n", "# CONFIG_A is not set\n"}).status, 1);
}

// What depends on something that is not there does not appear at all.
TEST_F(CheckConfig, TakesAnAbsentSymbolForOneThatIsOff) {
    EXPECT_EQ(check("CONFIG_A=y\n", {"# CONFIG_B is not set\n"}).status, 0);
}

// The fragments of the checkout ask for something, each line in a form that the check reads.
TEST_F(CheckConfig, ReadsTheFragmentsOfTheLab) {
    const std::filesystem::path lab =
        std::filesystem::path(std::getenv("ODPLAB")).parent_path() / "lab/kernels";
    for (const std::string name : {"guest.config", "debug.config", "kcsan.config"}) {
        std::size_t asked = 0;
        std::istringstream lines(read_file(lab / name));
        for (std::string line; std::getline(lines, line);)
            asked += line.starts_with("CONFIG_");
        const outcome end = check("", {read_file(lab / name)});
        EXPECT_EQ(end.status, 1);
        EXPECT_EQ(std::ranges::count(end.error, '\n'), asked) << end.error;
    }
}

} // namespace
