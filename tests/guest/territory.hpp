// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// Memory that one thread of the stress test owns, and what it must contain. Every byte follows from
// its offset here, a seed, and the generation in which it was last written, so what is lost, old or
// in the wrong place shows. Two accesses that run at the same time may leave either's result: then
// the territory is told which contents are allowed, and takes over what it finds.

#pragma once

#include "memory.hpp"
#include "pattern.hpp"

#include <atomic>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace odp_test {

/// Bytes of a territory.
struct extent {
    std::size_t start;
    std::size_t length;
};

class territory {
  public:
    /// @seed tells its contents from those of other territories.
    territory(memory_kind kind, std::uint64_t seed);
    territory(const territory &) = delete;
    territory &operator=(const territory &) = delete;

    static constexpr std::size_t size = std::size_t{4} << 20;

    memory_kind kind() const { return kind_; }
    bool is_private() const { return !has_file(kind_); }
    const file &backing() const { return backing_; }
    /// Where it is now. Other threads may ask; it moves under them.
    std::uint8_t *va(std::size_t offset = 0) const { return home_.load() + offset; }
    std::span<std::uint8_t> bytes(extent where) const { return {va(where.start), where.length}; }

    /// At least one and at most @longest bytes.
    static extent pick(random_source &random, std::size_t longest);
    /// Whole pages.
    static extent pick_pages(random_source &random, std::size_t longest);

    /// What @where contains after it was written in @generation.
    std::vector<std::uint8_t> stamp(extent where, std::uint64_t generation) const;
    /// What it must contain now.
    std::span<const std::uint8_t> expected(extent where) const {
        return std::span(shadow_).subspan(where.start, where.length);
    }
    void expect(extent where, std::span<const std::uint8_t> content);
    void expect_zeros(extent where);

    /// Throws, with the address and what was expected and found, unless @found is what it must be.
    void check(extent where, std::span<const std::uint8_t> found, const char *seen_by) const;
    /// The same for each piece of @found with one of @allowed; the choice is one for each piece.
    void check_any(extent where, std::span<const std::uint8_t> found, const char *seen_by,
                   std::initializer_list<std::span<const std::uint8_t>> allowed) const;
    /// Takes over what the CPU sees, if that is allowed.
    void settle(extent where, std::initializer_list<std::span<const std::uint8_t>> allowed);

    void map() const;
    void unmap() const;
    /// To its other address.
    void move();

  private:
    [[noreturn]] void fail(extent where, std::span<const std::uint8_t> found,
                           std::span<const std::uint8_t> expected, std::size_t at,
                           const char *seen_by) const;

    memory_kind kind_;
    std::uint64_t seed_;
    file backing_;
    std::uint8_t *homes_[2];
    std::atomic<std::uint8_t *> home_;
    std::vector<std::uint8_t> shadow_;
};

/// What a punched hole contains.
std::span<const std::uint8_t> zeros(std::size_t length);

} // namespace odp_test
