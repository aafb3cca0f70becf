// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// Territories; see territory.hpp. A device stores a page or a packet at a time, so the pieces of
// which each has one origin are at most 64 bytes from the start of the access on, and end with
// their page.

#include "territory.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <format>
#include <stdexcept>

namespace odp_test {

namespace {

constexpr std::size_t longest_piece = 64;
constexpr std::size_t huge_page = std::size_t{2} << 20;

bool same(std::span<const std::uint8_t> one, std::span<const std::uint8_t> other) {
    return std::memcmp(one.data(), other.data(), one.size()) == 0;
}

/// Of every order of magnitude about as often.
std::size_t pick_length(random_source &random, std::size_t longest) {
    const auto orders = static_cast<std::uint64_t>(std::bit_width(longest));
    return random.between(1, std::max<std::size_t>(1, longest >> random.between(0, orders - 1)));
}

/// An address where a huge page fits, in a place of its own.
std::uint8_t *new_home() {
    const auto va = reinterpret_cast<std::uintptr_t>(lonely_va());
    return reinterpret_cast<std::uint8_t *>((va + huge_page - 1) / huge_page * huge_page);
}

} // namespace

territory::territory(memory_kind kind, std::uint64_t seed)
    : kind_(kind), seed_(seed), homes_{new_home(), new_home()}, home_(homes_[0]), shadow_(size) {
    if (has_file(kind_)) {
        backing_ = make_file(kind_);
        backing_.truncate(size);
    }
    map();
}

extent territory::pick(random_source &random, std::size_t longest) {
    const std::size_t length = pick_length(random, longest);
    return {random.between(0, size - length), length};
}

extent territory::pick_pages(random_source &random, std::size_t longest) {
    const std::size_t npages = pick_length(random, longest / page_size());
    return {random.between(0, size / page_size() - npages) * page_size(), npages * page_size()};
}

std::vector<std::uint8_t> territory::stamp(extent where, std::uint64_t generation) const {
    std::vector<std::uint8_t> content(where.length);
    fill_pattern(content, seed_ + generation, where.start);
    return content;
}

void territory::expect(extent where, std::span<const std::uint8_t> content) {
    std::ranges::copy(content, shadow_.begin() + static_cast<std::ptrdiff_t>(where.start));
}

void territory::expect_zeros(extent where) {
    expect(where, zeros(where.length));
}

void territory::check(extent where, std::span<const std::uint8_t> found,
                      const char *seen_by) const {
    const auto wanted = expected(where);
    if (!same(found, wanted))
        fail(where, found, wanted, compare_bytes(found, wanted).first_wrong, seen_by);
}

void territory::check_any(extent where, std::span<const std::uint8_t> found, const char *seen_by,
                          std::initializer_list<std::span<const std::uint8_t>> allowed) const {
    for (std::size_t at = 0; at < where.length;) {
        const std::size_t to_page_end = page_size() - (where.start + at) % page_size();
        const std::size_t length =
            std::min({longest_piece - at % longest_piece, to_page_end, where.length - at});
        const auto piece = found.subspan(at, length);
        if (std::ranges::none_of(
                allowed, [&](auto content) { return same(piece, content.subspan(at, length)); })) {
            const auto wanted = *allowed.begin();
            const auto offset = compare_bytes(piece, wanted.subspan(at, length)).first_wrong;
            fail(where, found, wanted, at + offset, seen_by);
        }
        at += length;
    }
}

void territory::settle(extent where, std::initializer_list<std::span<const std::uint8_t>> allowed) {
    const auto now = bytes(where);
    const std::vector<std::uint8_t> found(now.begin(), now.end());
    check_any(where, found, "the CPU", allowed);
    expect(where, found);
}

void territory::map() const {
    const int flags = is_private() ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED;
    if (mmap(va(), size, PROT_READ | PROT_WRITE, flags | MAP_FIXED, backing_.descriptor(), 0) ==
        MAP_FAILED)
        fail_with_errno("mapping a territory");
}

void territory::unmap() const {
    checked(munmap(va(), size), "unmapping a territory");
}

void territory::move() {
    std::uint8_t *const target = homes_[home_.load() == homes_[0] ? 1 : 0];
    if (mremap(va(), size, size, MREMAP_MAYMOVE | MREMAP_FIXED, target) == MAP_FAILED)
        fail_with_errno("moving a territory");
    home_ = target;
}

void territory::fail(extent where, std::span<const std::uint8_t> found,
                     std::span<const std::uint8_t> expected, std::size_t at,
                     const char *seen_by) const {
    const auto words = [at](std::span<const std::uint8_t> content) {
        std::string text;
        for (const std::uint8_t byte :
             content.subspan(at, std::min<std::size_t>(8, content.size() - at)))
            text += std::format("{:02x}", byte);
        return text;
    };
    throw std::runtime_error(std::format(
        "{} memory at {} (offset {:#x}, {:#x} in an access of {:#x} bytes): expected {}, {} found "
        "{}",
        kind_name(kind_), static_cast<const void *>(va(where.start + at)), where.start + at, at,
        where.length, words(expected), seen_by, words(found)));
}

std::span<const std::uint8_t> zeros(std::size_t length) {
    static const std::vector<std::uint8_t> content(territory::size);
    return std::span(content).first(length);
}

} // namespace odp_test
