// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// Memory that only comes in huge pages: one entry for each, every byte of it reachable, and what a
// registration says about it beforehand changes nothing.

#include "events.hpp"
#include "fixture.hpp"

#include <fcntl.h>

#include <cerrno>

namespace odp_test {

namespace {

class HugeMemory : public MemoryEvents {};

TEST_P(HugeMemory, OneEntryForAHugePage) {
    const std::uint64_t huge = counter("huge_mapped");
    const std::uint64_t faults = counter("faults");
    // Across the border of two, and the last bytes of the second.
    std::vector<std::uint8_t> data(page_size());
    fill_pattern(data, seed);
    ASSERT_EQ(access->write(va(1) - 100, data), access_result::done);
    ASSERT_EQ(access->write(va(2) - page_size(), data), access_result::done);
    EXPECT_EQ(counter("huge_mapped"), huge + 2);
    EXPECT_LE(counter("faults"), faults + 2);
    EXPECT_TRUE(matches(compare_pattern(area.map.bytes(page(1) - 100, page_size()), seed)));
    EXPECT_TRUE(matches(compare_pattern(area.map.bytes(page(2) - page_size(), page_size()), seed)));
    std::vector<std::uint8_t> found(memory_access::longest);
    ASSERT_EQ(access->read(va(1), found), access_result::done);
    EXPECT_TRUE(matches(compare_bytes(found, area.map.bytes(page(1), found.size()))));
    EXPECT_EQ(counter("huge_mapped"), huge + 2) << "a page was mapped a second time";
}

ODP_EVENTS(HugeMemory, memory_kind::hugetlb, memory_kind::device_dax);

class HugeRegistration : public verbs_test, public ::testing::WithParamInterface<memory_kind> {};

TEST_P(HugeRegistration, AccessHugetlb) {
    const std::size_t length = 2 * unit_size(GetParam());
    const memory area(GetParam(), length);
    const auto mr =
        must(region::over(dev, area.map.data(), length, odp_access | IBV_ACCESS_HUGETLB));
    const pinned_buffer source(dev, page_size());
    fill_pattern(source.map.bytes(), seed);
    connection link(dev);
    std::uint8_t *const middle = area.map.data() + length / 2 - 100;
    EXPECT_TRUE(
        completed_with(link.requester.run(operation::write(
                           source.mr.sge(source.map.data(), source.map.size()), mr.target(middle))),
                       IBV_WC_SUCCESS));
    EXPECT_TRUE(matches(compare_pattern({middle, source.map.size()}, seed)));
}

INSTANTIATE_TEST_SUITE_P(Events, HugeRegistration,
                         ::testing::Values(memory_kind::hugetlb, memory_kind::device_dax,
                                           memory_kind::anonymous),
                         [](const auto &kind) { return kind_name(kind.param); });

// Why device-dax is in no suite of files.
TEST(DeviceDax, HasNoEventsOfFiles) {
    const memory area(memory_kind::device_dax, unit_size(memory_kind::device_dax));
    const int descriptor = area.backing.descriptor();
    EXPECT_EQ(ftruncate(descriptor, 0), -1);
    EXPECT_EQ(fallocate(descriptor, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
                        static_cast<off_t>(unit_size(memory_kind::device_dax))),
              -1);
    EXPECT_EQ(mmap(nullptr, area.map.size(), PROT_READ | PROT_WRITE, MAP_PRIVATE, descriptor, 0),
              MAP_FAILED)
        << "a private mapping, so that there is something to copy on write";
}

} // namespace

} // namespace odp_test
