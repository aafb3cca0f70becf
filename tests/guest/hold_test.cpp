// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// What goes on at a queue pair while one packet waits for its page. What was sent before it is
// watched and repeated as ever, acknowledgements are asked for as often, what arrives behind it is
// bounded, and what it has taken is given back.

#include "fixture.hpp"
#include "resources.hpp"
#include "roce_peer.hpp"
#include "user_faults.hpp"

#include <unistd.h>

#include <bit>
#include <chrono>
#include <optional>
#include <thread>

namespace odp_test {

namespace {

using namespace std::chrono_literals;

constexpr std::size_t mtu = 1024;
constexpr std::uint8_t no_time_out = 0; // what gets lost is lost

/// Memory whose pages come when the test says so.
class LateMemory : public verbs_test {
  protected:
    void provide(std::size_t page) const {
        const std::size_t start = page * page_size();
        fill_pattern(content_.bytes(), seed, start);
        faults_.provide(std::bit_cast<std::uintptr_t>(late_.data()) + start, content_.data());
    }
    /// It has been asked for, and nobody waits in place any more.
    void wait_until_it_is_late() const {
        faults_.next();
        std::this_thread::sleep_for(200ms);
    }

    const mapping late_{64 * page_size(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS};
    const user_faults faults_{late_};
    const region mr_ = must(region::implicit(dev, odp_access));

  private:
    const mapping content_{page_size(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS};
};

/// A connection on which nothing gets lost, so that nothing is ever repeated after a while.
class HeldPacket : public LateMemory {
  protected:
    HeldPacket() {
        requester_.connect(dev, dev.gid(), responder_.qp()->qp_num, IBV_MTU_1024, no_time_out);
        responder_.connect(dev, dev.gid(), requester_.qp()->qp_num, IBV_MTU_1024, no_time_out);
    }

    endpoint requester_{dev};
    endpoint responder_{dev};
};

// Every 66th packet of a message asks for an acknowledgement, and 128 may be without one. The page
// comes as soon as its packet has been put off: each further attempt counts as a packet.
TEST_F(HeldPacket, AsksForAnAcknowledgementAllTheSame) {
    constexpr std::size_t length = 200 * mtu;
    constexpr std::size_t asking = 65;
    const std::size_t start = page_size() - mtu; // so that this packet is the first of its page
    const std::size_t late_page = (start + asking * mtu) / page_size();
    for (std::size_t page = 0; page * page_size() < start + length; ++page)
        if (page != late_page)
            provide(page);
    const pinned_buffer to(dev, length);
    const auto attempts = [] { return read_mirror_counters(getpid())["busy"]; };
    const std::uint64_t before = attempts();
    requester_.post(
        operation::write(mr_.sge(late_.data() + start, length), to.mr.target(to.map.data())));
    ASSERT_TRUE(becomes_true([&] { return attempts() > before; }));
    provide(late_page);
    EXPECT_TRUE(completed_with(requester_.wait(), IBV_WC_SUCCESS));
    EXPECT_TRUE(matches(compare_pattern(to.map.bytes(), seed, start)));
}

// The peer answers as fast as it can and does not know that the first page is late. What does not
// find room is sent once more, which all but what was kept is.
TEST_F(HeldPacket, AnswersBehindItTakeBoundedMemory) {
    constexpr std::size_t length = std::size_t{32} << 20;
    constexpr std::size_t npackets = length / mtu;
    constexpr std::size_t most = 8192;
    const pinned_buffer from(dev, length);
    const pinned_buffer rest(dev, length - page_size());
    fill_pattern(from.map.bytes(), seed);
    ibv_sge to[] = {mr_.sge(late_.data(), page_size()),
                    rest.mr.sge(rest.map.data(), rest.map.size())};
    ibv_send_wr read{};
    read.opcode = IBV_WR_RDMA_READ;
    read.sg_list = to;
    read.num_sge = 2;
    const remote_target source = from.mr.target(from.map.data());
    read.wr.rdma = {.remote_addr = source.iova, .rkey = source.rkey};
    const std::uint64_t before = device_counter(dev.name(), "sent_pkts");
    const auto sent = [&] { return device_counter(dev.name(), "sent_pkts") - before; };
    requester_.post(read);
    ASSERT_TRUE(becomes_true([&] { return sent() > npackets; }, 60s));
    ASSERT_FALSE(requester_.poll()) << "completed without the page";
    provide(0);
    EXPECT_TRUE(completed_with(requester_.wait(2min), IBV_WC_SUCCESS));
    EXPECT_GT(sent(), 2 * npackets - most);
    EXPECT_TRUE(matches(compare_pattern(late_.bytes(0, page_size()), seed)));
    EXPECT_TRUE(matches(compare_pattern(rest.map.bytes(), seed, page_size())));
}

// A receive that was taken from a shared queue has left it: nobody else will complete it.
TEST_F(LateMemory, SharedReceiveIsFlushedWithTheQueuePairThatTookIt) {
    constexpr std::uint64_t id = 77;
    constexpr std::size_t length = 64;
    const srq_handle receives = make_shared_receives(dev);
    endpoint requester(dev);
    std::optional<endpoint> responder(std::in_place, dev,
                                      endpoint_kind{.receives = receives.get()});
    requester.connect(dev, responder->qp()->qp_num, IBV_MTU_1024);
    responder->connect(dev, requester.qp()->qp_num, IBV_MTU_1024);
    const pinned_buffer from(dev, length);
    responder->post_receive(mr_.sge(late_.data(), length), id);
    requester.post(operation::send(from.mr.sge(from.map.data(), length)));
    wait_until_it_is_late();
    ASSERT_FALSE(responder->poll()) << "completed without the page";
    ibv_qp_attr attributes{};
    attributes.qp_state = IBV_QPS_ERR;
    ASSERT_EQ(ibv_modify_qp(responder->qp(), &attributes, IBV_QP_STATE), 0);
    const ibv_wc flushed = responder->wait();
    EXPECT_TRUE(completed_with(flushed, IBV_WC_WR_FLUSH_ERR));
    EXPECT_EQ(flushed.wr_id, id);
    responder.reset(); // before its shared queue
}

/// A peer, the test, that does not answer to a request; and another one behind it that waits for
/// its page.
class UnansweredRequest : public LateMemory {
  protected:
    static constexpr std::size_t length = 64;

    void ask(std::uint8_t retries = endpoint::for_ever) {
        requester_.connect(dev, peer_.gid(), roce_peer::queue_pair, IBV_MTU_1024, endpoint::patient,
                           retries);
        requester_.post(operation::write(from_.mr.sge(from_.map.data(), length), {0x1000, 1}));
        expect_write(0);
        requester_.post(operation::write(mr_.sge(late_.data(), length), {0x1000, 1}));
        faults_.next();
    }
    void expect_write(std::uint32_t psn) const {
        const auto request = peer_.receive();
        ASSERT_TRUE(request) << "request " << psn << " was not sent";
        EXPECT_EQ(request->opcode, rc_opcode::write_only);
        EXPECT_EQ(request->psn, psn);
    }
    void answer(std::uint32_t psn) {
        peer_.send(requester_.qp()->qp_num,
                   {.opcode = rc_opcode::acknowledge, .psn = psn, .header = {0, 0, 0, 1}});
        EXPECT_TRUE(completed_with(requester_.wait(), IBV_WC_SUCCESS));
    }

    const roce_peer peer_{dev};
    const pinned_buffer from_{dev, page_size()};
    endpoint requester_{dev};
};

TEST_F(UnansweredRequest, IsRepeated) {
    ask();
    expect_write(0);
    answer(0);
    provide(0);
    expect_write(1);
    answer(1);
}

TEST_F(UnansweredRequest, IsGivenUp) {
    ask(1);
    EXPECT_TRUE(completed_with(requester_.wait(), IBV_WC_RETRY_EXC_ERR));
    EXPECT_TRUE(completed_with(requester_.wait(), IBV_WC_WR_FLUSH_ERR));
}

} // namespace

} // namespace odp_test
