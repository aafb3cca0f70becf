// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// The unmodified driver shows the defects that regression_test.cpp asserts to be gone. A test that
// fails here means that this kernel has mended something, and that our case no longer proves
// anything.

#include "defects.hpp"

#include <gtest/gtest.h>

#include <cerrno>

namespace odp_test {

namespace {

class UpstreamDefect : public ::testing::Test {
  protected:
    const device dev;
};

TEST_F(UpstreamDefect, WriteOfManyPacketsArrivesWrong) {
    const auto result = write_of_many_packets(dev);
    EXPECT_GT(result.wrong, 0U) << result.describe();
}

TEST_F(UpstreamDefect, ReadOfManyPacketsArrivesWrong) {
    const auto result = read_of_many_packets(dev);
    EXPECT_GT(result.wrong, 0U) << result.describe();
}

TEST_F(UpstreamDefect, WriteIntoLazilyFreedPageIsLost) {
    const auto result = write_into_lazily_freed_page(dev);
    EXPECT_GT(result.wrong, 0U) << result.describe();
}

TEST_F(UpstreamDefect, WriteIntoCleanTmpfsPageIsLost) {
    const auto result = write_into_clean_tmpfs_page(dev);
    EXPECT_GT(result.wrong, 0U) << result.describe();
}

TEST_F(UpstreamDefect, LargeRegistrationsAreRefused) {
    const auto result = register_large(dev);
    EXPECT_EQ(result.of_4_gib, EINVAL);
    EXPECT_EQ(result.of_16_gib, EINVAL);
    EXPECT_EQ(result.of_64_gib, EINVAL);
}

TEST_F(UpstreamDefect, RegistrationCostGrowsWithTheLength) {
    EXPECT_GT(cost_of_registering_1_gib(dev), 10);
}

TEST_F(UpstreamDefect, FlushOfALargeMrLooksAtItsFirstPageOnly) {
    EXPECT_EQ(flush_whole_large_mr(dev), IBV_WC_SUCCESS);
}

TEST_F(UpstreamDefect, MemoryWindowDoesNotEnd) {
    EXPECT_EQ(write_beyond_a_memory_window(dev), IBV_WC_SUCCESS);
}

TEST_F(UpstreamDefect, AnonymousMemoryIsSaidToLast) {
    EXPECT_EQ(flush_anonymous_memory(dev), IBV_WC_SUCCESS);
}

TEST_F(UpstreamDefect, PrefetchOfAReadOnlyMrIsRefused) {
    EXPECT_NE(prefetch_read_only(dev), 0);
}

TEST_F(UpstreamDefect, ImplicitRegistrationIsRefused) {
    EXPECT_NE(register_implicit(dev), 0);
    EXPECT_EQ(dev.attributes().odp_caps.general_caps & IBV_ODP_SUPPORT_IMPLICIT, 0U);
}

} // namespace

} // namespace odp_test
