// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// Test data whose every byte depends on its 64-bit position and a seed. Constant fills hide a copy
// that takes the right amount from the wrong place; this does not: any shift by up to 2^64 bytes,
// any repeated or swapped packet and any other seed shows.

#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace odp_test {

/// Writes the pattern of @seed; bytes[0] is the byte of @position.
void fill_pattern(std::span<std::uint8_t> bytes, std::uint64_t seed, std::uint64_t position = 0);

/// What a comparison found.
struct mismatch {
    std::size_t wrong = 0;       ///< bytes that differ
    std::size_t total = 0;       ///< bytes compared
    std::size_t first_wrong = 0; ///< offset of the first one, when there is one
    std::uint8_t expected = 0;   ///< what should be there
    std::uint8_t found = 0;      ///< what is there

    /// "16335 of 16384 bytes wrong, first at offset 49: 0x3c instead of 0x81", or "all N bytes
    /// equal".
    std::string describe() const;
};

/// Compares with the pattern of @seed at @position.
mismatch compare_pattern(std::span<const std::uint8_t> bytes, std::uint64_t seed,
                         std::uint64_t position = 0);

/// Compares two buffers of one length.
mismatch compare_bytes(std::span<const std::uint8_t> found, std::span<const std::uint8_t> expected);

/// A pseudo-random stream that is the same for the same seed on every machine.
class random_source {
  public:
    explicit random_source(std::uint64_t seed) : state_(seed) {}
    std::uint64_t next();
    /// Uniform enough for tests; from @low to @high, both included.
    std::uint64_t between(std::uint64_t low, std::uint64_t high);

  private:
    std::uint64_t state_;
};

/// The seed of this run: ODP_TEST_SEED, or a new one.
std::uint64_t run_seed();

/// A seed of its own for the thing called @name in the run of @seed.
std::uint64_t named_seed(std::uint64_t seed, std::string_view name);

} // namespace odp_test
