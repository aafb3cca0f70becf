// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// The pattern is a 64-bit mixing function of (seed, index of the 8-byte word), so that a word costs
// one evaluation: filling a buffer is cheap even in an emulated guest.

#include "pattern.hpp"

#include <cstdlib>
#include <cstring>
#include <format>
#include <random>
#include <stdexcept>

namespace odp_test {

namespace {

// Multiply-and-shift rounds: every input bit reaches every output bit.
std::uint64_t mix(std::uint64_t value) {
    value ^= value >> 32;
    value *= 0xd6e8feb86659fd93;
    value ^= value >> 32;
    value *= 0xd6e8feb86659fd93;
    value ^= value >> 32;
    return value;
}

std::uint64_t word_at(std::uint64_t seed, std::uint64_t index) {
    return mix(mix(seed + 0x9e3779b97f4a7c15) + index);
}

// Calls visit(offset, byte) for each byte of the pattern; whole words where the range allows.
template <class visitor_type>
void for_each_byte(std::size_t length, std::uint64_t seed, std::uint64_t position,
                   visitor_type visit) {
    std::size_t offset = 0;
    while (offset < length) {
        const std::uint64_t word = word_at(seed, (position + offset) / 8);
        for (auto byte = (position + offset) % 8; byte < 8 && offset < length; ++byte, ++offset)
            visit(offset, static_cast<std::uint8_t>(word >> (8 * byte)));
    }
}

} // namespace

void fill_pattern(std::span<std::uint8_t> bytes, std::uint64_t seed, std::uint64_t position) {
    for_each_byte(bytes.size(), seed, position,
                  [&](std::size_t offset, std::uint8_t byte) { bytes[offset] = byte; });
}

std::string mismatch::describe() const {
    if (wrong == 0)
        return std::format("all {} bytes equal", total);
    return std::format("{} of {} bytes wrong, first at offset {}: {:#04x} instead of {:#04x}",
                       wrong, total, first_wrong, found, expected);
}

mismatch compare_pattern(std::span<const std::uint8_t> bytes, std::uint64_t seed,
                         std::uint64_t position) {
    mismatch result{.total = bytes.size()};
    for_each_byte(bytes.size(), seed, position, [&](std::size_t offset, std::uint8_t byte) {
        if (bytes[offset] == byte)
            return;
        if (result.wrong++ == 0) {
            result.first_wrong = offset;
            result.expected = byte;
            result.found = bytes[offset];
        }
    });
    return result;
}

mismatch compare_bytes(std::span<const std::uint8_t> found,
                       std::span<const std::uint8_t> expected) {
    if (found.size() != expected.size())
        throw std::logic_error("compare_bytes needs two buffers of one length");
    mismatch result{.total = found.size()};
    if (std::memcmp(found.data(), expected.data(), found.size()) == 0)
        return result;
    for (std::size_t offset = 0; offset < found.size(); ++offset) {
        if (found[offset] == expected[offset])
            continue;
        if (result.wrong++ == 0) {
            result.first_wrong = offset;
            result.expected = expected[offset];
            result.found = found[offset];
        }
    }
    return result;
}

std::uint64_t random_source::next() {
    state_ += 0x9e3779b97f4a7c15;
    return mix(state_);
}

std::uint64_t random_source::between(std::uint64_t low, std::uint64_t high) {
    const std::uint64_t count = high - low + 1;
    return count == 0 ? next() : low + next() % count;
}

std::uint64_t run_seed() {
    static const std::uint64_t seed = [] {
        if (const char *text = std::getenv("ODP_TEST_SEED"))
            return std::strtoull(text, nullptr, 0);
        std::random_device entropy;
        return static_cast<unsigned long long>(entropy());
    }();
    return seed;
}

std::uint64_t named_seed(std::uint64_t seed, std::string_view name) {
    for (const char letter : name)
        seed = mix(seed + static_cast<std::uint8_t>(letter));
    return seed;
}

} // namespace odp_test
