// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// What the tests of mm events share: memory of a kind, a way to access it as a device does, and the
// promise that the kernel's log stays silent. Each test first moves data through the mirror, so
// that it holds the pages that the event is about.

#pragma once

#include "fixture.hpp"
#include "memory_access.hpp"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace odp_test {

class MemoryEvents : public ::testing::TestWithParam<std::tuple<access_path, memory_kind>> {
  protected:
    MemoryEvents();
    void TearDown() override;

    static constexpr std::size_t npages = 16;
    /// In bytes. Of huge pages only the first page_size() bytes each have data.
    static std::size_t page(std::size_t index) { return index * unit_size(kind()); }
    static memory_kind kind() { return std::get<1>(GetParam()); }
    static access_path path() { return std::get<0>(GetParam()); }

    std::uint8_t *va(std::size_t index) const { return area.map.data() + page(index); }
    /// Writes the pattern of @data_seed to @count pages from page @first on; position 0 is the
    /// area's first byte.
    void write(std::size_t first, std::size_t count, std::uint64_t data_seed);
    ::testing::AssertionResult reads(std::size_t first, std::size_t count, std::uint64_t data_seed);
    ::testing::AssertionResult reads_zeros(std::size_t first, std::size_t count);
    /// The same by the CPU.
    void store(std::size_t first, std::size_t count, std::uint64_t data_seed) const;
    ::testing::AssertionResult shows(std::size_t first, std::size_t count,
                                     std::uint64_t data_seed) const;
    ::testing::AssertionResult refuses_read(std::size_t index);
    ::testing::AssertionResult refuses_write(std::size_t index);

    /// The file's own content, against the pattern.
    ::testing::AssertionResult stored(const file &which, std::size_t first, std::size_t count,
                                      std::uint64_t data_seed) const;
    /// A second file of the kind, which is likely to get the blocks that were just freed.
    file neighbour() const;
    ::testing::AssertionResult is_intact(const file &neighbour) const;

    /// A number of this process's mirrors.
    static std::uint64_t counter(const std::string &name);

    /// Makes the area a mapping of @content, which is as long.
    void map_file(file content, int flags = MAP_SHARED);
    /// From now on the kernel may log lines with this in them: the event is worth a warning.
    void allow_in_log(std::string part) { allowed_in_log_.push_back(std::move(part)); }

    const std::uint64_t seed;
    random_source random;
    const std::unique_ptr<memory_access> access;
    memory area;

  private:
    /// Calls @visit with position and length of each piece of [first, first + count) with data.
    static void for_data(std::size_t first, std::size_t count,
                         const std::function<void(std::size_t, std::size_t)> &visit);

    kernel_log log_;
    std::vector<std::string> allowed_in_log_;
};

constexpr auto both_paths = {access_path::test_device, access_path::rxe};

/// "DeviceExt4Dax".
std::string
event_test_name(const ::testing::TestParamInfo<std::tuple<access_path, memory_kind>> &test);

/// A suite of MemoryEvents on kinds of memory, through both users of the core.
#define ODP_EVENTS(suite, ...)                                                                     \
    INSTANTIATE_TEST_SUITE_P(                                                                      \
        Events, suite,                                                                             \
        ::testing::Combine(::testing::ValuesIn(both_paths), ::testing::Values(__VA_ARGS__)),       \
        event_test_name)

} // namespace odp_test
