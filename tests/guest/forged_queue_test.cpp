// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// Work requests that no provider writes. The queues are memory of the process, so that every number
// in them is the process's word: the driver may use none to find memory of its own, and believes no
// progress that it has not made itself. An error ends the queue pair, and nothing else. The first
// test of each suite shows that what is written by hand is executed at all.

#include "fixture.hpp"
#include "resources.hpp"
#include "roce_peer.hpp"
#include "work_ring.hpp"

#include <algorithm>
#include <functional>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

namespace odp_test {

namespace {

constexpr std::uint64_t marker = 0x0f09ed0f09ed; // the wr_id by which a forged request is known
constexpr std::size_t length = 64;

/// IB_WR_REG_MR, which only the kernel's own users may post.
constexpr std::uint32_t register_fast = 0x20;

class ForgedSend : public verbs_test {
  protected:
    ForgedSend() {
        ring_.emplace(send_ring(rings_of(dev, [&] { requester_.emplace(dev); })));
        responder_.emplace(dev);
    }

    void connect() {
        requester_->connect(dev, responder_->qp()->qp_num, IBV_MTU_1024);
        responder_->connect(dev, requester_->qp()->qp_num, IBV_MTU_1024);
        fill_pattern(source_.map.bytes(), seed);
        fill_pattern(target_.map.bytes(), seed + 1);
    }

    rxe_send_wqe &draft() const {
        return draft_write(*ring_, marker, source_.mr.sge(source_.map.data(), length),
                           target_.mr.target(target_.map.data()));
    }
    ibv_wc execute() {
        ring_->publish();
        ring_doorbell(*requester_->qp());
        const ibv_wc done = requester_->wait();
        EXPECT_EQ(done.wr_id, marker) << "not the request that was written";
        return done;
    }
    void expect_error(const ibv_wc &done, ibv_wc_status expected) {
        EXPECT_TRUE(completed_with(done, expected));
        EXPECT_TRUE(becomes_true([&] { return requester_->state() == IBV_QPS_ERR; }))
            << "the queue pair goes on";
        EXPECT_TRUE(matches(compare_pattern(source_.map.bytes(), seed)));
        EXPECT_TRUE(is_prompt([&] { requester_.reset(); }));
        EXPECT_TRUE(is_prompt([&] { responder_.reset(); }));
    }

    const pinned_buffer source_{dev, page_size()};
    const pinned_buffer target_{dev, page_size()};
    std::optional<endpoint> requester_;
    std::optional<endpoint> responder_;
    std::optional<work_ring> ring_;
};

TEST_F(ForgedSend, HonestOneIsExecuted) {
    connect();
    draft();
    EXPECT_TRUE(completed_with(execute(), IBV_WC_SUCCESS));
    EXPECT_TRUE(matches(compare_pattern(target_.map.bytes(0, length), seed)));
}

/// A request that is an error from the start.
struct bad_send {
    const char *name;
    ibv_wc_status expected;
    std::function<void(rxe_send_wqe &)> forge;
};

void PrintTo(const bad_send &test, std::ostream *out) {
    *out << test.name;
}

class ForgedSendOf : public ForgedSend, public ::testing::WithParamInterface<bad_send> {};

TEST_P(ForgedSendOf, IsAnError) {
    connect();
    GetParam().forge(draft());
    expect_error(execute(), GetParam().expected);
    EXPECT_TRUE(matches(compare_pattern(target_.map.bytes(), seed + 1)));
}

void make_inline(rxe_send_wqe &request, std::uint32_t offset, std::uint32_t bytes) {
    request.wr.send_flags |= IBV_SEND_INLINE;
    request.dma.num_sge = 0;
    request.dma.sge_offset = offset;
    request.dma.length = request.dma.resid = bytes;
}

const bad_send bad_sends[] = {
    {"UnknownOpcode", IBV_WC_LOC_QP_OP_ERR, [](auto &request) { request.wr.opcode = 0x7fffffff; }},
    {"NegativeOpcode", IBV_WC_LOC_QP_OP_ERR, [](auto &request) { request.wr.opcode = 0x80000000; }},
    {"OpcodeBehindTheLast", IBV_WC_LOC_QP_OP_ERR,
     [](auto &request) { request.wr.opcode = register_fast + 1; }},
    {"FastRegistration", IBV_WC_LOC_QP_OP_ERR,
     [](auto &request) {
         request.wr.opcode = register_fast;
         request.wr.wr.rdma.remote_addr = 0xffff8ffffffff000; // where the region's address is
     }},
    {"InlineFarAway", IBV_WC_LOC_PROT_ERR,
     [](auto &request) { make_inline(request, 0x7fffff00, length); }},
    {"InlineAtTheHighestOffset", IBV_WC_LOC_PROT_ERR,
     [](auto &request) { make_inline(request, 0xffffffff - length + 1, length); }},
    {"InlineOverTheEnd", IBV_WC_LOC_PROT_ERR,
     [](auto &request) { make_inline(request, 0, queue_elements * sizeof(rxe_sge) + 1); }},
    {"LongAtomicWrite", IBV_WC_LOC_PROT_ERR,
     [](auto &request) {
         request.wr.opcode = IBV_WR_ATOMIC_WRITE;
         request.dma.length = request.dma.resid = 4096;
     }},
    {"OneElementTooMany", IBV_WC_LOC_QP_OP_ERR,
     [](auto &request) { request.dma.num_sge = queue_elements + 1; }},
    {"ManyElements", IBV_WC_LOC_QP_OP_ERR, [](auto &request) { request.dma.num_sge = 0xffffffff; }},
    {"ElementBehindTheLast", IBV_WC_LOC_QP_OP_ERR, [](auto &request) { request.dma.cur_sge = 1; }},
    {"ElementFarAway", IBV_WC_LOC_QP_OP_ERR,
     [](auto &request) { request.dma.cur_sge = 0x08000000; }},
    {"OffsetFarAway", IBV_WC_LOC_QP_OP_ERR,
     [](auto &request) { request.dma.sge_offset = 0x7fffff00; }},
    {"MoreThanItsElements", IBV_WC_LOC_QP_OP_ERR,
     [](auto &request) { request.dma.length = request.dma.resid = 1024; }},
};

INSTANTIATE_TEST_SUITE_P(Queue, ForgedSendOf, ::testing::ValuesIn(bad_sends),
                         [](const auto &test) { return std::string(test.param.name); });

/// A READ that changes in the queue while its answer is on the way. The peer that is to answer is
/// the test, so that it is known to be.
class ForgedWhileItRuns : public ForgedSend {
  protected:
    void start_read() {
        requester_->connect(dev, peer_.gid(), roce_peer::queue_pair, IBV_MTU_1024);
        fill_pattern(source_.map.bytes(), seed);
        request_ = &draft();
        request_->wr.opcode = IBV_WR_RDMA_READ;
        ring_->publish();
        ring_doorbell(*requester_->qp());
        const auto asked = peer_.receive();
        ASSERT_TRUE(asked) << "the request was not executed";
        ASSERT_EQ(asked->opcode, rc_opcode::read_request);
    }
    void answer() const {
        peer_.send(requester_->qp()->qp_num,
                   {.opcode = rc_opcode::read_response_only,
                    .header = {0, 0, 0, 1}, // a positive acknowledgement of message 1
                    .payload = wire_bytes(length, 0xee)});
    }
    ibv_wc completion() {
        const ibv_wc done = requester_->wait();
        EXPECT_EQ(done.wr_id, marker);
        return done;
    }

    const roce_peer peer_{dev};
    rxe_send_wqe *request_ = nullptr;
};

TEST_F(ForgedWhileItRuns, HonestOneIsAnswered) {
    start_read();
    answer();
    EXPECT_TRUE(completed_with(completion(), IBV_WC_SUCCESS));
    EXPECT_EQ(source_.map.bytes(0, length).back(), 0xee);
}

TEST_F(ForgedWhileItRuns, ElementFarAway) {
    start_read();
    request_->dma.num_sge = 0xffffffff;
    request_->dma.cur_sge = 0x08000000;
    answer();
    expect_error(completion(), IBV_WC_LOC_PROT_ERR);
}

TEST_F(ForgedWhileItRuns, OffsetFarAway) {
    start_read();
    request_->dma.sge_offset = 0x7fffff00;
    answer();
    expect_error(completion(), IBV_WC_LOC_PROT_ERR);
}

// What the driver would have written with a status.
TEST_F(ForgedWhileItRuns, ErrorWithoutAStatus) {
    constexpr std::uint32_t state_of_an_error = 4;
    start_read();
    request_->state = state_of_an_error;
    ring_doorbell(*requester_->qp());
    expect_error(completion(), IBV_WC_BAD_RESP_ERR);
}

enum class receive_queue { own, shared };

/// A receive of two elements, and what a SEND makes of it.
class ForgedReceive : public verbs_test, public ::testing::WithParamInterface<receive_queue> {
  protected:
    static constexpr std::size_t gap = 256; // between the elements, and around them

    ForgedReceive() {
        const bool is_shared = GetParam() == receive_queue::shared;
        rings_ = rings_of(dev, [&] {
            if (is_shared)
                shared_ = make_shared_receives(dev);
            else
                responder_.emplace(dev);
        });
        if (is_shared)
            responder_.emplace(dev, endpoint_kind{.receives = shared_.get()});
        requester_.emplace(dev);
        requester_->connect(dev, responder_->qp()->qp_num, IBV_MTU_1024);
        responder_->connect(dev, requester_->qp()->qp_num, IBV_MTU_1024);
        fill_pattern(source_.map.bytes(), seed);
        fill_pattern(target_.map.bytes(), seed + 1);
    }

    /// Posts a receive through the provider; what it wrote into the queue.
    rxe_recv_wqe &post_receive() {
        ibv_sge elements[] = {target_.mr.sge(target_.map.data() + gap, length),
                              target_.mr.sge(target_.map.data() + 2 * gap, length)};
        responder_->post_receive(elements, marker);
        auto &written = *static_cast<rxe_recv_wqe *>(receive_ring(rings_, marker).newest());
        EXPECT_EQ(written.dma.num_sge, 2U);
        return written;
    }
    ibv_wc send(std::size_t bytes) {
        return requester_->run(operation::send(source_.mr.sge(source_.map.data(), bytes)));
    }
    /// The message is where the request's elements say, whatever else it says.
    void expect_arrival(std::size_t bytes) {
        EXPECT_TRUE(completed_with(send(bytes), IBV_WC_SUCCESS));
        const ibv_wc received = responder_->wait();
        EXPECT_TRUE(completed_with(received, IBV_WC_SUCCESS));
        EXPECT_EQ(received.wr_id, marker);
        EXPECT_EQ(received.byte_len, bytes);
        const std::size_t first = std::min(bytes, length);
        EXPECT_TRUE(matches(compare_pattern(target_.map.bytes(gap, first), seed)));
        EXPECT_TRUE(
            matches(compare_pattern(target_.map.bytes(2 * gap, bytes - first), seed, first)));
        expect_untouched_from(2 * gap + bytes - first);
        destroy();
    }
    void expect_untouched_from(std::size_t start) const {
        EXPECT_TRUE(matches(compare_pattern(target_.map.bytes(0, gap), seed + 1)));
        EXPECT_TRUE(matches(compare_pattern(target_.map.bytes(gap + length, gap - length), seed + 1,
                                            gap + length)));
        EXPECT_TRUE(matches(compare_pattern(target_.map.bytes(start, target_.map.size() - start),
                                            seed + 1, start)));
    }
    /// A SEND of @bytes is refused on both sides, and stays inside of the elements.
    void expect_refusal(std::size_t bytes, ibv_wc_status at_requester,
                        std::optional<ibv_wc_status> at_responder) {
        EXPECT_TRUE(completed_with(send(bytes), at_requester));
        EXPECT_TRUE(becomes_true([&] { return responder_->state() == IBV_QPS_ERR; }))
            << "the queue pair goes on";
        if (at_responder) {
            const ibv_wc received = responder_->wait();
            EXPECT_TRUE(completed_with(received, *at_responder));
            EXPECT_EQ(received.wr_id, marker);
        }
        EXPECT_FALSE(responder_->poll());
        expect_untouched_from(2 * gap + length);
        destroy();
    }
    /// It is not taken. A queue pair flushes its own requests, not shared ones.
    void expect_malformed() {
        expect_refusal(length, IBV_WC_REM_OP_ERR,
                       GetParam() == receive_queue::own ? std::optional(IBV_WC_WR_FLUSH_ERR)
                                                        : std::nullopt);
        EXPECT_TRUE(matches(compare_pattern(target_.map.bytes(), seed + 1)));
    }
    void destroy() {
        EXPECT_TRUE(is_prompt([&] { requester_.reset(); }));
        EXPECT_TRUE(is_prompt([&] { responder_.reset(); }));
        EXPECT_TRUE(is_prompt([&] { shared_.reset(); }));
    }

    const pinned_buffer source_{dev, page_size()};
    const pinned_buffer target_{dev, page_size()};
    srq_handle shared_;
    std::optional<endpoint> requester_;
    std::optional<endpoint> responder_;
    std::vector<work_ring> rings_;
};

TEST_P(ForgedReceive, HonestOneIsExecuted) {
    post_receive();
    expect_arrival(length + 10);
}

TEST_P(ForgedReceive, ClaimsToBeInItsSecondElement) {
    post_receive().dma.cur_sge = 1;
    expect_arrival(length + 10);
}

TEST_P(ForgedReceive, ClaimsToBeInAnElementFarAway) {
    post_receive().dma.cur_sge = 0x08000000;
    expect_arrival(length + 10);
}

TEST_P(ForgedReceive, ClaimsToBeInsideOfAnElement) {
    post_receive().dma.sge_offset = 16;
    expect_arrival(length + 10);
}

TEST_P(ForgedReceive, ClaimsToBeFarBehindAnElement) {
    post_receive().dma.sge_offset = 0x7fffff00;
    expect_arrival(length + 10);
}

TEST_P(ForgedReceive, ClaimsToBeFull) {
    post_receive().dma.resid = 0;
    expect_arrival(length + 10);
}

TEST_P(ForgedReceive, ClaimsToHaveMoreRoomLeft) {
    post_receive().dma.resid = 0xffffffff;
    expect_arrival(2 * length);
}

// The elements are the end, whatever is left of the claim.
TEST_P(ForgedReceive, ClaimsToHaveMoreRoom) {
    auto &request = post_receive();
    request.dma.resid = 0xffffffff;
    request.dma.length = 0xffffffff;
    expect_refusal(2 * length + 1, IBV_WC_REM_INV_REQ_ERR, IBV_WC_REM_INV_REQ_ERR);
}

TEST_P(ForgedReceive, ClaimsOneElementTooMany) {
    post_receive().dma.num_sge = queue_elements + 1;
    expect_malformed();
}

TEST_P(ForgedReceive, ClaimsManyElements) {
    post_receive().dma.num_sge = 0xffffffff;
    expect_malformed();
}

INSTANTIATE_TEST_SUITE_P(Queue, ForgedReceive,
                         ::testing::Values(receive_queue::own, receive_queue::shared),
                         [](const auto &test) -> std::string {
                             return test.param == receive_queue::own ? "Own" : "Shared";
                         });

} // namespace

} // namespace odp_test
