// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// The main function of every test program: prints the seed first, so that any failure below it can
// be repeated.

#include "pattern.hpp"

#include <gtest/gtest.h>

#include <cstdio>
#include <print>

int main(int argc, char **argv) {
    ::testing::InitGoogleTest(&argc, argv);
    std::println("seed {0} (ODP_TEST_SEED={0} repeats this run)", odp_test::run_seed());
    std::fflush(stdout);
    return RUN_ALL_TESTS();
}
