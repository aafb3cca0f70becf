// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// What must be refused, and how: an access that memory or rights do not allow completes with the
// status that the InfiniBand specification gives it (volume 1, 11.6.2), ends the queue pair,
// changes nothing, leaves the kernel's log silent, and the device goes on working. The fixture
// checks the last two after every test.

#include "window.hpp"

#include <format>

namespace odp_test {

namespace {

class AccessErrors : public verbs_test {
  protected:
    static constexpr std::size_t length = 3000; // three packets at MTU 1024

    /// Runs @work on queue pairs of its own and expects this status.
    void expect_status(const operation &work, ibv_wc_status expected) {
        connection link(dev);
        expect_fatal(link, work, expected);
    }

    operation write_to(remote_target to, std::size_t bytes = length) const {
        return operation::write(pinned.mr.sge(pinned.map.data(), bytes), to);
    }
    operation read_from(remote_target from, std::size_t bytes = length) const {
        return operation::read(pinned.mr.sge(pinned.map.data(), bytes), from);
    }

    void expect_write_refused(remote_target to, std::size_t bytes = length) {
        SCOPED_TRACE("RDMA write");
        expect_status(write_to(to, bytes), IBV_WC_REM_ACCESS_ERR);
    }
    void expect_read_refused(remote_target from, std::size_t bytes = length) {
        SCOPED_TRACE("RDMA read");
        fill_pattern(pinned.map.bytes(), seed);
        expect_status(read_from(from, bytes), IBV_WC_REM_ACCESS_ERR);
        EXPECT_TRUE(matches(compare_pattern(pinned.map.bytes(), seed)))
            << "a refused read must deliver nothing";
    }
    void expect_atomics_refused(remote_target at) {
        SCOPED_TRACE("atomics");
        const ibv_sge result = pinned.mr.sge(pinned.map.data(), 8);
        expect_status(operation::fetch_add(result, at, 1), IBV_WC_REM_ACCESS_ERR);
        expect_status(operation::compare_swap(result, at, 0, 1), IBV_WC_REM_ACCESS_ERR);
        if (has_flush_and_atomic_write(dev))
            expect_status(operation::atomic_write(1, at), IBV_WC_REM_ACCESS_ERR);
    }
    /// Every one-sided operation; @at must be a multiple of 8.
    void expect_all_refused(remote_target at) {
        expect_write_refused(at);
        expect_read_refused(at);
        expect_atomics_refused(at);
    }

    void expect_works(const operation &work) {
        connection link(dev);
        EXPECT_TRUE(completed_with(link.requester.run(work), IBV_WC_SUCCESS));
    }

    pinned_buffer pinned{dev, 64UZ * 1024};
};

// Whatever a peer puts into a packet: the kernel's half of the address space, the hole between the
// halves, the first page, the last bytes, and ranges that run from there over the end.
TEST_F(AccessErrors, ImplicitMrReachesOnlyUserMemory) {
    const auto mr = must(region::implicit(dev, odp_access));
    for (const std::uint64_t iova :
         {0xffff888000000000ULL, 0xffffffff81000000ULL, 0x0000800000000000ULL,
          0x00007ffffffff000ULL, 0x0ULL, 0x8ULL, ~0ULL - 7, ~0ULL - 4095}) {
        SCOPED_TRACE(std::format("at {:#x}", iova));
        expect_all_refused(mr.target_at(iova));
    }
}

TEST_F(AccessErrors, RangeMayNotWrapAround) {
    const auto mr = must(region::implicit(dev, odp_access));
    // Long enough to come out in mapped memory if the sum were allowed to wrap.
    expect_write_refused(mr.target_at(~0ULL - 100), 4096);
    expect_read_refused(mr.target_at(~0ULL - 100), 4096);

    const mapping map(4 * page_size(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
    const auto high =
        register_window(dev, window_kind::iova_high, map.data(), map.size(), odp_access);
    expect_write_refused(high.target_at(~0ULL - 100), 4096);
    expect_read_refused(high.target_at(~0ULL - 100), 4096);
    expect_works(write_to(high.target_at(~0ULL - 99), 100));
}

TEST_F(AccessErrors, LocalAddressesOfTheKernelAreRefused) {
    const auto mr = must(region::implicit(dev, odp_access));
    for (const std::uint64_t iova : {0xffff888000000000ULL, 0x0ULL, ~0ULL - 4095}) {
        SCOPED_TRACE(std::format("at {:#x}", iova));
        expect_status(operation::write(mr.sge_at(iova, 4000), pinned.mr.target(pinned.map.data())),
                      IBV_WC_LOC_PROT_ERR);
        expect_status(operation::read(mr.sge_at(iova, 4000), pinned.mr.target(pinned.map.data())),
                      IBV_WC_LOC_PROT_ERR);
    }
}

TEST_F(AccessErrors, RightsThatWereNotGivenAreRefused) {
    const mapping map(4 * page_size(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
    fill_pattern(map.bytes(), seed);
    const int odp = IBV_ACCESS_ON_DEMAND | IBV_ACCESS_LOCAL_WRITE;
    const auto no_rights = must(region::over(dev, map.data(), map.size(), odp));
    expect_all_refused(no_rights.target(map.data()));
    const auto read_only = must(region::implicit(dev, odp | IBV_ACCESS_REMOTE_READ));
    expect_write_refused(read_only.target(map.data()));
    expect_works(read_from(read_only.target(map.data())));
    const auto write_only = must(region::implicit(dev, odp | IBV_ACCESS_REMOTE_WRITE));
    expect_read_refused(write_only.target(map.data()));
    EXPECT_TRUE(matches(compare_pattern(map.bytes(), seed)));
}

TEST_F(AccessErrors, DeregisteredKeyIsRefused) {
    const mapping map(4 * page_size(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
    auto mr = must(region::over(dev, map.data(), map.size(), odp_access));
    const auto target = mr.target(map.data());
    const auto sge = mr.sge(map.data(), length);
    expect_works(write_to(target));
    ASSERT_EQ(mr.deregister(), 0);
    expect_all_refused(target);
    expect_status(operation::write(sge, pinned.mr.target(pinned.map.data())), IBV_WC_LOC_PROT_ERR);
}

TEST_F(AccessErrors, MisalignedAtomicIsAnInvalidRequest) {
    const mapping map(2 * page_size(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
    fill_pattern(map.bytes(), seed);
    const auto mr = must(region::implicit(dev, odp_access));
    const ibv_sge result = pinned.mr.sge(pinned.map.data(), 8);
    for (const std::size_t offset : {std::size_t{1}, std::size_t{4}, page_size() - 4}) {
        SCOPED_TRACE(std::format("offset {}", offset));
        const auto target = mr.target(map.data() + offset);
        expect_status(operation::fetch_add(result, target, 1), IBV_WC_REM_INV_REQ_ERR);
        expect_status(operation::compare_swap(result, target, 0, 1), IBV_WC_REM_INV_REQ_ERR);
        if (has_flush_and_atomic_write(dev))
            expect_status(operation::atomic_write(1, target), IBV_WC_REM_INV_REQ_ERR);
    }
    EXPECT_TRUE(matches(compare_pattern(map.bytes(), seed)));
}

TEST_F(AccessErrors, RegistrationsThatMakeNoSenseAreRefused) {
    const mapping map(4 * page_size(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
    const auto refused = [](const region::result &result) {
        return !result && result.error() == EINVAL;
    };
    EXPECT_TRUE(refused(region::over(dev, reinterpret_cast<void *>(~0ULL - 100), 4096, odp_access)))
        << "a range of addresses that wraps";
    EXPECT_TRUE(refused(region::at_iova(dev, map.data(), map.size(), ~0ULL - 4095, odp_access)))
        << "a range of iovas that wraps";
    EXPECT_TRUE(refused(region::at_iova(dev, nullptr, SIZE_MAX, 4096, odp_access)))
        << "an implicit MR at another iova than 0";
    EXPECT_TRUE(refused(
        region::over(dev, map.data(), map.size(), IBV_ACCESS_ON_DEMAND | IBV_ACCESS_REMOTE_WRITE)))
        << "remote write without local write";
}

// The same obstacles under each kind of window.
class WindowErrors : public AccessErrors, public ::testing::WithParamInterface<window_kind> {
  protected:
    region make_region(const mapping &map) {
        return register_window(dev, GetParam(), map.data(), map.size(), odp_access);
    }
    mapping anonymous(std::size_t npages, int protection = PROT_READ | PROT_WRITE) {
        return mapping(npages * page_size(), protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0,
                       lonely_va());
    }
};

TEST_P(WindowErrors, UnmappedMemoryIsRefused) {
    mapping map = anonymous(4);
    const auto mr = make_region(map);
    const auto target = mr.target(map.data());
    const auto sge = mr.sge(map.data(), length);
    expect_works(write_to(target)); // mapped into the mirror, too
    map.unmap();
    expect_all_refused(target);
    expect_status(operation::write(sge, pinned.mr.target(pinned.map.data())), IBV_WC_LOC_PROT_ERR);
    expect_status(operation::read(sge, pinned.mr.target(pinned.map.data())), IBV_WC_LOC_PROT_ERR);
}

TEST_P(WindowErrors, InaccessibleMappingIsRefused) {
    const mapping map = anonymous(4, PROT_NONE);
    const auto mr = make_region(map);
    expect_all_refused(mr.target(map.data()));
    expect_status(operation::write(mr.sge(map.data(), length), pinned.mr.target(pinned.map.data())),
                  IBV_WC_LOC_PROT_ERR);
}

// The receiver's memory is the receiver's fault: its own completion names it, and the sender learns
// only that the other side could not go on.
TEST_P(WindowErrors, ReceiveIntoUnmappedMemoryEndsBothSides) {
    mapping map = anonymous(4);
    const auto mr = make_region(map);
    const auto sge = mr.sge(map.data(), length);
    map.unmap();
    connection link(dev);
    link.responder.post_receive(sge);
    EXPECT_TRUE(completed_with(
        link.requester.run(operation::send(pinned.mr.sge(pinned.map.data(), length))),
        IBV_WC_REM_OP_ERR));
    EXPECT_TRUE(completed_with(link.responder.wait(), IBV_WC_LOC_PROT_ERR));
}

TEST_P(WindowErrors, HoleInTheMiddleEndsTheTransferThere) {
    const mapping map = anonymous(5);
    fill_pattern(map.bytes(), seed);
    const auto mr = make_region(map);
    const std::size_t hole = 2 * page_size();
    checked(munmap(map.data() + hole, page_size()), "unmapping the third page of five");
    expect_write_refused(mr.target(map.data() + 100), map.size() - 200);
    const auto after = map.bytes(hole + page_size(), 2 * page_size());
    EXPECT_TRUE(matches(compare_pattern(after, seed, hole + page_size())))
        << "nothing behind the hole may be written";
    EXPECT_TRUE(matches(compare_pattern(map.bytes(0, 100), seed))) << "nor before the start";
    expect_works(write_to(mr.target(map.data() + hole + page_size())));
}

TEST_P(WindowErrors, ReadOnlyMappingCanBeReadAndNotWritten) {
    for (const auto kind : all_memory_kinds) {
        SCOPED_TRACE(kind_name(kind));
        const memory area(kind, 4 * page_size());
        fill_pattern(area.map.bytes(), seed);
        area.map.protect(PROT_READ);
        const auto mr = make_region(area.map);
        const auto target = mr.target(area.map.data());
        expect_write_refused(target);
        expect_atomics_refused(target);
        expect_works(read_from(target));
        EXPECT_TRUE(matches(compare_pattern(pinned.map.bytes(0, length), seed)));
        expect_write_refused(target); // now that it is mapped for reading
        // The same memory as a local buffer: may be sent, may not be received into.
        expect_works(
            operation::write(mr.sge(area.map.data(), length), pinned.mr.target(pinned.map.data())));
        expect_status(
            operation::read(mr.sge(area.map.data(), length), pinned.mr.target(pinned.map.data())),
            IBV_WC_LOC_PROT_ERR);
        EXPECT_TRUE(matches(compare_pattern(area.map.bytes(), seed)));
    }
}

TEST_P(WindowErrors, PastTheEndOfTheFileIsRefused) {
    for (const auto kind : all_memory_kinds) {
        if (!has_file(kind))
            continue;
        SCOPED_TRACE(kind_name(kind));
        const file backing = make_file(kind);
        backing.truncate(page_size() + 1);
        const mapping map(4 * page_size(), PROT_READ | PROT_WRITE, MAP_SHARED,
                          backing.descriptor());
        const auto mr = make_region(map);
        expect_all_refused(mr.target(map.data() + 2 * page_size()));
        // The page that the end lies in is there as a whole, as it is for the CPU.
        expect_works(write_to(mr.target(map.data() + page_size())));
    }
}

// Only an explicit MR has an outside that is mapped.
class ExplicitWindowErrors : public WindowErrors {};

TEST_P(ExplicitWindowErrors, OutsideTheWindowIsRefused) {
    const mapping map = anonymous(6);
    fill_pattern(map.bytes(), seed);
    const std::uint8_t *const start = map.data() + page_size() + 128;
    const std::size_t bytes = 4 * page_size() - 128; // ends at a page: the high window needs that
    const auto mr = register_window(dev, GetParam(), start, bytes, odp_access);
    expect_write_refused(mr.target(start - 1));
    expect_read_refused(mr.target(start - 1));
    expect_write_refused(mr.target(start + bytes - length + 1));
    expect_read_refused(mr.target(start + bytes - length + 1));
    expect_atomics_refused(mr.target(start - 8));
    expect_atomics_refused(mr.target(start + bytes));
    expect_works(read_from(mr.target(start)));
    expect_works(read_from(mr.target(start + bytes - length)));
    EXPECT_TRUE(matches(compare_pattern(map.bytes(), seed)));
}

INSTANTIATE_TEST_SUITE_P(Under, WindowErrors,
                         ::testing::Values(window_kind::exact, window_kind::implicit,
                                           window_kind::iova_low, window_kind::iova_high),
                         [](const auto &test) { return window_name(test.param); });

INSTANTIATE_TEST_SUITE_P(Under, ExplicitWindowErrors,
                         ::testing::Values(window_kind::exact, window_kind::iova_low,
                                           window_kind::iova_high),
                         [](const auto &test) { return window_name(test.param); });

} // namespace

} // namespace odp_test
