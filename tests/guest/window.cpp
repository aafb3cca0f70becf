// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// Windows over memory and their shadows; see window.hpp.

#include "window.hpp"

#include <algorithm>
#include <ostream>
#include <stdexcept>

namespace odp_test {

std::string window_name(window_kind kind) {
    switch (kind) {
    case window_kind::exact:
        return "Explicit";
    case window_kind::implicit:
        return "Implicit";
    case window_kind::iova_low:
        return "IovaLow";
    case window_kind::iova_high:
        return "IovaHigh";
    }
    throw std::logic_error("unknown window kind");
}

void PrintTo(window_kind kind, std::ostream *out) {
    *out << window_name(kind);
}

region register_window(const device &device, window_kind kind, const void *va, std::size_t length,
                       int access) {
    switch (kind) {
    case window_kind::exact:
        return must(region::over(device, va, length, access));
    case window_kind::implicit:
        return must(region::implicit(device, access));
    case window_kind::iova_low: {
        const auto offset = reinterpret_cast<std::uintptr_t>(va) % page_size();
        return must(region::at_iova(device, va, length, offset, access));
    }
    case window_kind::iova_high:
        return must(region::at_iova(device, va, length, std::uint64_t{0} - length, access));
    }
    throw std::logic_error("unknown window kind");
}

odp_area::odp_area(const device &device, memory_kind kind, window_kind window,
                   random_source &random, int access)
    : random_(random), memory_(kind, size), shadow_(size), window_(choose_window(window, random)),
      mr_(register_window(device, window, memory_.map.data() + window_.start, window_.length,
                          access)) {
    touch_some_pages();
}

piece odp_area::choose_window(window_kind window, random_source &random) {
    const std::size_t start = page_size() + random.between(1, page_size() - 1);
    // The iova's offset in the page is the va's: only a page-aligned end can be the last byte of
    // all.
    const std::size_t tail = window == window_kind::iova_high
                                 ? page_size()
                                 : page_size() + random.between(1, page_size() - 1);
    return {start, size - start - tail};
}

void odp_area::touch_some_pages() {
    for (std::size_t start = 0; start < size; start += page_size()) {
        const auto page = memory_.map.bytes(start, page_size());
        switch (random_.between(0, 2)) {
        case 0:
            break; // a hole
        case 1: {
            const volatile std::uint8_t *const first = page.data();
            [[maybe_unused]] const std::uint8_t zero = *first; // present, clean
            break;
        }
        default:
            fill_pattern(page, random_.next());
            std::ranges::copy(page, shadow_.begin() + static_cast<std::ptrdiff_t>(start));
        }
    }
}

piece odp_area::pick(std::size_t length, std::size_t alignment) {
    const std::size_t room = window_.length - length - (alignment - 1);
    std::size_t start = window_.start + random_.between(0, room);
    start = (start + alignment - 1) / alignment * alignment;
    return {start, length};
}

void odp_area::verify() const {
    EXPECT_TRUE(matches(compare_bytes(memory_.map.bytes(), shadow_))) << "in the mapping";
    if (!has_file(memory_.kind))
        return;
    std::vector<std::uint8_t> stored(size);
    memory_.backing.read(stored, 0);
    EXPECT_TRUE(matches(compare_bytes(stored, shadow_))) << "in the file";
}

} // namespace odp_test
