// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// Requests that no honest requester sends: lengths that do not fit the payload, packets out of
// place, reserved bits. Whatever a peer puts into a packet, the responder answers with a NAK (IBTA
// 9.7.5.2.4, 9.9.3), ends the queue pair, and touches nothing; and that for pinned memory as for
// on-demand memory. The frames are made by hand; the first test shows that well-formed ones work.

#include "fixture.hpp"
#include "resources.hpp"
#include "roce_peer.hpp"

#include <format>
#include <stdexcept>
#include <string>

namespace odp_test {

namespace {

enum class memory_region { pinned, on_demand, implicit };

class MalformedRequest : public verbs_test, public ::testing::WithParamInterface<memory_region> {
  protected:
    static constexpr std::uint32_t mtu = 1024;

    void SetUp() override { fill_pattern(map_.bytes(), seed); }

    region register_inner(int access) const {
        if (GetParam() == memory_region::implicit)
            return must(region::implicit(dev, access | IBV_ACCESS_ON_DEMAND));
        if (GetParam() == memory_region::on_demand)
            access |= IBV_ACCESS_ON_DEMAND;
        return must(region::over(dev, inner(), 2 * page_size(), access));
    }

    const std::uint8_t *inner() const { return map_.data() + page_size(); }
    remote_target target(std::size_t offset = 0) const { return mr_.target(inner() + offset); }

    wire_bytes data(std::size_t length) const {
        wire_bytes bytes(length);
        fill_pattern(bytes, seed + 1);
        return bytes;
    }
    roce_request write(rc_opcode opcode, std::uint32_t announced, std::size_t carried) const {
        return {
            .opcode = opcode, .header = rdma_header(target(), announced), .payload = data(carried)};
    }

    endpoint responder() {
        endpoint side(dev);
        side.connect(dev, peer_.gid(), roce_peer::queue_pair, IBV_MTU_1024);
        return side;
    }
    roce_answer exchange(const endpoint &side, const roce_request &request) {
        peer_.send(side.qp()->qp_num, request);
        const auto answer = peer_.receive();
        if (!answer)
            throw std::runtime_error("the responder does not answer");
        EXPECT_EQ(answer->psn, request.psn);
        return *answer;
    }
    void expect_nak(const endpoint &side, const roce_request &request, std::uint8_t syndrome) {
        const auto answer = exchange(side, request);
        EXPECT_EQ(answer.opcode, rc_opcode::acknowledge);
        EXPECT_EQ(answer.syndrome, syndrome) << std::format("{:#x}", answer.syndrome);
        EXPECT_TRUE(becomes_true([&] { return side.state() == IBV_QPS_ERR; }))
            << "the queue pair goes on";
    }
    /// As the only request to a responder of its own; nothing may have changed.
    void expect_refused(const roce_request &request, std::uint8_t syndrome = nak_invalid_request) {
        expect_nak(responder(), request, syndrome);
        EXPECT_TRUE(matches(compare_pattern(map_.bytes(), seed)));
    }

    const roce_peer peer_{dev};
    const mapping map_{4 * page_size(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS};
    const region mr_{register_inner(all_access)};
};

TEST_P(MalformedRequest, WellFormedOnesWork) {
    const endpoint side = responder();
    EXPECT_TRUE(exchange(side, write(rc_opcode::write_only, 100, 100)).is_positive());
    EXPECT_TRUE(matches(compare_pattern(map_.bytes(page_size(), 100), seed + 1)));
    const auto answer = exchange(
        side, {.opcode = rc_opcode::read_request, .psn = 1, .header = rdma_header(target(), 103)});
    EXPECT_EQ(answer.opcode, rc_opcode::read_response_only);
    EXPECT_TRUE(matches(compare_bytes(answer.payload, map_.bytes(page_size(), 103))));
    const auto sum = exchange(
        side, {.opcode = rc_opcode::fetch_add, .psn = 2, .header = atomic_header(target(), 1, 0)});
    EXPECT_EQ(sum.opcode, rc_opcode::atomic_acknowledge);
}

// Announced as nothing, it has no region to go to; the unmodified driver tries all the same, and
// the kernel warns.
TEST_P(MalformedRequest, PayloadOfAWriteOfNothing) {
    expect_refused(write(rc_opcode::write_only, 0, 8));
    expect_refused(write(rc_opcode::write_only, 0, mtu));
    expect_refused(write(rc_opcode::write_first, 0, mtu));
    const endpoint side = responder();
    EXPECT_TRUE(exchange(side, write(rc_opcode::write_only, 0, 0)).is_positive());
}

TEST_P(MalformedRequest, WriteOfOtherLengthThanItsPayload) {
    expect_refused(write(rc_opcode::write_only, 100, 96));
    expect_refused(write(rc_opcode::write_only, 100, 104));
    expect_refused(write(rc_opcode::write_only, 100, mtu));
    expect_refused(write(rc_opcode::write_only, mtu, mtu + 4));
    expect_refused(write(rc_opcode::write_first, 100, mtu)); // one packet would have done
    expect_refused(write(rc_opcode::write_first, 2 * mtu, mtu / 2));
    expect_refused(write(rc_opcode::write_middle, 0, 16)); // without a first; the header is payload
}

// The packets of a message that carry more than its first one announced.
TEST_P(MalformedRequest, WriteThatGoesOnPastItsLength) {
    for (const auto opcode : {rc_opcode::write_middle, rc_opcode::write_last}) {
        SCOPED_TRACE(std::format("opcode {:#x}", static_cast<unsigned>(opcode)));
        fill_pattern(map_.bytes(), seed);
        const endpoint side = responder();
        EXPECT_TRUE(exchange(side, write(rc_opcode::write_first, mtu + 100, mtu)).is_positive());
        expect_nak(side, {.opcode = opcode, .psn = 1, .payload = data(mtu)}, nak_invalid_request);
        EXPECT_TRUE(matches(compare_pattern(map_.bytes(page_size(), mtu), seed + 1)));
        const std::size_t behind = page_size() + mtu;
        EXPECT_TRUE(
            matches(compare_pattern(map_.bytes(behind, map_.size() - behind), seed, behind)));
        EXPECT_TRUE(matches(compare_pattern(map_.bytes(0, page_size()), seed)));
    }
}

TEST_P(MalformedRequest, LengthOfMoreThanTwoGib) {
    for (const std::uint32_t length : {0x80000001U, 0xffffffffU}) {
        SCOPED_TRACE(std::format("length {:#x}", length));
        expect_refused(
            {.opcode = rc_opcode::read_request, .header = rdma_header(target(), length)});
        expect_refused(write(rc_opcode::write_first, length, mtu));
    }
}

TEST_P(MalformedRequest, MisalignedAtomic) {
    for (const std::size_t offset : {std::size_t{1}, std::size_t{4}, page_size() - 4}) {
        SCOPED_TRACE(std::format("offset {}", offset));
        const auto header = atomic_header(target(offset), 1, 0);
        expect_refused({.opcode = rc_opcode::fetch_add, .header = header});
        expect_refused({.opcode = rc_opcode::compare_swap, .header = header});
    }
}

// A READ that is repeated because its answer was lost must not depend on what came after it: with
// a request of no length in between, the unmodified driver reads from no region.
TEST_P(MalformedRequest, RepeatedReadAfterARequestOfNothing) {
    const endpoint side = responder();
    const auto read = [&](std::uint32_t psn, std::uint32_t length) {
        const remote_target from = length != 0 ? target() : remote_target{};
        const auto answer = exchange(
            side,
            {.opcode = rc_opcode::read_request, .psn = psn, .header = rdma_header(from, length)});
        EXPECT_EQ(answer.opcode, rc_opcode::read_response_only);
        EXPECT_TRUE(matches(compare_bytes(answer.payload, map_.bytes(page_size(), length))));
    };
    read(0, 100);
    read(1, 0);
    read(0, 100);
    read(1, 0);
    read(2, 200);
    read(1, 0); // and the other way round
}

// What is repeated under another name is not repeated. The unmodified driver answers an atomic with
// what it remembers of a READ instead of a value: an address.
TEST_P(MalformedRequest, RepeatedAsSomethingElse) {
    const endpoint side = responder();
    const roce_request read{.opcode = rc_opcode::read_request, .header = rdma_header(target(), 8)};
    const roce_request add{
        .opcode = rc_opcode::fetch_add, .psn = 1, .header = atomic_header(target(), 1, 0)};
    const auto expect_silence = [&](roce_request request, std::uint32_t psn) {
        request.psn = psn;
        peer_.send(side.qp()->qp_num, request);
        EXPECT_FALSE(peer_.receive(std::chrono::milliseconds(300))) << psn;
    };
    EXPECT_EQ(exchange(side, read).opcode, rc_opcode::read_response_only);
    EXPECT_EQ(exchange(side, add).opcode, rc_opcode::atomic_acknowledge);
    const roce_request flush{.opcode = rc_opcode::flush,
                             .header =
                                 flush_header(IBV_FLUSH_GLOBAL, IBV_FLUSH_RANGE, target(), 8)};
    for (std::uint32_t psn = 0; psn < 2; ++psn)
        expect_silence(flush, psn);
    expect_silence(add, 0);
    expect_silence(read, 1);
    EXPECT_EQ(exchange(side, read).opcode, rc_opcode::read_response_only);
    EXPECT_EQ(exchange(side, add).opcode, rc_opcode::atomic_acknowledge);
}

// What the peer says of a READ of nothing besides its length means nothing (IBTA C9-88), also when
// it is repeated.
TEST_P(MalformedRequest, RepeatedReadOfNothingWithAKey) {
    const endpoint side = responder();
    const roce_request nothing{.opcode = rc_opcode::read_request,
                               .header = rdma_header({target().iova, 0x12345678}, 0)};
    EXPECT_EQ(exchange(side, nothing).opcode, rc_opcode::read_response_only);
    EXPECT_EQ(exchange(side, nothing).opcode, rc_opcode::read_response_only);
}

std::string name_of(const ::testing::TestParamInfo<memory_region> &test) {
    switch (test.param) {
    case memory_region::pinned:
        return "Pinned";
    case memory_region::on_demand:
        return "OnDemand";
    case memory_region::implicit:
        return "Implicit";
    }
    throw std::logic_error("unknown region");
}

INSTANTIATE_TEST_SUITE_P(To, MalformedRequest,
                         ::testing::Values(memory_region::pinned, memory_region::on_demand,
                                           memory_region::implicit),
                         name_of);

// Pinning as much is more than the guest has.
class LongRequest : public MalformedRequest {};

// The longest message there is: as a signed number its length is negative.
TEST_P(LongRequest, ReadOfTwoGib) {
    const mapping map(std::size_t{3} << 30, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE);
    fill_pattern(map.bytes(0, 4UZ * mtu), seed);
    checked(mprotect(map.data() + page_size(), map.size() - page_size(), PROT_NONE), "mprotect");
    const auto mr = GetParam() == memory_region::implicit
                        ? must(region::implicit(dev, odp_access))
                        : must(region::over(dev, map.data(), map.size(), odp_access));
    const endpoint side = responder();
    peer_.send(side.qp()->qp_num, {.opcode = rc_opcode::read_request,
                                   .header = rdma_header(mr.target(map.data()), 1U << 31)});
    for (std::uint32_t packet = 0; packet < page_size() / mtu; ++packet) {
        const auto answer = peer_.receive();
        ASSERT_TRUE(answer) << "packet " << packet;
        EXPECT_EQ(answer->psn, packet);
        EXPECT_TRUE(matches(compare_pattern(answer->payload, seed, std::uint64_t{packet} * mtu)));
        EXPECT_EQ(answer->payload.size(), mtu);
    }
    const auto refused = peer_.receive();
    ASSERT_TRUE(refused);
    EXPECT_EQ(refused->syndrome, nak_remote_access_error);
}

INSTANTIATE_TEST_SUITE_P(To, LongRequest,
                         ::testing::Values(memory_region::on_demand, memory_region::implicit),
                         name_of);

// Only an on-demand MR over memory that is not persistent can have the right to flush.
class MalformedFlush : public MalformedRequest {};

TEST_P(MalformedFlush, ReservedSelectivityIsNoSuccess) {
    const auto mr = register_inner(all_access | IBV_ACCESS_FLUSH_PERSISTENT);
    for (const unsigned level : {2U, 3U}) {
        SCOPED_TRACE(std::format("selectivity {}", level));
        const endpoint side = responder();
        const auto answer = exchange(
            side, {.opcode = rc_opcode::flush,
                   .header = flush_header(IBV_FLUSH_PERSISTENT, level, mr.target(inner()), mtu)});
        EXPECT_TRUE(answer.syndrome == nak_invalid_request ||
                    answer.syndrome == nak_remote_access_error)
            << std::format("{:#x}", answer.syndrome);
    }
    EXPECT_TRUE(matches(compare_pattern(map_.bytes(), seed)));
}

// Of a FLUSH the invariant CRC is over all headers, once; but the unmodified driver has them in it
// twice, and is to be understood.
TEST_P(MalformedFlush, EitherCrcIsTakenAndNoOther) {
    const auto mr = register_inner(all_access | IBV_ACCESS_FLUSH_GLOBAL);
    const endpoint side = responder();
    roce_request request{
        .opcode = rc_opcode::flush,
        .header = flush_header(IBV_FLUSH_GLOBAL, IBV_FLUSH_RANGE, mr.target(inner()), mtu)};
    EXPECT_TRUE(exchange(side, request).is_positive());
    request.psn = 1;
    request.headers_twice = true;
    EXPECT_TRUE(exchange(side, request).is_positive());
    // Nobody computes it so for anything else.
    roce_request other = write(rc_opcode::write_only, 100, 100);
    other.psn = 2;
    other.headers_twice = true;
    peer_.send(side.qp()->qp_num, other);
    EXPECT_FALSE(peer_.receive(std::chrono::milliseconds(300)));
    other.headers_twice = false;
    EXPECT_TRUE(exchange(side, other).is_positive());
}

INSTANTIATE_TEST_SUITE_P(To, MalformedFlush,
                         ::testing::Values(memory_region::on_demand, memory_region::implicit),
                         name_of);

} // namespace

} // namespace odp_test
