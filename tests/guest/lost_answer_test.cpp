// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// Answers that get lost on their way, or cannot be sent at all. What they hold at either side is
// free again: what a requester may have outstanding, and the responder for the next request.

#include "fixture.hpp"
#include "roce_peer.hpp"

#include <chrono>

namespace odp_test {

namespace {

using namespace std::chrono_literals;

constexpr std::size_t length = 64;

/// A requester that may have one READ or the like outstanding; the peer is the test.
class LostAnswer : public verbs_test {
  protected:
    LostAnswer() { requester_.connect(dev, peer_.gid(), roce_peer::queue_pair, IBV_MTU_1024); }
    void SetUp() override {
        if (!has_flush_and_atomic_write(dev))
            GTEST_SKIP() << "this provider has no flush";
    }

    operation write() const { return operation::write(local(length), there); }
    operation read() const { return operation::read(local(length), there); }
    operation fetch_add() const { return operation::fetch_add(local(8), there, 1); }
    static operation flush() {
        return operation::flush(there, length, IBV_FLUSH_GLOBAL, IBV_FLUSH_RANGE);
    }
    void expect_request(rc_opcode opcode, std::uint32_t psn) const {
        const auto request = peer_.receive();
        ASSERT_TRUE(request) << "request " << psn << " was not sent";
        EXPECT_EQ(request->opcode, opcode);
        EXPECT_EQ(request->psn, psn);
    }
    void answer(rc_opcode opcode, std::uint32_t psn, std::size_t result = 0) const {
        wire_bytes header{0, 0, 0, 1}; // an acknowledgement of message 1
        header.resize(header.size() + result);
        peer_.send(requester_.qp()->qp_num, {.opcode = opcode, .psn = psn, .header = header});
    }
    void expect_success() { EXPECT_TRUE(completed_with(requester_.wait(), IBV_WC_SUCCESS)); }
    /// The answer to @work, request 0, is lost, and that to what is behind it says as much.
    void expect_another_after(const operation &work, rc_opcode opcode) {
        requester_.post(work);
        requester_.post(write());
        expect_request(opcode, 0);
        expect_request(rc_opcode::write_only, 1);
        answer(rc_opcode::acknowledge, 1);
        expect_success();
        expect_success();
        requester_.post(read());
        expect_request(rc_opcode::read_request, 2);
    }

    static constexpr remote_target there{.iova = 0x1000, .rkey = 1};
    const roce_peer peer_{dev};
    endpoint requester_{dev, {.requester_resources = 1}};

  private:
    ibv_sge local(std::size_t bytes) const { return buffer_.mr.sge(buffer_.map.data(), bytes); }

    const pinned_buffer buffer_{dev, page_size()};
};

TEST_F(LostAnswer, OfAnAtomicWrite) {
    expect_another_after(operation::atomic_write(1, there), rc_opcode::atomic_write);
}

TEST_F(LostAnswer, OfAFlush) {
    expect_another_after(flush(), rc_opcode::flush);
}

// The responder would drop what it has kept of the atomic, and could not repeat the answer.
TEST_F(LostAnswer, OfAnAtomicIsAwaitedBeforeAFlush) {
    requester_.post(fetch_add());
    requester_.post(flush());
    expect_request(rc_opcode::fetch_add, 0);
    EXPECT_FALSE(peer_.receive(200ms)) << "the responder cannot have both";
    answer(rc_opcode::atomic_acknowledge, 0, sizeof(std::uint64_t));
    expect_success();
    expect_request(rc_opcode::flush, 1);
    answer(rc_opcode::read_response_only, 1);
    expect_success();
}

// One that is larger than the wire permits. The request is refused for now, and the next one is
// what it says.
TEST(AnswerThatCannotBeSent, LeavesTheResponderReady) {
    constexpr std::size_t too_much = 2048;
    const device dev;
    const roce_peer peer(dev);
    endpoint responder(dev);
    responder.connect(dev, peer.gid(), roce_peer::queue_pair, IBV_MTU_2048);
    const pinned_buffer buffer(dev, page_size());
    const auto ask = [&](rc_opcode opcode, std::uint32_t psn, std::size_t bytes,
                         const wire_bytes &payload = {}) {
        const auto header =
            rdma_header(buffer.mr.target(buffer.map.data()), static_cast<std::uint32_t>(bytes));
        peer.send(responder.qp()->qp_num,
                  {.opcode = opcode, .psn = psn, .header = header, .payload = payload});
        return peer.receive();
    };

    const auto refused = ask(rc_opcode::read_request, 0, too_much);
    ASSERT_TRUE(refused);
    EXPECT_EQ(refused->syndrome & syndrome_class, rnr_nak);
    const auto written = ask(rc_opcode::write_only, 0, length, wire_bytes(length, 0xee));
    ASSERT_TRUE(written);
    EXPECT_TRUE(written->is_positive());
    EXPECT_EQ(written->opcode, rc_opcode::acknowledge);
    EXPECT_EQ(buffer.map.bytes(0, length).back(), 0xee);
    const auto read = ask(rc_opcode::read_request, 1, length);
    ASSERT_TRUE(read);
    EXPECT_EQ(read->opcode, rc_opcode::read_response_only);
    EXPECT_EQ(read->payload, wire_bytes(length, 0xee));
}

} // namespace

} // namespace odp_test
