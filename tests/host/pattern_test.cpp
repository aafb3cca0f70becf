// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// The data that all other tests trust. If a comparison could not see a shifted, repeated or stale
// transfer, every test of a driver that makes one would pass.

#include "pattern.hpp"

#include <gtest/gtest.h>

#include <array>
#include <set>
#include <stdexcept>
#include <vector>

namespace odp_test {

namespace {

std::vector<std::uint8_t> pattern(std::size_t length, std::uint64_t seed,
                                  std::uint64_t position = 0) {
    std::vector<std::uint8_t> bytes(length);
    fill_pattern(bytes, seed, position);
    return bytes;
}

// Bytes of unrelated data agree once in 256; that is what "different" can mean for them.
bool is_unrelated(const mismatch &result) {
    return result.wrong > result.total * 98 / 100;
}

TEST(Pattern, APieceEqualsTheSamePlaceOfTheWhole) {
    const auto whole = pattern(10000, 42);
    for (const std::size_t start :
         {std::size_t{1}, std::size_t{7}, std::size_t{8}, std::size_t{4095}})
        for (const std::size_t length :
             {std::size_t{0}, std::size_t{1}, std::size_t{9}, std::size_t{5000}})
            EXPECT_EQ(compare_pattern(std::span(whole).subspan(start, length), 42, start).wrong, 0U)
                << "start " << start << " length " << length;
}

TEST(Pattern, AnyShiftShows) {
    const auto bytes = pattern(4096, 42);
    for (const std::uint64_t shift :
         {1ULL, 2ULL, 8ULL, 256ULL, 1024ULL, 4096ULL, 1ULL << 20, 1ULL << 32, 1ULL << 63})
        EXPECT_TRUE(is_unrelated(compare_pattern(bytes, 42, shift))) << "shift " << shift;
}

TEST(Pattern, AnotherSeedShows) {
    const auto bytes = pattern(4096, 42);
    for (const std::uint64_t seed : {0ULL, 41ULL, 43ULL, 42ULL + (1ULL << 40)})
        EXPECT_TRUE(is_unrelated(compare_pattern(bytes, seed))) << "seed " << seed;
}

TEST(Pattern, PacketsOfItDiffer) {
    constexpr std::size_t packet = 1024;
    const auto bytes = pattern(64 * packet, 42);
    std::set<std::vector<std::uint8_t>> packets;
    for (auto start = bytes.begin(); start != bytes.end(); start += packet)
        packets.emplace(start, start + packet);
    EXPECT_EQ(packets.size(), 64U);
}

TEST(Comparison, FindsOneWrongByteAndSaysWhere) {
    auto bytes = pattern(1000, 42);
    const std::uint8_t right = bytes[613];
    bytes[613] ^= 1;
    const auto result = compare_pattern(bytes, 42);
    EXPECT_EQ(result.wrong, 1U);
    EXPECT_EQ(result.total, 1000U);
    EXPECT_EQ(result.first_wrong, 613U);
    EXPECT_EQ(result.expected, right);
    EXPECT_EQ(result.found, right ^ 1);
    const auto same = compare_bytes(bytes, pattern(1000, 42));
    EXPECT_EQ(same.wrong, 1U);
    EXPECT_EQ(same.first_wrong, 613U);
}

TEST(Comparison, RefusesBuffersOfTwoLengths) {
    const std::array<std::uint8_t, 3> three{};
    const std::array<std::uint8_t, 4> four{};
    EXPECT_THROW(compare_bytes(three, four), std::logic_error);
}

TEST(RandomSource, StaysInItsBoundsAndReachesThem) {
    random_source random(42);
    std::set<std::uint64_t> seen;
    for (int i = 0; i < 1000; ++i)
        seen.insert(random.between(5, 9));
    EXPECT_EQ(seen, (std::set<std::uint64_t>{5, 6, 7, 8, 9}));
    EXPECT_EQ(random.between(3, 3), 3U);
}

TEST(RandomSource, RepeatsForOneSeedAndDiffersByName) {
    random_source first(42);
    random_source second(42);
    for (int i = 0; i < 100; ++i)
        EXPECT_EQ(first.next(), second.next());
    EXPECT_EQ(named_seed(42, "a test"), named_seed(42, "a test"));
    EXPECT_NE(named_seed(42, "a test"), named_seed(42, "b test"));
    EXPECT_NE(named_seed(42, "a test"), named_seed(43, "a test"));
}

} // namespace

} // namespace odp_test
