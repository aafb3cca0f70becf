// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// FLUSH (IBTA volume 1, annex A19): of a range and of a whole MR, for visibility and for
// persistence. Success says that it was done, for all of it: so not over memory that is not
// persistent, and not over an address space. And however much it is, it holds nobody up.

#include "fixture.hpp"
#include "resources.hpp"

#include <chrono>
#include <optional>
#include <thread>

namespace odp_test {

namespace {

constexpr int flush_access = odp_access | IBV_ACCESS_FLUSH_GLOBAL | IBV_ACCESS_FLUSH_PERSISTENT;
constexpr std::size_t gib = std::size_t{1} << 30;

class Flush : public verbs_test {
  protected:
    void SetUp() override {
        if (!has_flush_and_atomic_write(dev))
            GTEST_SKIP() << "this provider has no flush";
    }
    static operation whole(const region &mr, ibv_placement_type type) {
        return operation::flush(mr.target_at(0), 0, type, IBV_FLUSH_MR);
    }
    static operation range(const region &mr, const void *va, std::size_t bytes,
                           ibv_placement_type type) {
        return operation::flush(mr.target(va), static_cast<std::uint32_t>(bytes), type,
                                IBV_FLUSH_RANGE);
    }
    void expect(const operation &work, ibv_wc_status expected) {
        connection link(dev);
        EXPECT_TRUE(completed_with(link.requester.run(work), expected));
    }
    /// Shared and writable; nothing of the file is there but its length.
    static mapping sparse(std::size_t bytes) {
        const file backing = make_file(memory_kind::ext4_dax);
        backing.truncate(bytes);
        return mapping(bytes, PROT_READ | PROT_WRITE, MAP_SHARED, backing.descriptor());
    }
};

TEST_F(Flush, PersistentMemory) {
    const memory area(memory_kind::ext4_dax, 8 * page_size());
    const pinned_buffer source(dev, 8 * page_size());
    fill_pattern(source.map.bytes(), seed);
    const auto mr = must(region::over(dev, area.map.data(), area.map.size(), flush_access));
    const auto implicit = must(region::implicit(dev, flush_access));
    connection link(dev);
    for (const auto *const over : {&mr, &implicit}) {
        const auto write = operation::write(source.mr.sge(source.map.data(), area.map.size()),
                                            over->target(area.map.data()));
        ASSERT_TRUE(completed_with(link.requester.run(write), IBV_WC_SUCCESS));
        for (const auto type : {IBV_FLUSH_GLOBAL, IBV_FLUSH_PERSISTENT})
            EXPECT_TRUE(completed_with(link.requester.run(range(*over, area.map.data() + 100,
                                                                area.map.size() - 200, type)),
                                       IBV_WC_SUCCESS));
    }
    EXPECT_TRUE(
        completed_with(link.requester.run(whole(mr, IBV_FLUSH_PERSISTENT)), IBV_WC_SUCCESS));
    EXPECT_TRUE(
        completed_with(link.requester.run(whole(implicit, IBV_FLUSH_GLOBAL)), IBV_WC_SUCCESS));
    EXPECT_TRUE(matches(compare_pattern(area.map.bytes(), seed)));
}

// Defect 8: the unmodified driver says that it lasts.
TEST_F(Flush, OtherMemoryDoesNotLast) {
    for (const auto kind : {memory_kind::anonymous, memory_kind::tmpfs, memory_kind::ext4}) {
        SCOPED_TRACE(kind_name(kind));
        const memory area(kind, 2 * page_size());
        fill_pattern(area.map.bytes(), seed);
        const auto mr = must(region::over(dev, area.map.data(), area.map.size(), flush_access));
        const auto implicit = must(region::implicit(dev, flush_access));
        for (const auto *const over : {&mr, &implicit}) {
            expect(range(*over, area.map.data(), 100, IBV_FLUSH_PERSISTENT), IBV_WC_REM_ACCESS_ERR);
            expect(range(*over, area.map.data(), 100, IBV_FLUSH_GLOBAL), IBV_WC_SUCCESS);
        }
        expect(whole(mr, IBV_FLUSH_PERSISTENT), IBV_WC_REM_ACCESS_ERR);
        EXPECT_TRUE(matches(compare_pattern(area.map.bytes(), seed)));
    }
}

TEST_F(Flush, AddressSpaceDoesNotLast) {
    const auto implicit = must(region::implicit(dev, flush_access));
    expect(whole(implicit, IBV_FLUSH_PERSISTENT), IBV_WC_REM_ACCESS_ERR);
}

TEST_F(Flush, RightsThatWereNotGivenAreRefused) {
    const memory area(memory_kind::ext4_dax, page_size());
    const auto global =
        must(region::over(dev, area.map.data(), page_size(), odp_access | IBV_ACCESS_FLUSH_GLOBAL));
    expect(range(global, area.map.data(), 8, IBV_FLUSH_GLOBAL), IBV_WC_SUCCESS);
    expect(range(global, area.map.data(), 8, IBV_FLUSH_PERSISTENT), IBV_WC_REM_ACCESS_ERR);
    const auto none = must(region::over(dev, area.map.data(), page_size(), odp_access));
    expect(range(none, area.map.data(), 8, IBV_FLUSH_GLOBAL), IBV_WC_REM_ACCESS_ERR);
}

TEST_F(Flush, RangeOutsideTheMrIsRefused) {
    const memory area(memory_kind::ext4_dax, 3 * page_size());
    const auto mr =
        must(region::over(dev, area.map.data() + page_size(), page_size(), flush_access));
    const std::uint8_t *const start = area.map.data() + page_size();
    expect(range(mr, start, page_size(), IBV_FLUSH_PERSISTENT), IBV_WC_SUCCESS);
    expect(range(mr, start - 1, page_size(), IBV_FLUSH_PERSISTENT), IBV_WC_REM_ACCESS_ERR);
    expect(range(mr, start, page_size() + 1, IBV_FLUSH_PERSISTENT), IBV_WC_REM_ACCESS_ERR);
}

// It takes so long that the peer is told to ask again, and goes on then where it was: otherwise it
// would never end.
TEST_F(Flush, MuchMemoryIsFlushedInParts) {
    const mapping map = sparse(4 * gib);
    const auto mr = must(region::over(dev, map.data(), map.size(), flush_access));
    const std::uint64_t before = device_counter(dev.name(), "send_rnr_err");
    connection link(dev);
    link.requester.post(whole(mr, IBV_FLUSH_PERSISTENT));
    EXPECT_TRUE(completed_with(link.requester.wait(std::chrono::minutes(3)), IBV_WC_SUCCESS));
    EXPECT_TRUE(becomes_true([&] { return device_counter(dev.name(), "send_rnr_err") > before; }))
        << "it was not long enough to show anything";
}

// Hours, if it were all done.
TEST_F(Flush, NobodyWaitsForMuch) {
    const mapping map = sparse(4096 * gib);
    for (const bool destroyed : {false, true}) {
        SCOPED_TRACE(destroyed ? "destroyed" : "reset");
        auto mr = must(region::over(dev, map.data(), map.size(), flush_access));
        std::optional<connection> link(std::in_place, dev);
        link->requester.post(whole(mr, IBV_FLUSH_PERSISTENT));
        std::this_thread::sleep_for(std::chrono::milliseconds(200));
        ASSERT_FALSE(link->requester.poll()) << "it has ended";
        EXPECT_TRUE(is_prompt([&] {
            if (destroyed) {
                link.reset();
                return;
            }
            ibv_qp_attr attributes{};
            attributes.qp_state = IBV_QPS_RESET;
            EXPECT_EQ(ibv_modify_qp(link->responder.qp(), &attributes, IBV_QP_STATE), 0);
        }));
        EXPECT_TRUE(is_prompt([&] { EXPECT_EQ(mr.deregister(), 0); }));
    }
}

} // namespace

} // namespace odp_test
