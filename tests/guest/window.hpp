// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// An on-demand window over memory of some kind, together with what that memory must contain. The
// matrix test changes memory through RDMA and the shadow by hand, and compares the whole of both at
// the end: the bytes that were meant to change, the rest of the window, and the guard bytes in the
// pages around it.

#pragma once

#include "fixture.hpp"

#include <iosfwd>
#include <string>
#include <vector>

namespace odp_test {

enum class window_kind {
    exact,     ///< an explicit MR, iova = va
    implicit,  ///< the whole address space
    iova_low,  ///< an explicit MR whose iova begins in the first page
    iova_high, ///< an explicit MR whose iova ends at 2^64 - 1
};

std::string window_name(window_kind kind);

/// How GoogleTest prints it.
void PrintTo(window_kind kind, std::ostream *out);

/// The region of @kind over [va, va + length). For iova_high, va + length must be page-aligned.
region register_window(const device &device, window_kind kind, const void *va, std::size_t length,
                       int access);

/// A piece of an area, as offsets in its mapping.
struct piece {
    std::size_t start;
    std::size_t length;
};

class odp_area {
  public:
    /// Makes the memory, leaves each page at random untouched, read or written, and registers a
    /// part of it that begins within a page and, where the window allows, ends within one.
    odp_area(const device &device, memory_kind memory, window_kind window, random_source &random,
             int access = odp_access);

    /// A random piece of exactly @length bytes inside the window, at a multiple of @alignment.
    piece pick(std::size_t length, std::size_t alignment = 1);

    std::uint8_t *va(piece where) const { return memory_.map.data() + where.start; }
    ibv_sge sge(piece where) const { return mr_.sge(va(where), where.length); }
    remote_target target(piece where) const { return mr_.target(va(where)); }
    std::span<std::uint8_t> expected(piece where) {
        return std::span(shadow_).subspan(where.start, where.length);
    }
    const region &mr() const { return mr_; }
    const memory &mem() const { return memory_; }

    /// The mapping, and the file behind it if there is one, against the shadow.
    void verify() const;

    /// Big enough for the longest transfer and several hundred pages of spread.
    static constexpr std::size_t size = 640UZ * 1024;

  private:
    static piece choose_window(window_kind window, random_source &random);
    void touch_some_pages();

    random_source &random_;
    memory memory_;
    std::vector<std::uint8_t> shadow_;
    piece window_;
    region mr_;
};

} // namespace odp_test
