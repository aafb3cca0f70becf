// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// The main function of the lab's test programs.

#include <gtest/gtest.h>

int main(int argc, char **argv) {
    ::testing::InitGoogleTest(&argc, argv);
    return RUN_ALL_TESTS();
}
