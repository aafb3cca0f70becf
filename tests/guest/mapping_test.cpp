// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// What the kernel does to a mapping while an MR lies over it: after each event an access sees what
// the CPU sees, and memory that is no longer the mapping's is never touched. Each test first moves
// data through the MR, so that the mirror holds the pages that the event takes away.

#include "child.hpp"
#include "fixture.hpp"
#include "resources.hpp"
#include "swap.hpp"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <format>
#include <stdexcept>
#include <vector>

namespace odp_test {

namespace {

/// A mapping of pages with data in them, an MR over it, and short ways to move data.
class MappingEvents : public verbs_test {
  protected:
    static constexpr std::size_t npages = 8;

    std::size_t page(std::size_t index) const { return index * page_size(); }

    mapping anonymous() const {
        return mapping(page(npages), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0,
                       lonely_va());
    }

    /// RDMA-writes the pattern of @data_seed to [va, va + length).
    void write(const std::uint8_t *va, std::size_t length, std::uint64_t data_seed) {
        fill_pattern(pinned.map.bytes(0, length), data_seed);
        ASSERT_TRUE(completed_with(link.requester.run(operation::write(
                                       pinned.mr.sge(pinned.map.data(), length), mr.target(va))),
                                   IBV_WC_SUCCESS));
    }
    /// RDMA-reads [va, va + length).
    std::span<const std::uint8_t> read(const std::uint8_t *va, std::size_t length) {
        const ibv_wc completion = link.requester.run(
            operation::read(pinned.mr.sge(pinned.map.data(), length), mr.target(va)));
        EXPECT_TRUE(completed_with(completion, IBV_WC_SUCCESS));
        return pinned.map.bytes(0, length);
    }
    void expect_zeros(const std::uint8_t *va, std::size_t length) {
        const std::vector<std::uint8_t> zeros(length);
        EXPECT_TRUE(matches(compare_bytes(read(va, length), zeros)));
    }
    /// An access that must end with a remote access error; on queue pairs of its own.
    void expect_refused(const std::uint8_t *va, ibv_wr_opcode opcode) {
        connection broken(dev);
        expect_fatal(broken,
                     {.opcode = opcode,
                      .local = pinned.mr.sge(pinned.map.data(), 100),
                      .remote = mr.target(va)},
                     IBV_WC_REM_ACCESS_ERR);
    }

    connection link{dev};
    pinned_buffer pinned{dev, npages *page_size()};
    region mr{must(region::implicit(dev, odp_access))};
};

std::uint64_t chunks() {
    const auto counters = read_mirror_counters(getpid());
    const auto found = counters.find("chunks");
    if (found == counters.end())
        throw std::runtime_error("the mirror's summary in debugfs has no chunk count for this "
                                 "process; is debugfs mounted?");
    return found->second;
}

TEST_F(MappingEvents, MunmapFreesChunk) {
    mapping map = anonymous();
    EXPECT_EQ(chunks(), 0U) << "nothing was accessed yet";
    write(map.data(), page(npages), seed);
    EXPECT_GT(chunks(), 0U);
    map.unmap();
    EXPECT_TRUE(becomes_true([] { return chunks() == 0; }))
        << chunks() << " chunks are left of a range that is gone";
}

TEST_F(MappingEvents, ForkedChildKeepsTheOldData) {
    const mapping map = anonymous();
    write(map.data(), page(npages), seed);
    shared_flag written;
    child reader([&] {
        written.await();
        return compare_pattern(map.bytes(), seed).wrong == 0 ? 0 : 1;
    });
    write(map.data(), page(npages), seed + 1);
    EXPECT_TRUE(matches(compare_pattern(map.bytes(), seed + 1))) << "in the parent";
    written.raise();
    EXPECT_EQ(reader.wait(), 0) << "the child must see the data from before the fork";
}

TEST_F(MappingEvents, DontneedGivesZeros) {
    const mapping map = anonymous();
    write(map.data(), page(npages), seed);
    checked(madvise(map.data() + page(2), page(3), MADV_DONTNEED), "MADV_DONTNEED");
    expect_zeros(map.data() + page(2), page(3));
    EXPECT_TRUE(matches(compare_pattern(read(map.data(), page(2)), seed)));
    EXPECT_TRUE(matches(compare_pattern(read(map.data() + page(5), page(3)), seed, page(5))));
    write(map.data() + page(3), 100, seed + 1);
    EXPECT_TRUE(matches(compare_pattern(map.bytes(page(3), 100), seed + 1)));
}

TEST_F(MappingEvents, StoreIntoAHoleThatWasReadIsSeen) {
    const mapping map = anonymous();
    expect_zeros(map.data(), page(npages)); // the zero page, in the mirror
    fill_pattern(map.bytes(), seed);        // the CPU gets pages of its own
    EXPECT_TRUE(matches(compare_pattern(read(map.data(), page(npages)), seed)));
}

TEST_F(MappingEvents, MovedMappingIsFoundAtItsNewAddress) {
    mapping map = anonymous();
    write(map.data(), page(npages), seed);
    const std::uint8_t *const old = map.data();
    map.move();
    expect_refused(old, IBV_WR_RDMA_READ);
    expect_refused(old, IBV_WR_RDMA_WRITE);
    EXPECT_TRUE(matches(compare_pattern(read(map.data(), page(npages)), seed)));
    write(map.data() + page(1), page(2), seed + 1);
    EXPECT_TRUE(matches(compare_pattern(map.bytes(page(1), page(2)), seed + 1)));
}

TEST_F(MappingEvents, ProtectionIsFollowed) {
    const mapping map = anonymous();
    write(map.data(), page(npages), seed);
    map.protect(PROT_NONE);
    expect_refused(map.data(), IBV_WR_RDMA_READ);
    expect_refused(map.data(), IBV_WR_RDMA_WRITE);
    map.protect(PROT_READ);
    EXPECT_TRUE(matches(compare_pattern(read(map.data(), page(npages)), seed)));
    expect_refused(map.data(), IBV_WR_RDMA_WRITE);
    map.protect(PROT_READ | PROT_WRITE);
    write(map.data(), page(npages), seed + 1);
    EXPECT_TRUE(matches(compare_pattern(map.bytes(), seed + 1)));
}

TEST_F(MappingEvents, CollapseIntoAHugePageKeepsTheData) {
    constexpr std::size_t huge = std::size_t{2} << 20;
    const mapping space(2 * huge, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
    const auto skew = reinterpret_cast<std::uintptr_t>(space.data()) % huge;
    const auto area = space.bytes(huge - skew, huge);
    fill_pattern(area, seed);
    write(area.data() + page(1), page(npages), seed + 1);
    checked(madvise(area.data(), huge, MADV_COLLAPSE), "MADV_COLLAPSE");
    EXPECT_TRUE(matches(compare_pattern(read(area.data() + page(1), page(npages)), seed + 1)));
    write(area.data() + page(20), page(npages), seed + 2);
    EXPECT_TRUE(matches(compare_pattern(area.subspan(page(1), page(npages)), seed + 1)));
    EXPECT_TRUE(matches(compare_pattern(area.subspan(page(20), page(npages)), seed + 2)));
    // Splitting it again, by giving back one page of it, takes nothing else away.
    checked(madvise(area.data() + page(40), page(1), MADV_DONTNEED), "MADV_DONTNEED");
    EXPECT_TRUE(matches(compare_pattern(read(area.data() + page(20), page(npages)), seed + 2)));
    expect_zeros(area.data() + page(40), page(1));
}

TEST_F(MappingEvents, SwappedOutPagesComeBack) {
    const swap_file swap;
    const mapping map = anonymous();
    write(map.data(), page(npages), seed);
    map.page_out();
    ASSERT_TRUE(is_swapped_out(map.data())) << "the pages were not swapped out";
    EXPECT_TRUE(matches(compare_pattern(read(map.data(), page(npages)), seed)));
    map.page_out();
    ASSERT_TRUE(is_swapped_out(map.data()));
    write(map.data() + 10, page(npages) - 20, seed + 1);
    map.page_out();
    EXPECT_TRUE(matches(compare_pattern(map.bytes(10, page(npages) - 20), seed + 1)));
    EXPECT_TRUE(matches(compare_pattern(map.bytes(0, 10), seed)));
}

/// The same, for every kind of memory that has a file.
class FileEvents : public MappingEvents, public ::testing::WithParamInterface<memory_kind> {
  protected:
    /// The file's own view of [start, start + length).
    std::vector<std::uint8_t> stored(const file &backing, std::size_t start, std::size_t length) {
        std::vector<std::uint8_t> bytes(length);
        backing.read(bytes, start);
        return bytes;
    }
    /// A second file of the kind with a pattern in it; its blocks are likely to be those that were
    /// just freed.
    file neighbour() {
        file other = make_file(GetParam());
        std::vector<std::uint8_t> bytes(page(npages));
        fill_pattern(bytes, seed + 99);
        other.write(bytes, 0);
        checked(fsync(other.descriptor()), "fsync of the neighbour");
        return other;
    }
    void expect_neighbour_intact(const file &other) {
        EXPECT_TRUE(matches(compare_pattern(stored(other, 0, page(npages)), seed + 99)))
            << "the file that got the freed blocks";
    }

    memory area{GetParam(), npages *page_size()};
};

TEST_P(FileEvents, MappingReplacedUnderTheMrIsTheNewOne) {
    write(area.map.data(), page(npages), seed);
    const file other = neighbour();
    area.map.replace_by(other);
    EXPECT_TRUE(matches(compare_pattern(read(area.map.data(), page(npages)), seed + 99)));
    write(area.map.data() + page(1), page(2), seed + 1);
    EXPECT_TRUE(matches(compare_pattern(stored(other, page(1), page(2)), seed + 1)));
    EXPECT_TRUE(matches(compare_pattern(stored(area.backing, 0, page(npages)), seed)))
        << "the file that was mapped before";
}

TEST_P(FileEvents, TruncationIsFollowed) {
    write(area.map.data(), page(npages), seed);
    area.backing.truncate(page(4));
    const file other = neighbour();
    expect_refused(area.map.data() + page(5), IBV_WR_RDMA_WRITE);
    expect_refused(area.map.data() + page(5), IBV_WR_RDMA_READ);
    EXPECT_TRUE(matches(compare_pattern(read(area.map.data(), page(4)), seed)));
    area.backing.truncate(page(npages));
    expect_zeros(area.map.data() + page(4), page(4));
    write(area.map.data() + page(5), page(2), seed + 1);
    EXPECT_TRUE(matches(compare_pattern(stored(area.backing, page(5), page(2)), seed + 1)));
    EXPECT_TRUE(matches(compare_pattern(stored(area.backing, 0, page(4)), seed)));
    expect_neighbour_intact(other);
}

TEST_P(FileEvents, PunchedHoleIsFollowed) {
    write(area.map.data(), page(npages), seed);
    area.backing.punch_hole(page(2), page(3));
    const file other = neighbour();
    expect_zeros(area.map.data() + page(2), page(3));
    write(area.map.data() + page(3), page(1), seed + 1);
    EXPECT_TRUE(matches(compare_pattern(stored(area.backing, page(3), page(1)), seed + 1)));
    EXPECT_TRUE(matches(compare_pattern(stored(area.backing, 0, page(2)), seed)));
    EXPECT_TRUE(matches(compare_pattern(stored(area.backing, page(5), page(3)), seed, page(5))));
    expect_neighbour_intact(other);
}

TEST_P(FileEvents, PrivateMappingIsCopiedOnWrite) {
    std::vector<std::uint8_t> content(page(npages));
    fill_pattern(content, seed);
    area.backing.write(content, 0);
    const mapping copy(page(npages), PROT_READ | PROT_WRITE, MAP_PRIVATE,
                       area.backing.descriptor());
    EXPECT_TRUE(matches(compare_pattern(read(copy.data(), page(npages)), seed)));
    write(copy.data() + page(1), page(1), seed + 1);
    copy.data()[page(4)] ^= 0xff; // by the CPU, after the mirror had the file's page
    EXPECT_TRUE(matches(compare_pattern(copy.bytes(page(1), page(1)), seed + 1)));
    EXPECT_EQ(read(copy.data() + page(4), 1)[0],
              static_cast<std::uint8_t>(content[page(4)] ^ 0xff));
    EXPECT_TRUE(matches(compare_bytes(stored(area.backing, 0, page(npages)), content)))
        << "the file under a private mapping";
    copy.advise(MADV_DONTNEED); // the copies go, the file shows again
    EXPECT_TRUE(matches(compare_pattern(read(copy.data(), page(npages)), seed)));
}

/// Where there is a disk, or persistent memory, behind the file.
class StoredFileEvents : public FileEvents {};

// Writeback cleans the pages; what is written through the MR after it must be written back again.
TEST_P(StoredFileEvents, WriteAfterWritebackReachesTheDisk) {
    write(area.map.data(), page(npages), seed);
    checked(msync(area.map.data(), page(npages), MS_SYNC), "writing back");
    EXPECT_TRUE(matches(compare_pattern(read(area.map.data(), page(npages)), seed)));
    write(area.map.data() + page(2), page(2), seed + 1);
    checked(msync(area.map.data(), page(npages), MS_SYNC), "writing back");
    area.map.unmap();
    // Past the page cache, with the alignment that this takes.
    const file direct(
        checked(open(std::format("/proc/self/fd/{}", area.backing.descriptor()).c_str(),
                     O_RDONLY | O_DIRECT | O_CLOEXEC),
                "opening for direct I/O"));
    const mapping aligned = anonymous();
    direct.read(aligned.bytes(), 0);
    EXPECT_TRUE(matches(compare_pattern(aligned.bytes(0, page(2)), seed)));
    EXPECT_TRUE(matches(compare_pattern(aligned.bytes(page(2), page(2)), seed + 1)));
    EXPECT_TRUE(matches(compare_pattern(aligned.bytes(page(4), page(4)), seed, page(4))));
}

/// Where a file can share its blocks with another.
class ClonedFileEvents : public FileEvents {};

TEST_P(ClonedFileEvents, CloneKeepsTheOldData) {
    write(area.map.data(), page(npages), seed);
    const file clone = make_file(GetParam());
    checked(ioctl(clone.descriptor(), FICLONE, area.backing.descriptor()), "cloning a file");
    write(area.map.data() + page(1), page(3), seed + 1);
    EXPECT_TRUE(matches(compare_pattern(stored(clone, 0, page(npages)), seed))) << "in the clone";
    EXPECT_TRUE(matches(compare_pattern(stored(area.backing, page(1), page(3)), seed + 1)));
}

std::string name_of(const ::testing::TestParamInfo<memory_kind> &test) {
    return kind_name(test.param);
}

INSTANTIATE_TEST_SUITE_P(On, FileEvents,
                         ::testing::Values(memory_kind::tmpfs, memory_kind::memfd,
                                           memory_kind::ext4, memory_kind::xfs,
                                           memory_kind::ext4_dax, memory_kind::xfs_dax),
                         name_of);
INSTANTIATE_TEST_SUITE_P(On, StoredFileEvents,
                         ::testing::Values(memory_kind::ext4, memory_kind::xfs,
                                           memory_kind::ext4_dax, memory_kind::xfs_dax),
                         name_of);
INSTANTIATE_TEST_SUITE_P(On, ClonedFileEvents,
                         ::testing::Values(memory_kind::xfs, memory_kind::xfs_dax), name_of);

} // namespace

} // namespace odp_test
