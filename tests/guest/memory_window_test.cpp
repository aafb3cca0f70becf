// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// Memory windows of type 2, which are bound to a queue pair (IBTA volume 1, 10.6.7): a bound one
// keeps nothing from ending, and one that is free cannot be invalidated, by whoever names it.

#include "fixture.hpp"
#include "resources.hpp"

#include <optional>

namespace odp_test {

namespace {

class MemoryWindow : public verbs_test {
  protected:
    static constexpr std::size_t length = 1000;

    MemoryWindow() {
        renew_window();
        fill_pattern(source_.map.bytes(), seed);
    }

    /// Begins to bind it to the queue pair, to the second page; the key that it has then.
    std::uint32_t post_bind(endpoint &side, int access = IBV_ACCESS_REMOTE_WRITE) {
        const std::uint32_t key = ibv_inc_rkey(mw_->rkey);
        ibv_send_wr request{};
        request.opcode = IBV_WR_BIND_MW;
        request.bind_mw = {.mw = mw_.get(),
                           .rkey = key,
                           .bind_info = {.mr = mr_->mr(),
                                         .addr = mr_->iova(page()),
                                         .length = page_size(),
                                         .mw_access_flags = static_cast<unsigned>(access)}};
        side.post(request);
        return key;
    }
    std::uint32_t bind_to(endpoint &side) {
        const std::uint32_t key = post_bind(side);
        EXPECT_TRUE(completed_with(side.wait(), IBV_WC_SUCCESS));
        mw_->rkey = key;
        return key;
    }
    void renew_window() {
        mw_.reset(ibv_alloc_mw(dev.pd(), IBV_MW_TYPE_2));
        if (!mw_)
            fail_with_errno("allocating a memory window");
    }
    ibv_wc local_invalidate(endpoint &side, std::uint32_t key) {
        ibv_send_wr request{};
        request.opcode = IBV_WR_LOCAL_INV;
        request.invalidate_rkey = key;
        side.post(request);
        return side.wait();
    }
    void send_and_invalidate(endpoint &side, std::uint32_t key) {
        ibv_sge element = source_.mr.sge(source_.map.data(), length);
        ibv_send_wr request{};
        request.opcode = IBV_WR_SEND_WITH_INV;
        request.sg_list = &element;
        request.num_sge = 1;
        request.invalidate_rkey = key;
        side.post(request);
    }
    ibv_wc write_through(endpoint &side, std::uint32_t key) {
        return side.run(
            operation::write(source_.mr.sge(source_.map.data(), length), {mr_->iova(page()), key}));
    }
    void expect_written() const {
        EXPECT_TRUE(matches(compare_pattern(map_.bytes(page_size(), length), seed)));
        map_.advise(MADV_DONTNEED);
    }
    void expect_untouched() const {
        for (const auto byte : map_.bytes())
            ASSERT_EQ(byte, 0);
    }
    static void expect_error_state(const endpoint &side) {
        EXPECT_TRUE(becomes_true([&] { return side.state() == IBV_QPS_ERR; }))
            << "the queue pair goes on";
    }
    void release_window() {
        EXPECT_TRUE(is_prompt([&] { EXPECT_EQ(ibv_dealloc_mw(mw_.release()), 0); }));
        EXPECT_TRUE(is_prompt([&] { EXPECT_EQ(mr_->deregister(), 0); }));
        mr_.reset();
    }

    const std::uint8_t *page() const { return map_.data() + page_size(); }

    const pinned_buffer source_{dev, page_size()};
    const mapping map_{2 * page_size(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS};
    std::optional<region> mr_{
        must(region::over(dev, map_.data(), map_.size(), odp_access | IBV_ACCESS_MW_BIND))};
    mw_handle mw_;
    std::optional<connection> link_{std::in_place, dev};
};

TEST_F(MemoryWindow, DestroyedQueuePairLeavesItFree) {
    const std::uint32_t key = bind_to(link_->responder);
    EXPECT_TRUE(completed_with(write_through(link_->requester, key), IBV_WC_SUCCESS));
    expect_written();
    EXPECT_TRUE(is_prompt([&] { link_.reset(); }));

    link_.emplace(dev);
    EXPECT_TRUE(completed_with(write_through(link_->requester, key), IBV_WC_REM_ACCESS_ERR));
    expect_untouched();

    // Only a free window can be bound.
    link_.emplace(dev);
    const std::uint32_t new_key = bind_to(link_->responder);
    EXPECT_NE(new_key, key);
    EXPECT_TRUE(completed_with(write_through(link_->requester, new_key), IBV_WC_SUCCESS));
    expect_written();
    EXPECT_TRUE(is_prompt([&] { link_.reset(); }));
    release_window();
}

TEST_F(MemoryWindow, MayBeReleasedWhileBound) {
    const std::uint32_t key = bind_to(link_->responder);
    EXPECT_TRUE(is_prompt([&] { EXPECT_EQ(ibv_dealloc_mw(mw_.release()), 0); }));
    EXPECT_TRUE(completed_with(write_through(link_->requester, key), IBV_WC_REM_ACCESS_ERR));
    expect_untouched();
    EXPECT_TRUE(is_prompt([&] { link_.reset(); }));
    EXPECT_TRUE(is_prompt([&] { EXPECT_EQ(mr_->deregister(), 0); }));
    mr_.reset();
}

TEST_F(MemoryWindow, LocalInvalidateFreesABoundOneOnce) {
    const std::uint32_t key = bind_to(link_->responder);
    EXPECT_TRUE(completed_with(local_invalidate(link_->responder, key), IBV_WC_SUCCESS));
    EXPECT_TRUE(completed_with(local_invalidate(link_->responder, key), IBV_WC_LOC_QP_OP_ERR));
    expect_error_state(link_->responder);
    EXPECT_TRUE(is_prompt([&] { link_.reset(); }));
    release_window();
}

TEST_F(MemoryWindow, LocalInvalidateOfOneNeverBoundIsAnError) {
    EXPECT_TRUE(
        completed_with(local_invalidate(link_->requester, mw_->rkey), IBV_WC_LOC_QP_OP_ERR));
    expect_error_state(link_->requester);
    EXPECT_TRUE(is_prompt([&] { link_.reset(); }));
    link_.emplace(dev);
    bind_to(link_->responder);
    EXPECT_TRUE(is_prompt([&] { link_.reset(); }));
    release_window();
}

TEST_F(MemoryWindow, PeerInvalidatesABoundOne) {
    const std::uint32_t key = bind_to(link_->responder);
    link_->responder.post_receive(mr_->sge(map_.data(), length), 7);
    send_and_invalidate(link_->requester, key);
    EXPECT_TRUE(completed_with(link_->requester.wait(), IBV_WC_SUCCESS));
    const ibv_wc received = link_->responder.wait();
    EXPECT_TRUE(completed_with(received, IBV_WC_SUCCESS));
    EXPECT_EQ(received.invalidated_rkey, key);
    EXPECT_TRUE(completed_with(write_through(link_->requester, key), IBV_WC_REM_ACCESS_ERR));
    EXPECT_TRUE(is_prompt([&] { link_.reset(); }));
    release_window();
}

TEST_F(MemoryWindow, PeerCannotInvalidateAFreeOne) {
    link_->responder.post_receive(mr_->sge(map_.data(), length), 7);
    send_and_invalidate(link_->requester, mw_->rkey);
    const ibv_wc received = link_->responder.wait();
    EXPECT_EQ(received.wr_id, 7U);
    EXPECT_TRUE(completed_with(received, IBV_WC_REM_INV_REQ_ERR));
    EXPECT_TRUE(completed_with(link_->requester.wait(), IBV_WC_SUCCESS));
    expect_error_state(link_->responder);
    EXPECT_TRUE(is_prompt([&] { link_.reset(); }));
    link_.emplace(dev);
    bind_to(link_->responder);
    EXPECT_TRUE(is_prompt([&] { link_.reset(); }));
    release_window();
}

// A window belongs to the queue pair that it is bound to: other ones, and whoever is at their other
// end, leave it as it is.
TEST_F(MemoryWindow, OtherQueuePairsCannotInvalidateIt) {
    const std::uint32_t key = bind_to(link_->responder);
    connection other(dev);
    EXPECT_TRUE(completed_with(local_invalidate(other.requester, key), IBV_WC_LOC_QP_OP_ERR));
    EXPECT_TRUE(completed_with(write_through(link_->requester, key), IBV_WC_SUCCESS));
    expect_written();
}

TEST_F(MemoryWindow, PeersOfOtherQueuePairsCannotInvalidateIt) {
    const std::uint32_t key = bind_to(link_->responder);
    connection other(dev);
    other.responder.post_receive(source_.mr.sge(source_.map.data(), length), 7);
    send_and_invalidate(other.requester, key);
    EXPECT_TRUE(completed_with(other.responder.wait(), IBV_WC_REM_INV_REQ_ERR));
    expect_error_state(other.responder);
    EXPECT_TRUE(completed_with(write_through(link_->requester, key), IBV_WC_SUCCESS));
    expect_written();
}

// The request to bind is under way when its queue pair goes: it binds and is undone, or it is not
// executed any more.
TEST_F(MemoryWindow, MayBeBoundToAQueuePairThatGoes) {
    for (int round = 0; round < 100; ++round) {
        std::optional<endpoint> side(std::in_place, dev);
        side->connect(dev, link_->responder.qp()->qp_num, IBV_MTU_1024);
        post_bind(*side);
        ASSERT_TRUE(is_prompt([&] { side.reset(); })) << "round " << round;
        renew_window();
    }
    ASSERT_TRUE(is_prompt([&] { EXPECT_EQ(mr_->deregister(), 0); }));
    mr_.reset();
}

// One of the two comes first, and then the other is refused.
TEST_F(MemoryWindow, MayBeBoundToAnMrThatGoes) {
    for (int round = 0; round < 100; ++round) {
        post_bind(link_->responder);
        int error = 0;
        ASSERT_TRUE(is_prompt([&] { error = mr_->deregister(); })) << "round " << round;
        const auto status = link_->responder.wait().status;
        EXPECT_EQ(status, error == 0 ? IBV_WC_MW_BIND_ERR : IBV_WC_SUCCESS) << error;
        renew_window();
        if (error != 0) {
            ASSERT_EQ(mr_->deregister(), 0) << "round " << round;
        } else {
            link_.emplace(dev);
        }
        mr_.emplace(
            must(region::over(dev, map_.data(), map_.size(), odp_access | IBV_ACCESS_MW_BIND)));
    }
}

// Whether memory lasts is known of pinned memory only if it was registered with that right.
TEST_F(MemoryWindow, DoesNotGiveTheRightToFlush) {
    mr_.emplace(must(region::over(dev, map_.data(), map_.size(), all_access | IBV_ACCESS_MW_BIND)));
    post_bind(link_->responder, IBV_ACCESS_FLUSH_GLOBAL | IBV_ACCESS_FLUSH_PERSISTENT);
    EXPECT_TRUE(completed_with(link_->responder.wait(), IBV_WC_MW_BIND_ERR));
}

} // namespace

} // namespace odp_test
