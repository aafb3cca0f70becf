// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// Packets that are well-formed and out of place: what an unreliable connection loses in between, a
// request that the responder has no resources for, an answer that does not belong to the request.
// Each has its completion, and the next message is not its concern.

#include "fixture.hpp"
#include "resources.hpp"
#include "roce_peer.hpp"
#include "user_faults.hpp"

#include <bit>
#include <chrono>
#include <optional>
#include <thread>

namespace odp_test {

namespace {

using namespace std::chrono_literals;

constexpr std::size_t length = 64;
constexpr std::uint64_t late_id = 77;

/// An unreliable connection to a shared receive queue, whose first receive waits for its page.
class UnreliableConnection : public verbs_test {
  protected:
    UnreliableConnection() {
        requester_.emplace(dev, endpoint_kind{.type = IBV_QPT_UC});
        responder_.emplace(dev, endpoint_kind{.type = IBV_QPT_UC, .receives = receives_.get()});
        requester_->connect(dev, responder_->qp()->qp_num, IBV_MTU_1024);
        responder_->connect(dev, requester_->qp()->qp_num, IBV_MTU_1024);
        fill_pattern(source_.map.bytes(), seed);
        fill_pattern(target_.map.bytes(), seed + 1);
    }

    void post(const operation &work) {
        // Unreliable: it is complete when it is sent.
        EXPECT_TRUE(completed_with(requester_->run(work), IBV_WC_SUCCESS));
    }
    operation send(std::size_t start) const {
        return operation::send(source_.mr.sge(source_.map.data() + start, length));
    }
    operation write_with_bad_key() const {
        return operation::write(source_.mr.sge(source_.map.data(), length),
                                {target_.mr.iova(target_.map.data()), 0x12345678});
    }
    /// The first message has taken the receive whose page is late, and is lost.
    void lose_a_message() {
        responder_->post_receive(late_mr_.sge(late_.data(), length), late_id);
        post(send(0));
        faults_.next();
        std::this_thread::sleep_for(100ms); // longer than anybody waits in place
        ASSERT_FALSE(responder_->poll()) << "completed without the page";
    }
    void expect_arrival(std::size_t start, std::uint64_t id) {
        const auto place = target_.map.bytes(start, length);
        responder_->post_receive(target_.mr.sge(place.data(), length), id);
        post(send(start));
        const ibv_wc received = responder_->wait();
        EXPECT_TRUE(completed_with(received, IBV_WC_SUCCESS));
        EXPECT_EQ(received.wr_id, id);
        EXPECT_EQ(received.byte_len, length);
        EXPECT_TRUE(matches(compare_pattern(place, seed, start)));
    }
    void destroy() {
        EXPECT_TRUE(is_prompt([&] { requester_.reset(); }));
        EXPECT_TRUE(is_prompt([&] { responder_.reset(); }));
    }

    const pinned_buffer source_{dev, page_size()};
    const pinned_buffer target_{dev, page_size()};
    const mapping late_{page_size(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS};
    const user_faults faults_{late_};
    const region late_mr_{must(region::over(dev, late_.data(), late_.size(), odp_access))};
    const srq_handle receives_{make_shared_receives(dev)};
    std::optional<endpoint> requester_;
    std::optional<endpoint> responder_;
};

// What the lost message had taken is completed in error by the WRITE, so that there is none to use
// again for the message after it.
TEST_F(UnreliableConnection, RefusedWriteAfterAMessageThatWasLost) {
    lose_a_message();
    post(write_with_bad_key());
    const ibv_wc refused = responder_->wait();
    EXPECT_EQ(refused.wr_id, late_id);
    EXPECT_TRUE(completed_with(refused, IBV_WC_REM_ACCESS_ERR));
    expect_arrival(length, 78);
    expect_arrival(2 * length, 79);
    destroy();
}

TEST_F(UnreliableConnection, MessageAfterOneThatWasLost) {
    lose_a_message();
    const mapping content(page_size(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
    faults_.provide(std::bit_cast<std::uintptr_t>(late_.data()), content.data());
    post(send(length)); // into what the lost one had taken
    const ibv_wc received = responder_->wait();
    EXPECT_TRUE(completed_with(received, IBV_WC_SUCCESS));
    EXPECT_EQ(received.wr_id, late_id);
    EXPECT_TRUE(matches(compare_pattern(late_.bytes(0, length), seed, length)));
    expect_arrival(2 * length, 78);
    destroy();
}

/// A responder that was made for no READ, atomic or flush.
class NoResponderResources : public verbs_test {
  protected:
    /// On queue pairs of its own.
    void expect_refused(const operation &work) {
        std::optional<endpoint> requester(std::in_place, dev);
        std::optional<endpoint> responder(std::in_place, dev,
                                          endpoint_kind{.responder_resources = 0});
        requester->connect(dev, responder->qp()->qp_num, IBV_MTU_1024);
        responder->connect(dev, requester->qp()->qp_num, IBV_MTU_1024);
        EXPECT_TRUE(completed_with(requester->run(work), IBV_WC_REM_INV_REQ_ERR));
        EXPECT_TRUE(becomes_true([&] { return responder->state() == IBV_QPS_ERR; }));
        EXPECT_TRUE(is_prompt([&] { requester.reset(); }));
        EXPECT_TRUE(is_prompt([&] { responder.reset(); }));
    }

    const pinned_buffer buffer_{dev, page_size()};
    const mapping map_{page_size(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS};
    const region mr_{
        must(region::over(dev, map_.data(), map_.size(), odp_access | IBV_ACCESS_FLUSH_GLOBAL))};
    const ibv_sge local_{buffer_.mr.sge(buffer_.map.data(), 8)};
    const remote_target remote_{mr_.target(map_.data())};
};

TEST_F(NoResponderResources, FlushIsRefused) {
    expect_refused(operation::flush(remote_, 4096, IBV_FLUSH_GLOBAL, IBV_FLUSH_RANGE));
    expect_refused(operation::flush(remote_, 0, IBV_FLUSH_GLOBAL, IBV_FLUSH_MR));
}

TEST_F(NoResponderResources, ReadAndAtomicsAreRefused) {
    expect_refused(operation::read(local_, remote_));
    expect_refused(operation::fetch_add(local_, remote_, 1));
    expect_refused(operation::atomic_write(1, remote_));
    EXPECT_EQ(*map_.data(), 0);
}

/// Answers to a request of two packets, from a peer that is the test.
class ForgedAnswer : public verbs_test {
  protected:
    static constexpr std::size_t mtu = 1024;

    ForgedAnswer() { fill_pattern(buffer_.map.bytes(), seed); }

    void ask(const operation &work) {
        requester_.emplace(dev);
        requester_->connect(dev, peer_.gid(), roce_peer::queue_pair, IBV_MTU_1024);
        requester_->post(work);
        ASSERT_TRUE(peer_.receive()) << "the request was not executed";
    }
    void ask_for_read() { ask(operation::read(local(), {0x1000, 1})); }
    void ask_for_write() {
        ask(operation::write(local(), {0x1000, 1}));
        ASSERT_TRUE(peer_.receive()) << "the second packet was not sent";
    }
    ibv_sge local() const { return buffer_.mr.sge(buffer_.map.data(), 2 * mtu); }

    void answer(rc_opcode opcode, std::uint32_t psn, const wire_bytes &header,
                std::size_t bytes) const {
        peer_.send(
            requester_->qp()->qp_num,
            {.opcode = opcode, .psn = psn, .header = header, .payload = wire_bytes(bytes, 0xee)});
    }
    void expect_error(ibv_wc_status expected) {
        EXPECT_TRUE(completed_with(requester_->wait(), expected));
        EXPECT_TRUE(becomes_true([&] { return requester_->state() == IBV_QPS_ERR; }))
            << "the queue pair goes on";
        EXPECT_TRUE(is_prompt([&] { requester_.reset(); }));
    }
    void expect_nothing_delivered() const {
        EXPECT_TRUE(matches(compare_pattern(buffer_.map.bytes(), seed)));
    }

    const wire_bytes positive{0, 0, 0, 1}; // an acknowledgement of message 1
    const roce_peer peer_{dev};
    const pinned_buffer buffer_{dev, page_size()};
    std::optional<endpoint> requester_;
};

TEST_F(ForgedAnswer, HonestOneIsTaken) {
    ask_for_read();
    answer(rc_opcode::read_response_first, 0, positive, mtu);
    answer(rc_opcode::read_response_last, 1, positive, mtu);
    EXPECT_TRUE(completed_with(requester_->wait(), IBV_WC_SUCCESS));
    EXPECT_EQ(buffer_.map.bytes(0, 2 * mtu).back(), 0xee);
}

TEST_F(ForgedAnswer, MiddleOfAReadWithoutItsFirst) {
    ask_for_read();
    answer(rc_opcode::read_response_middle, 0, {}, mtu);
    expect_error(IBV_WC_BAD_RESP_ERR);
    expect_nothing_delivered();
}

TEST_F(ForgedAnswer, LastOfAReadWithoutItsFirst) {
    ask_for_read();
    answer(rc_opcode::read_response_last, 0, positive, mtu);
    expect_error(IBV_WC_BAD_RESP_ERR);
    expect_nothing_delivered();
}

TEST_F(ForgedAnswer, AtomicResultInTheMiddleOfARead) {
    ask_for_read();
    answer(rc_opcode::read_response_first, 0, positive, mtu);
    answer(rc_opcode::atomic_acknowledge, 1, wire_bytes(12, 0), 0);
    expect_error(IBV_WC_BAD_RESP_ERR);
}

TEST_F(ForgedAnswer, ReadWithANegativeAcknowledgement) {
    ask_for_read();
    answer(rc_opcode::read_response_first, 0, {nak_invalid_request, 0, 0, 1}, mtu);
    expect_error(IBV_WC_BAD_RESP_ERR);
    expect_nothing_delivered();
}

TEST_F(ForgedAnswer, AtomicResultForAWrite) {
    ask_for_write();
    answer(rc_opcode::atomic_acknowledge, 1, wire_bytes(12, 0), 0);
    expect_error(IBV_WC_BAD_RESP_ERR);
    expect_nothing_delivered();
}

TEST_F(ForgedAnswer, AcknowledgementOfAReservedClass) {
    ask_for_write();
    answer(rc_opcode::acknowledge, 1, {0x40, 0, 0, 1}, 0);
    expect_error(IBV_WC_BAD_RESP_ERR);
    expect_nothing_delivered();
}

} // namespace

} // namespace odp_test
