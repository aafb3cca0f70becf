// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// Answers that cannot be sent. The responder is free for the next request.

#include "fixture.hpp"
#include "roce_peer.hpp"

namespace odp_test {

namespace {

constexpr std::size_t length = 64;

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
