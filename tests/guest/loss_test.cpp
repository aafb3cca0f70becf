// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// Two kinds of repetition at once: the wire loses packets, and the responder asks for a retry in
// the middle of a message because a page of it is not there yet. Each has its own way back into the
// message; however they meet, the data is right and the queue pair lives.

#include "fixture.hpp"
#include "lossy_link.hpp"
#include "resources.hpp"
#include "roce_peer.hpp"
#include "user_faults.hpp"

#include <format>
#include <set>
#include <stdexcept>
#include <thread>

namespace odp_test {

namespace {

using namespace std::chrono_literals;

class Loss : public verbs_test {
  protected:
    static constexpr std::size_t npages = 8;
    static constexpr int rounds = 20;

    Loss() { link_.connect(requester_, responder_, IBV_MTU_1024); }

    /// A piece of the map, some of whose pages, never the first, come late.
    struct piece {
        std::size_t start;
        std::size_t length;
    };
    piece prepare(std::uint64_t data_seed) {
        data_seed_ = data_seed;
        map_.advise(MADV_DONTNEED);
        const std::size_t start = random.between(0, 2 * page_size());
        const std::size_t length = random.between(3 * page_size(), map_.size() - start);
        const std::size_t first = start / page_size();
        const std::size_t last = (start + length - 1) / page_size();
        for (std::size_t count = random.between(1, 2); late_.size() < count;)
            late_.insert(random.between(first + 1, last));
        for (std::size_t page = 0; page < npages; ++page)
            if (!late_.contains(page))
                provide(page);
        return {start, length};
    }

    /// Runs @work and provides what is late, each page later than the responder waits in place.
    ibv_wc run(const operation &work) {
        const auto end = std::chrono::steady_clock::now() + completion_deadline;
        requester_.post(work);
        for (;;) {
            if (const auto completion = requester_.poll())
                return *completion;
            if (std::chrono::steady_clock::now() >= end)
                throw std::runtime_error("the operation hangs or was lost");
            const auto va = faults_.next_within(1ms);
            if (!va)
                continue;
            std::this_thread::sleep_for(50ms);
            const std::size_t page =
                (*va - reinterpret_cast<std::uintptr_t>(map_.data())) / page_size();
            if (late_.erase(page) != 0) // who waits for it twice is told once
                provide(page);
        }
    }

    void expect_both_kinds() const {
        EXPECT_GE(device_counter(link_.far().name(), "send_rnr_err"), std::uint64_t{rounds})
            << "the responder never asked for a retry";
        EXPECT_GT(link_.lost(), 0U) << "the wire lost nothing";
        EXPECT_EQ(requester_.state(), IBV_QPS_RTS);
        EXPECT_EQ(responder_.state(), IBV_QPS_RTS);
    }

    ibv_sge local(piece where) const {
        return buffer_.mr.sge(buffer_.map.data() + where.start, where.length);
    }
    remote_target remote(piece where) const { return mr_.target(map_.data() + where.start); }

    lossy_link link_{2, seed};
    endpoint requester_{link_.near()};
    endpoint responder_{link_.far()};
    const mapping map_{npages * page_size(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS};
    const user_faults faults_{map_};
    const region mr_{must(region::implicit(link_.far(), odp_access))};
    const pinned_buffer buffer_{link_.near(), npages *page_size()};
    std::set<std::size_t> late_;

  private:
    void provide(std::size_t page) const {
        const std::size_t start = page * page_size();
        fill_pattern(content_.bytes(), data_seed_, start);
        faults_.provide(reinterpret_cast<std::uintptr_t>(map_.data()) + start, content_.data());
    }

    const mapping content_{page_size(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS};
    std::uint64_t data_seed_ = 0;
};

TEST_F(Loss, ReadThatIsToldToWaitInItsMiddle) {
    for (int round = 0; round < rounds; ++round) {
        const std::uint64_t old = random.next();
        const std::uint64_t data = random.next();
        const piece where = prepare(data);
        SCOPED_TRACE(std::format("round {}: {} bytes at {}", round, where.length, where.start));
        fill_pattern(buffer_.map.bytes(), old);
        ASSERT_TRUE(
            completed_with(run(operation::read(local(where), remote(where))), IBV_WC_SUCCESS));
        ASSERT_TRUE(late_.empty()) << "a page was never asked for";
        const std::size_t behind = where.start + where.length;
        EXPECT_TRUE(matches(
            compare_pattern(buffer_.map.bytes(where.start, where.length), data, where.start)));
        EXPECT_TRUE(matches(compare_pattern(buffer_.map.bytes(0, where.start), old)));
        EXPECT_TRUE(matches(
            compare_pattern(buffer_.map.bytes(behind, buffer_.map.size() - behind), old, behind)));
    }
    expect_both_kinds();
}

TEST_F(Loss, WriteThatIsToldToWaitInItsMiddle) {
    for (int round = 0; round < rounds; ++round) {
        const std::uint64_t old = random.next();
        const std::uint64_t data = random.next();
        const piece where = prepare(old);
        SCOPED_TRACE(std::format("round {}: {} bytes at {}", round, where.length, where.start));
        fill_pattern(buffer_.map.bytes(), data);
        ASSERT_TRUE(
            completed_with(run(operation::write(local(where), remote(where))), IBV_WC_SUCCESS));
        ASSERT_TRUE(late_.empty()) << "a page was never asked for";
        const std::size_t behind = where.start + where.length;
        EXPECT_TRUE(
            matches(compare_pattern(map_.bytes(where.start, where.length), data, where.start)));
        EXPECT_TRUE(matches(compare_pattern(map_.bytes(0, where.start), old)));
        EXPECT_TRUE(
            matches(compare_pattern(map_.bytes(behind, map_.size() - behind), old, behind)));
    }
    expect_both_kinds();
}

/// The same by hand, packet by packet: a READ of three pages, the last two of which come late.
class RepeatedRead : public verbs_test {
  protected:
    static constexpr std::size_t mtu = 1024;
    static constexpr std::uint32_t npackets = 12;

    RepeatedRead() {
        responder_.connect(dev, peer_.gid(), roce_peer::queue_pair, IBV_MTU_1024);
        provide(0);
    }

    void provide(std::size_t page) const {
        const mapping content(page_size(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
        const std::size_t start = page * page_size();
        fill_pattern(content.bytes(), seed, start);
        faults_.provide(reinterpret_cast<std::uintptr_t>(map_.data()) + start, content.data());
    }

    /// Asks for all from packet @first on, as who has not received that one. The number of the
    /// packet for which the responder asks for a retry; npackets if everything came.
    std::uint32_t read_from(std::uint32_t first) const {
        const std::size_t start = first * mtu;
        peer_.send(responder_.qp()->qp_num,
                   {.opcode = rc_opcode::read_request,
                    .psn = first,
                    .header = rdma_header(mr_.target(map_.data() + start),
                                          static_cast<std::uint32_t>(map_.size() - start))});
        for (std::uint32_t packet = first; packet < npackets; ++packet) {
            const auto answer = peer_.receive();
            if (!answer)
                throw std::runtime_error(std::format("no answer for packet {}", packet));
            EXPECT_EQ(answer->psn, packet);
            if (answer->opcode == rc_opcode::acknowledge) {
                EXPECT_EQ(answer->syndrome & syndrome_class, rnr_nak);
                return packet;
            }
            EXPECT_TRUE(matches(compare_pattern(answer->payload, seed, packet * mtu)));
        }
        return npackets;
    }

    const roce_peer peer_{dev};
    endpoint responder_{dev};
    const mapping map_{3 * page_size(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS};
    const user_faults faults_{map_};
    const region mr_{must(region::implicit(dev, odp_access))};
};

// The first packet is lost; the repeated READ then stops further on than the first one did.
TEST_F(RepeatedRead, StopsAgainFurtherOn) {
    ASSERT_EQ(read_from(0), 4U);
    provide(1);
    ASSERT_EQ(read_from(0), 8U);
    provide(2);
    EXPECT_EQ(read_from(8), npackets);
}

// The first packet is lost, and of the repeated READ, which gets to the end, the last one.
TEST_F(RepeatedRead, LosesWhatItSendsLast) {
    ASSERT_EQ(read_from(0), 4U);
    provide(1);
    provide(2);
    ASSERT_EQ(read_from(0), npackets);
    EXPECT_EQ(read_from(npackets - 1), npackets);
}

} // namespace

} // namespace odp_test
