// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// What a peer reaches with the key of a memory window: the window, to the byte, and not the MR
// under it (IBTA volume 1, 10.6.7). For both types, with addresses and counted from zero, on
// explicit and on implicit on-demand MRs. The unmodified driver looks at the MR's bounds only.

#include "fixture.hpp"
#include "resources.hpp"
#include "roce_peer.hpp"

#include <stdexcept>
#include <string>
#include <tuple>

namespace odp_test {

namespace {

enum class window_type { one, two, two_zero_based };

class WindowBounds : public verbs_test,
                     public ::testing::WithParamInterface<std::tuple<window_type, bool>> {
  protected:
    static constexpr std::size_t length = 3000; // three packets at MTU 1024
    static constexpr int rights =
        IBV_ACCESS_REMOTE_READ | IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_ATOMIC;

    WindowBounds() {
        renew_window();
        fill_pattern(map_.bytes(), seed);
        fill_pattern(source_.map.bytes(), seed + 1);
    }
    void TearDown() override {
        mw_.reset();
        verbs_test::TearDown();
    }

    void renew_window() {
        mw_.reset(ibv_alloc_mw(dev.pd(), is_type_one() ? IBV_MW_TYPE_1 : IBV_MW_TYPE_2));
        if (!mw_)
            fail_with_errno("allocating a memory window");
    }
    static bool is_type_one() { return std::get<0>(GetParam()) == window_type::one; }
    static bool is_zero_based() { return std::get<0>(GetParam()) == window_type::two_zero_based; }
    static bool is_implicit() { return std::get<1>(GetParam()); }

    /// To [start_, start_ + bytes); how that ended.
    ibv_wc_status bind(endpoint &side, std::size_t bytes, int access = rights) {
        const ibv_mw_bind_info info{.mr = mr_.mr(),
                                    .addr = mr_.iova(start_),
                                    .length = bytes,
                                    .mw_access_flags =
                                        static_cast<unsigned>(access) |
                                        (is_zero_based() ? unsigned{IBV_ACCESS_ZERO_BASED} : 0U)};
        if (is_type_one()) {
            ibv_mw_bind request{.wr_id = 0, .send_flags = IBV_SEND_SIGNALED, .bind_info = info};
            if (const int error = ibv_bind_mw(side.qp(), mw_.get(), &request))
                fail_with(error, "binding a memory window");
            return side.wait().status;
        }
        const std::uint32_t key = ibv_inc_rkey(mw_->rkey);
        ibv_send_wr request{};
        request.opcode = IBV_WR_BIND_MW;
        request.bind_mw = {.mw = mw_.get(), .rkey = key, .bind_info = info};
        side.post(request);
        const auto status = side.wait().status;
        if (status == IBV_WC_SUCCESS)
            mw_->rkey = key;
        return status;
    }
    /// Counted from the window's start, as the peer names it.
    remote_target at(std::ptrdiff_t offset) const {
        const std::uint64_t base = is_zero_based() ? 0 : mr_.iova(start_);
        return {base + static_cast<std::uint64_t>(offset), mw_->rkey};
    }
    /// Queue pairs of its own, a window of @length bytes, and what comes of the work.
    ibv_wc_status try_through(std::ptrdiff_t offset, std::size_t bytes,
                              ibv_wr_opcode opcode = IBV_WR_RDMA_WRITE) {
        connection link(dev);
        EXPECT_EQ(bind(link.responder, length), IBV_WC_SUCCESS);
        const ibv_sge local = source_.mr.sge(source_.map.data(), bytes);
        const auto work = opcode == IBV_WR_RDMA_WRITE  ? operation::write(local, at(offset))
                          : opcode == IBV_WR_RDMA_READ ? operation::read(local, at(offset))
                                                       : operation::fetch_add(local, at(offset), 1);
        return link.requester.run(work).status;
    }
    void expect_untouched() const { EXPECT_TRUE(matches(compare_pattern(map_.bytes(), seed))); }

    const mapping map_{6 * page_size(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS};
    const pinned_buffer source_{dev, 2 * page_size()};
    const region mr_{is_implicit() ? must(region::implicit(dev, odp_access | IBV_ACCESS_MW_BIND))
                                   : must(region::over(dev, map_.data(), map_.size(),
                                                       odp_access | IBV_ACCESS_MW_BIND))};
    const std::uint8_t *start_ = map_.data() + page_size() + 64;
    mw_handle mw_;
};

TEST_P(WindowBounds, AllOfItIsReached) {
    EXPECT_EQ(try_through(0, length), IBV_WC_SUCCESS);
    EXPECT_TRUE(matches(compare_pattern(map_.bytes(page_size() + 64, length), seed + 1)));
    EXPECT_TRUE(matches(compare_pattern(map_.bytes(0, page_size() + 64), seed)));
    const std::size_t behind = page_size() + 64 + length;
    EXPECT_TRUE(matches(compare_pattern(map_.bytes(behind, map_.size() - behind), seed, behind)));
    fill_pattern(source_.map.bytes(), seed + 2);
    EXPECT_EQ(try_through(100, length - 100, IBV_WR_RDMA_READ), IBV_WC_SUCCESS);
    EXPECT_TRUE(matches(compare_pattern(source_.map.bytes(0, length - 100), seed + 1, 100)));
    EXPECT_EQ(try_through(8, 8, IBV_WR_ATOMIC_FETCH_AND_ADD), IBV_WC_SUCCESS);
    EXPECT_EQ(try_through(length - 8, 8, IBV_WR_ATOMIC_FETCH_AND_ADD), IBV_WC_SUCCESS);
}

TEST_P(WindowBounds, NothingElseIs) {
    for (const auto opcode : {IBV_WR_RDMA_WRITE, IBV_WR_RDMA_READ}) {
        EXPECT_EQ(try_through(-1, 2, opcode), IBV_WC_REM_ACCESS_ERR);
        EXPECT_EQ(try_through(-1, length, opcode), IBV_WC_REM_ACCESS_ERR);
        EXPECT_EQ(try_through(1, length, opcode), IBV_WC_REM_ACCESS_ERR);
        EXPECT_EQ(try_through(length, 1, opcode), IBV_WC_REM_ACCESS_ERR);
        EXPECT_EQ(try_through(length - 1, 2, opcode), IBV_WC_REM_ACCESS_ERR);
        EXPECT_EQ(try_through(2 * static_cast<std::ptrdiff_t>(page_size()), 8, opcode),
                  IBV_WC_REM_ACCESS_ERR);
    }
    EXPECT_EQ(try_through(-8, 8, IBV_WR_ATOMIC_FETCH_AND_ADD), IBV_WC_REM_ACCESS_ERR);
    EXPECT_EQ(try_through(length, 8, IBV_WR_ATOMIC_FETCH_AND_ADD), IBV_WC_REM_ACCESS_ERR);
    expect_untouched();
}

TEST_P(WindowBounds, ItsRightsAreItsOwn) {
    connection link(dev);
    ASSERT_EQ(bind(link.responder, length, IBV_ACCESS_REMOTE_READ), IBV_WC_SUCCESS);
    const ibv_sge local = source_.mr.sge(source_.map.data(), length);
    EXPECT_TRUE(completed_with(link.requester.run(operation::read(local, at(0))), IBV_WC_SUCCESS));
    EXPECT_TRUE(matches(compare_pattern(source_.map.bytes(0, length), seed, page_size() + 64)));
    expect_fatal(link, operation::write(local, at(0)), IBV_WC_REM_ACCESS_ERR);
    expect_untouched();
}

TEST_P(WindowBounds, BoundInsideTheMrOnly) {
    const std::size_t room = map_.size() - page_size() - 64;
    for (const std::size_t bytes : {room + 1, SIZE_MAX}) {
        if (is_implicit() && bytes != SIZE_MAX)
            continue;
        connection link(dev);
        EXPECT_EQ(bind(link.responder, bytes), IBV_WC_MW_BIND_ERR) << bytes;
        renew_window(); // the library has given it another key all the same
    }
    connection link(dev);
    EXPECT_EQ(bind(link.responder, room), IBV_WC_SUCCESS);
}

// Its first answer was lost. Of a zero based window the unmodified driver looks for the address
// that the peer names among those that the MR has, does not find it, and does not answer.
TEST_P(WindowBounds, ReadIsRepeated) {
    const roce_peer peer(dev);
    endpoint responder(dev);
    responder.connect(dev, peer.gid(), roce_peer::queue_pair, IBV_MTU_1024);
    ASSERT_EQ(bind(responder, length), IBV_WC_SUCCESS);
    for (int time = 0; time < 3; ++time) {
        peer.send(responder.qp()->qp_num,
                  {.opcode = rc_opcode::read_request, .header = rdma_header(at(200), 2000)});
        for (std::uint32_t packet = 0; packet < 2; ++packet) {
            const auto answer = peer.receive();
            ASSERT_TRUE(answer) << "time " << time;
            EXPECT_EQ(answer->psn, packet);
            EXPECT_TRUE(matches(
                compare_pattern(answer->payload, seed, page_size() + 64 + 200 + packet * 1024UZ)));
        }
    }
}

// A repeated READ may ask for less than it did first, and after that for all of it again. What is
// repeated stays the same: the unmodified driver takes the last repetition for it, so that READs
// of nothing at the end of the one before go through the whole MR.
TEST_P(WindowBounds, RepeatedReadsStayInside) {
    constexpr std::uint32_t part = 1000;
    const roce_peer peer(dev);
    endpoint responder(dev);
    responder.connect(dev, peer.gid(), roce_peer::queue_pair, IBV_MTU_1024);
    ASSERT_EQ(bind(responder, part), IBV_WC_SUCCESS);
    const auto send_read = [&](std::ptrdiff_t offset, std::uint32_t bytes) {
        peer.send(responder.qp()->qp_num,
                  {.opcode = rc_opcode::read_request, .header = rdma_header(at(offset), bytes)});
    };
    const auto expect_answer = [&](std::ptrdiff_t offset, std::uint32_t bytes) {
        send_read(offset, bytes);
        const auto answer = peer.receive();
        ASSERT_TRUE(answer) << offset << ", " << bytes;
        EXPECT_EQ(answer->payload.size(), bytes);
        const std::size_t start = page_size() + 64 + static_cast<std::size_t>(offset);
        EXPECT_TRUE(matches(compare_pattern(answer->payload, seed, start)));
    };
    const auto expect_silence = [&](std::ptrdiff_t offset, std::uint32_t bytes) {
        send_read(offset, bytes);
        EXPECT_FALSE(peer.receive(std::chrono::milliseconds(300))) << offset << ", " << bytes;
    };
    expect_answer(0, part);
    expect_answer(600, 400);
    expect_silence(600, part);
    expect_answer(0, part);
    expect_answer(part, 0);
    expect_silence(part, part);
    expect_silence(-1, 2);
    expect_answer(0, part);
}

std::string name_of(const ::testing::TestParamInfo<WindowBounds::ParamType> &test) {
    const std::string mr = std::get<1>(test.param) ? "OnImplicit" : "OnExplicit";
    switch (std::get<0>(test.param)) {
    case window_type::one:
        return "TypeOne" + mr;
    case window_type::two:
        return "TypeTwo" + mr;
    case window_type::two_zero_based:
        return "ZeroBased" + mr;
    }
    throw std::logic_error("unknown type of memory window");
}

INSTANTIATE_TEST_SUITE_P(Of, WindowBounds,
                         ::testing::Combine(::testing::Values(window_type::one, window_type::two,
                                                              window_type::two_zero_based),
                                            ::testing::Bool()),
                         name_of);

} // namespace

} // namespace odp_test
