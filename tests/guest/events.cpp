// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// The common parts of the tests of mm events; see events.hpp.

#include "events.hpp"

#include "resources.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <stdexcept>

namespace odp_test {

namespace {

constexpr std::uint64_t neighbour_seed = 99;

/// A test in a place of its own: whatever else the process maps is in other chunks.
memory lonely_memory(memory_kind kind, std::size_t length) {
    memory area(kind, length);
    area.map = has_file(kind) ? mapping(length, PROT_READ | PROT_WRITE, MAP_SHARED,
                                        area.backing.descriptor(), 0, lonely_va())
                              : mapping(length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                                        -1, 0, lonely_va());
    return area;
}

} // namespace

MemoryEvents::MemoryEvents()
    : seed(test_seed()), random(seed), access(make_access(std::get<0>(GetParam()))),
      area(lonely_memory(kind(), page(npages))) {}

void MemoryEvents::TearDown() {
    for (const auto &line : log_.offending_lines())
        if (std::ranges::none_of(allowed_in_log_, [&](const std::string &part) {
                return line.find(part) != std::string::npos;
            }))
            ADD_FAILURE() << "the kernel logged: " << line;
}

void MemoryEvents::for_data(std::size_t first, std::size_t count,
                            const std::function<void(std::size_t, std::size_t)> &visit) {
    if (page(1) == page_size()) {
        visit(page(first), page(count));
        return;
    }
    for (std::size_t i = first; i < first + count; ++i)
        visit(page(i), page_size());
}

void MemoryEvents::write(std::size_t first, std::size_t count, std::uint64_t data_seed) {
    for_data(first, count, [&](std::size_t position, std::size_t length) {
        std::vector<std::uint8_t> data(length);
        fill_pattern(data, data_seed, position);
        ASSERT_EQ(access->write(area.map.data() + position, data), access_result::done);
    });
}

::testing::AssertionResult MemoryEvents::reads(std::size_t first, std::size_t count,
                                               std::uint64_t data_seed) {
    auto result = ::testing::AssertionSuccess();
    for_data(first, count, [&](std::size_t position, std::size_t length) {
        std::vector<std::uint8_t> data(length);
        if (access->read(area.map.data() + position, data) != access_result::done)
            result = ::testing::AssertionFailure() << "the read was refused";
        else if (result)
            result = matches(compare_pattern(data, data_seed, position));
    });
    return result;
}

::testing::AssertionResult MemoryEvents::reads_zeros(std::size_t first, std::size_t count) {
    auto result = ::testing::AssertionSuccess();
    for_data(first, count, [&](std::size_t position, std::size_t length) {
        std::vector<std::uint8_t> data(length, 0xff);
        if (access->read(area.map.data() + position, data) != access_result::done)
            result = ::testing::AssertionFailure() << "the read was refused";
        else if (result)
            result = matches(compare_bytes(data, std::vector<std::uint8_t>(length)));
    });
    return result;
}

void MemoryEvents::store(std::size_t first, std::size_t count, std::uint64_t data_seed) const {
    for_data(first, count, [&](std::size_t position, std::size_t length) {
        fill_pattern(area.map.bytes(position, length), data_seed, position);
    });
}

::testing::AssertionResult MemoryEvents::shows(std::size_t first, std::size_t count,
                                               std::uint64_t data_seed) const {
    auto result = ::testing::AssertionSuccess();
    for_data(first, count, [&](std::size_t position, std::size_t length) {
        if (result)
            result =
                matches(compare_pattern(area.map.bytes(position, length), data_seed, position));
    });
    return result;
}

::testing::AssertionResult MemoryEvents::refuses_read(std::size_t index) {
    std::vector<std::uint8_t> data(100);
    if (access->read(va(index), data) == access_result::refused)
        return ::testing::AssertionSuccess();
    return ::testing::AssertionFailure() << "page " << index << " was read";
}

::testing::AssertionResult MemoryEvents::refuses_write(std::size_t index) {
    const std::vector<std::uint8_t> data(100, 0xee);
    if (access->write(va(index), data) == access_result::refused)
        return ::testing::AssertionSuccess();
    return ::testing::AssertionFailure() << "page " << index << " was written";
}

::testing::AssertionResult MemoryEvents::stored(const file &which, std::size_t first,
                                                std::size_t count, std::uint64_t data_seed) const {
    // Not everything that can be mapped can be read by a system call.
    const mapping view = page(1) == page_size() ? mapping()
                                                : mapping(page(npages), PROT_READ, MAP_SHARED,
                                                          which.descriptor(), 0, lonely_va());
    auto result = ::testing::AssertionSuccess();
    for_data(first, count, [&](std::size_t position, std::size_t length) {
        std::vector<std::uint8_t> data(length);
        if (view.data() == nullptr)
            which.read(data, position);
        else
            std::ranges::copy(view.bytes(position, length), data.begin());
        if (result)
            result = matches(compare_pattern(data, data_seed, position));
    });
    return result;
}

file MemoryEvents::neighbour() const {
    file other = make_file(kind());
    if (page(1) != page_size()) {
        other.truncate(page(npages));
        const mapping view(page(npages), PROT_READ | PROT_WRITE, MAP_SHARED, other.descriptor(), 0,
                           lonely_va());
        for_data(0, npages, [&](std::size_t position, std::size_t length) {
            fill_pattern(view.bytes(position, length), seed + neighbour_seed, position);
        });
        return other;
    }
    std::vector<std::uint8_t> data(page(npages));
    fill_pattern(data, seed + neighbour_seed);
    other.write(data, 0);
    checked(fsync(other.descriptor()), "fsync of the neighbour");
    return other;
}

::testing::AssertionResult MemoryEvents::is_intact(const file &neighbour) const {
    return stored(neighbour, 0, npages, seed + neighbour_seed)
           << " in the file that got the freed blocks";
}

void MemoryEvents::map_file(file content, int flags) {
    area.backing = std::move(content);
    area.map = mapping(page(npages), PROT_READ | PROT_WRITE, flags, area.backing.descriptor(), 0,
                       lonely_va());
}

std::uint64_t MemoryEvents::counter(const std::string &name) {
    const auto counters = read_mirror_counters(getpid());
    const auto found = counters.find(name);
    if (found == counters.end())
        throw std::runtime_error("the mirror's summary in debugfs has no " + name);
    return found->second;
}

std::string
event_test_name(const ::testing::TestParamInfo<std::tuple<access_path, memory_kind>> &test) {
    return path_name(std::get<0>(test.param)) + kind_name(std::get<1>(test.param));
}

} // namespace odp_test
