// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// What tests on the test device have in common; see testdev.hpp.

#include "testdev.hpp"

#include "fixture.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <format>
#include <stdexcept>

namespace odp_test {

::testing::AssertionResult all_right(const odp_test_threads &counts) {
    if (counts.mismatches != 0)
        return ::testing::AssertionFailure() << std::format(
                   "{} words wrong, the first at {:#x}: {:#x} instead of {:#x}", counts.mismatches,
                   counts.bad_iova, counts.bad_found, counts.bad_expected);
    if (counts.faults != 0 || counts.errors != 0)
        return ::testing::AssertionFailure() << std::format(
                   "{} accesses were refused, {} failed otherwise", counts.faults, counts.errors);
    if (counts.ok == 0)
        return ::testing::AssertionFailure() << "no access took place";
    return ::testing::AssertionSuccess();
}

void fill_words(std::span<std::uint8_t> bytes, std::uint64_t seed, std::uint64_t iova) {
    for (; !bytes.empty(); bytes = bytes.subspan(8), iova += 8) {
        const std::uint64_t word = ODP_TEST_WORD(seed, iova);
        std::memcpy(bytes.data(), &word, sizeof word);
    }
}

device_test::device_test() : seed(test_seed()), random(seed) {}

void device_test::TearDown() {
    dev.close();
    EXPECT_TRUE(becomes_true([] { return read_mirror_counters(getpid()).empty(); }))
        << "a mirror of this process is left after its device was closed";
    for (const auto &line : log_.offending_lines())
        ADD_FAILURE() << "the kernel logged: " << line;
}

mapping device_test::anonymous(std::size_t npages) {
    return mapping(page(npages), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0,
                   lonely_va());
}

std::uint64_t device_test::counter(const std::string &name) {
    const auto counters = read_mirror_counters(getpid());
    const auto found = counters.find(name);
    if (found != counters.end())
        return found->second;
    if (!counters.empty())
        throw std::runtime_error("the mirror's summary in debugfs has no " + name);
    return 0;
}

} // namespace odp_test
