// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// The common parts of the tests of mm events; see events.hpp.

#include "events.hpp"

#include "resources.hpp"

#include <sys/mman.h>
#include <unistd.h>

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
      area(lonely_memory(kind(), npages * page_size())) {}

void MemoryEvents::TearDown() {
    for (const auto &line : log_.offending_lines())
        ADD_FAILURE() << "the kernel logged: " << line;
}

void MemoryEvents::write(std::size_t first, std::size_t count, std::uint64_t data_seed) {
    std::vector<std::uint8_t> data(page(count));
    fill_pattern(data, data_seed, page(first));
    ASSERT_EQ(access->write(va(first), data), access_result::done);
}

::testing::AssertionResult MemoryEvents::reads(std::size_t first, std::size_t count,
                                               std::uint64_t data_seed) {
    std::vector<std::uint8_t> data(page(count));
    if (access->read(va(first), data) != access_result::done)
        return ::testing::AssertionFailure() << "the read was refused";
    return matches(compare_pattern(data, data_seed, page(first)));
}

::testing::AssertionResult MemoryEvents::reads_zeros(std::size_t first, std::size_t count) {
    std::vector<std::uint8_t> data(page(count), 0xff);
    if (access->read(va(first), data) != access_result::done)
        return ::testing::AssertionFailure() << "the read was refused";
    return matches(compare_bytes(data, std::vector<std::uint8_t>(page(count))));
}

::testing::AssertionResult MemoryEvents::shows(std::size_t first, std::size_t count,
                                               std::uint64_t data_seed) const {
    return matches(
        compare_pattern(area.map.bytes(page(first), page(count)), data_seed, page(first)));
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
    std::vector<std::uint8_t> data(page(count));
    which.read(data, page(first));
    return matches(compare_pattern(data, data_seed, page(first)));
}

file MemoryEvents::neighbour() const {
    file other = make_file(kind());
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
