// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// What the matrix does not vary: every other operation and every transport, between on-demand
// memory on both sides, explicit and implicit. Nothing of it has been touched before on either
// side, so that each takes page faults where it reads and where it writes.

#include "fixture.hpp"
#include "resources.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <numeric>
#include <optional>
#include <vector>

namespace odp_test {

namespace {

constexpr std::uint32_t immediate = 0x12345678;

class Operations : public verbs_test, public ::testing::WithParamInterface<bool> {
  protected:
    static constexpr std::size_t size = 64UZ * 1024;
    static constexpr std::size_t length = 10007; // ten packets at MTU 1024
    /// Where transfers begin: within a page, elsewhere on the other side.
    static constexpr std::size_t from = 1000;
    static constexpr std::size_t to = 3001;

    static bool is_implicit() { return GetParam(); }

    region make_region(const mapping &map, int access = odp_access) const {
        return is_implicit() ? must(region::implicit(dev, access))
                             : must(region::over(dev, map.data(), map.size(), access));
    }
    ibv_sge source(std::size_t bytes = length) const {
        return source_mr_.sge(source_.data() + from, bytes);
    }
    ibv_sge target(std::size_t bytes = length) const {
        return target_mr_.sge(target_.data() + to, bytes);
    }
    remote_target remote() const { return target_mr_.target(target_.data() + to); }

    static ibv_send_wr request(ibv_wr_opcode opcode, ibv_sge &element) {
        ibv_send_wr result{};
        result.opcode = opcode;
        result.sg_list = &element;
        result.num_sge = 1;
        return result;
    }
    /// The source, where the transfer is told to put it, and nothing around that.
    void expect_arrived(std::size_t bytes = length, std::size_t at = to) const {
        EXPECT_TRUE(matches(compare_bytes(target_.bytes(at, bytes), source_.bytes(from, bytes))));
        const auto is_zero = [](std::uint8_t byte) { return byte == 0; };
        EXPECT_TRUE(std::ranges::all_of(target_.bytes(0, at), is_zero));
        EXPECT_TRUE(std::ranges::all_of(target_.bytes(at + bytes, size - at - bytes), is_zero));
    }
    /// Page tables of neither side have anything: the pages are in the page cache at best.
    static mapping cold(const file &backing) {
        return mapping(size, PROT_READ | PROT_WRITE, MAP_SHARED, backing.descriptor(), 0,
                       lonely_va());
    }
    file filled_file() const {
        file backing = make_file(memory_kind::tmpfs);
        std::vector<std::uint8_t> content(size);
        fill_pattern(content, seed);
        backing.write(content, 0);
        return backing;
    }
    static file empty_file() {
        file backing = make_file(memory_kind::tmpfs);
        backing.truncate(size);
        return backing;
    }

    const file source_file_{filled_file()};
    const file target_file_{empty_file()};
    const mapping source_{cold(source_file_)};
    const mapping target_{cold(target_file_)};
    const region source_mr_{make_region(source_)};
    const region target_mr_{make_region(target_)};
};

class ReliableOperations : public Operations {
  protected:
    connection link{dev};
};

TEST_P(ReliableOperations, SendWithImmediate) {
    link.responder.post_receive(target(), 5);
    ibv_sge element = source();
    auto work = request(IBV_WR_SEND_WITH_IMM, element);
    work.imm_data = htonl(immediate);
    link.requester.post(work);
    ASSERT_TRUE(completed_with(link.requester.wait(), IBV_WC_SUCCESS));
    const ibv_wc received = link.responder.wait();
    ASSERT_TRUE(completed_with(received, IBV_WC_SUCCESS));
    EXPECT_EQ(received.opcode, IBV_WC_RECV);
    EXPECT_EQ(received.wr_id, 5U);
    EXPECT_EQ(received.byte_len, length);
    EXPECT_EQ(ntohl(received.imm_data), immediate);
    expect_arrived();
}

TEST_P(ReliableOperations, WriteWithImmediate) {
    link.responder.post_receive(std::span<ibv_sge>(), 6);
    ibv_sge element = source();
    auto work = request(IBV_WR_RDMA_WRITE_WITH_IMM, element);
    work.imm_data = htonl(immediate);
    work.wr.rdma = {.remote_addr = remote().iova, .rkey = remote().rkey};
    link.requester.post(work);
    ASSERT_TRUE(completed_with(link.requester.wait(), IBV_WC_SUCCESS));
    const ibv_wc received = link.responder.wait();
    ASSERT_TRUE(completed_with(received, IBV_WC_SUCCESS));
    EXPECT_EQ(received.opcode, IBV_WC_RECV_RDMA_WITH_IMM);
    EXPECT_EQ(received.wr_id, 6U);
    EXPECT_EQ(received.byte_len, length);
    EXPECT_EQ(ntohl(received.imm_data), immediate);
    expect_arrived();
}

// Inline data are read when the request is posted, so only the receiver's memory is on demand.
TEST_P(ReliableOperations, InlineSendAndWrite) {
    constexpr std::uint32_t bytes = 200;
    for (const auto opcode : {IBV_WR_SEND, IBV_WR_RDMA_WRITE}) {
        endpoint requester(dev, {.inline_bytes = bytes});
        endpoint responder(dev);
        requester.connect(dev, responder.qp()->qp_num, IBV_MTU_1024);
        responder.connect(dev, requester.qp()->qp_num, IBV_MTU_1024);
        responder.post_receive(target(bytes));
        std::vector<std::uint8_t> posted(bytes);
        std::ranges::copy(source_.bytes(from, bytes), posted.begin());
        ibv_sge element{reinterpret_cast<std::uintptr_t>(posted.data()), bytes, 0};
        auto work = request(opcode, element);
        work.send_flags = IBV_SEND_INLINE;
        work.wr.rdma = {.remote_addr = remote().iova, .rkey = remote().rkey};
        requester.post(work);
        std::ranges::fill(posted, 0);
        ASSERT_TRUE(completed_with(requester.wait(), IBV_WC_SUCCESS));
        if (opcode == IBV_WR_SEND) {
            ASSERT_TRUE(completed_with(responder.wait(), IBV_WC_SUCCESS));
        }
        expect_arrived(bytes);
        target_.advise(MADV_REMOVE);
    }
}

TEST_P(ReliableOperations, SendWithInvalidate) {
    const auto mr = make_region(target_, odp_access | IBV_ACCESS_MW_BIND);
    const mw_handle mw(ibv_alloc_mw(dev.pd(), IBV_MW_TYPE_2));
    ASSERT_TRUE(mw);
    const std::uint32_t key = ibv_inc_rkey(mw->rkey);
    ibv_send_wr bind{};
    bind.opcode = IBV_WR_BIND_MW;
    bind.bind_mw = {.mw = mw.get(),
                    .rkey = key,
                    .bind_info = {.mr = mr.mr(),
                                  .addr = mr.iova(target_.data()),
                                  .length = size,
                                  .mw_access_flags = IBV_ACCESS_REMOTE_WRITE}};
    link.responder.post(bind);
    ASSERT_TRUE(completed_with(link.responder.wait(), IBV_WC_SUCCESS));

    link.responder.post_receive(target());
    ibv_sge element = source();
    auto work = request(IBV_WR_SEND_WITH_INV, element);
    work.invalidate_rkey = key;
    link.requester.post(work);
    ASSERT_TRUE(completed_with(link.requester.wait(), IBV_WC_SUCCESS));
    const ibv_wc received = link.responder.wait();
    ASSERT_TRUE(completed_with(received, IBV_WC_SUCCESS));
    EXPECT_EQ(received.invalidated_rkey, key);
    expect_arrived();
    expect_fatal(link, operation::write(source(8), {mr.iova(target_.data()), key}),
                 IBV_WC_REM_ACCESS_ERR);
}

TEST_P(ReliableOperations, SharedReceives) {
    constexpr std::size_t bytes = 3001;
    constexpr std::size_t count = 16;
    const auto receives = make_shared_receives(dev);
    endpoint requester(dev);
    endpoint responder(dev, {.receives = receives.get()});
    requester.connect(dev, responder.qp()->qp_num, IBV_MTU_1024);
    responder.connect(dev, requester.qp()->qp_num, IBV_MTU_1024);
    for (std::size_t i = 0; i < count; ++i)
        responder.post_receive(target_mr_.sge(target_.data() + i * bytes, bytes), i);
    for (std::size_t i = 0; i < count; ++i)
        requester.post(operation::send(source_mr_.sge(source_.data() + from + i * bytes, bytes)));
    for (std::size_t i = 0; i < count; ++i) {
        ASSERT_TRUE(completed_with(requester.wait(), IBV_WC_SUCCESS));
        const ibv_wc received = responder.wait();
        ASSERT_TRUE(completed_with(received, IBV_WC_SUCCESS));
        EXPECT_EQ(received.wr_id, i);
        EXPECT_EQ(received.byte_len, bytes);
    }
    expect_arrived(count * bytes, 0);
}

// One request gathers from, and one receive scatters to, explicit, implicit and pinned memory.
TEST_P(ReliableOperations, ElementsOfAllKinds) {
    const auto implicit = must(region::implicit(dev, odp_access));
    const auto whole = must(region::over(dev, source_.data(), size, odp_access));
    const auto half = must(region::over(dev, target_.data(), size, odp_access));
    const pinned_buffer pinned(dev, page_size());
    std::ranges::copy(source_.bytes(from + 4000, 2000), pinned.map.data());
    std::array gather{whole.sge(source_.data() + from, 4000),
                      pinned.mr.sge(pinned.map.data(), 2000),
                      implicit.sge(source_.data() + from + 6000, length - 6000)};
    const pinned_buffer middle(dev, page_size());
    std::array scatter{implicit.sge(target_.data() + to, 1500),
                       middle.mr.sge(middle.map.data(), 3000),
                       half.sge(target_.data() + to + 4500, 1000),
                       implicit.sge(target_.data() + to + 5500, length - 5500)};
    const auto gathered = [&](ibv_wr_opcode opcode) {
        ibv_send_wr work{};
        work.opcode = opcode;
        work.sg_list = gather.data();
        work.num_sge = gather.size();
        work.wr.rdma = {.remote_addr = remote().iova, .rkey = remote().rkey};
        return work;
    };
    const auto put_together = [&] {
        std::ranges::copy(middle.map.bytes(0, 3000), target_.data() + to + 1500);
    };

    link.responder.post_receive(scatter, 1);
    link.requester.post(gathered(IBV_WR_SEND));
    ASSERT_TRUE(completed_with(link.requester.wait(), IBV_WC_SUCCESS));
    ASSERT_TRUE(completed_with(link.responder.wait(), IBV_WC_SUCCESS));
    put_together();
    expect_arrived();

    target_.advise(MADV_REMOVE);
    link.requester.post(gathered(IBV_WR_RDMA_WRITE));
    ASSERT_TRUE(completed_with(link.requester.wait(), IBV_WC_SUCCESS));
    expect_arrived();

    // And a READ, from where the source is, into the pieces of the target.
    target_.advise(MADV_REMOVE);
    std::ranges::fill(middle.map.bytes(), 0);
    const auto there = source_mr_.target(source_.data() + from);
    ibv_send_wr read{};
    read.opcode = IBV_WR_RDMA_READ;
    read.sg_list = scatter.data();
    read.num_sge = scatter.size();
    read.wr.rdma = {.remote_addr = there.iova, .rkey = there.rkey};
    link.requester.post(read);
    ASSERT_TRUE(completed_with(link.requester.wait(), IBV_WC_SUCCESS));
    put_together();
    expect_arrived();
}

// Hints about memory and order are for hardware; what they promise holds anyway.
TEST_P(ReliableOperations, HintsAreAccepted) {
    for (const int hint : {int{IBV_ACCESS_RELAXED_ORDERING}, int{IBV_ACCESS_HUGETLB},
                           IBV_ACCESS_RELAXED_ORDERING | IBV_ACCESS_HUGETLB}) {
        const auto mr = make_region(target_, odp_access | hint);
        ASSERT_TRUE(completed_with(
            link.requester.run(operation::write(source(), mr.target(target_.data() + to))),
            IBV_WC_SUCCESS));
        expect_arrived();
        target_.advise(MADV_REMOVE);
    }
}

class UnreliableOperations : public Operations {
  protected:
    UnreliableOperations() {
        requester_.connect(dev, responder_.qp()->qp_num, IBV_MTU_1024);
        responder_.connect(dev, requester_.qp()->qp_num, IBV_MTU_1024);
    }

    endpoint requester_{dev, {.type = IBV_QPT_UC}};
    endpoint responder_{dev, {.type = IBV_QPT_UC}};
};

TEST_P(UnreliableOperations, SendWithAndWithoutImmediate) {
    for (const auto opcode : {IBV_WR_SEND, IBV_WR_SEND_WITH_IMM}) {
        responder_.post_receive(target());
        ibv_sge element = source();
        auto work = request(opcode, element);
        work.imm_data = htonl(immediate);
        requester_.post(work);
        ASSERT_TRUE(completed_with(requester_.wait(), IBV_WC_SUCCESS));
        const ibv_wc received = responder_.wait();
        ASSERT_TRUE(completed_with(received, IBV_WC_SUCCESS));
        EXPECT_EQ(received.byte_len, length);
        if (opcode == IBV_WR_SEND_WITH_IMM) {
            EXPECT_EQ(ntohl(received.imm_data), immediate);
        }
        expect_arrived();
        target_.advise(MADV_REMOVE);
    }
}

TEST_P(UnreliableOperations, WriteWithAndWithoutImmediate) {
    for (const auto opcode : {IBV_WR_RDMA_WRITE, IBV_WR_RDMA_WRITE_WITH_IMM}) {
        // The second one's completion tells when both of the target's ends are there.
        responder_.post_receive(std::span<ibv_sge>(), 9);
        ibv_sge element = source();
        auto work = request(opcode, element);
        work.imm_data = htonl(immediate);
        work.wr.rdma = {.remote_addr = remote().iova, .rkey = remote().rkey};
        requester_.post(work);
        ASSERT_TRUE(completed_with(requester_.wait(), IBV_WC_SUCCESS));
        if (opcode == IBV_WR_RDMA_WRITE) {
            ASSERT_TRUE(becomes_true([&] {
                return compare_bytes(target_.bytes(to, length), source_.bytes(from, length))
                           .wrong == 0;
            }));
            target_.advise(MADV_REMOVE);
            continue;
        }
        const ibv_wc received = responder_.wait();
        ASSERT_TRUE(completed_with(received, IBV_WC_SUCCESS));
        EXPECT_EQ(received.byte_len, length);
        EXPECT_EQ(ntohl(received.imm_data), immediate);
        expect_arrived();
    }
}

TEST_P(UnreliableOperations, SharedReceives) {
    const auto receives = make_shared_receives(dev);
    endpoint responder(dev, {.type = IBV_QPT_UC, .receives = receives.get()});
    endpoint requester(dev, {.type = IBV_QPT_UC});
    requester.connect(dev, responder.qp()->qp_num, IBV_MTU_1024);
    responder.connect(dev, requester.qp()->qp_num, IBV_MTU_1024);
    responder.post_receive(target(), 4);
    requester.post(operation::send(source()));
    ASSERT_TRUE(completed_with(requester.wait(), IBV_WC_SUCCESS));
    const ibv_wc received = responder.wait();
    ASSERT_TRUE(completed_with(received, IBV_WC_SUCCESS));
    EXPECT_EQ(received.wr_id, 4U);
    expect_arrived();
}

/// Datagrams: at the receiver 40 bytes come first, for the global route header.
class Datagrams : public Operations {
  protected:
    static constexpr std::size_t header = 40;
    static constexpr std::size_t bytes = 1000; // one packet
    /// Such that the header is in two pages, and the data in two others.
    static constexpr std::size_t at = 4096 - 20;

    Datagrams() {
        requester_.open();
        ibv_ah_attr attributes{};
        attributes.is_global = 1;
        attributes.port_num = 1;
        attributes.grh.dgid = dev.gid();
        attributes.grh.sgid_index = dev.gid_index();
        attributes.grh.hop_limit = 64;
        address_.reset(ibv_create_ah(dev.pd(), &attributes));
        if (!address_)
            fail_with_errno("creating an address handle");
    }
    void exchange(endpoint &responder, ibv_wr_opcode opcode, std::span<ibv_sge> into) {
        responder.post_receive(into, 8);
        ibv_sge element = source(bytes);
        auto work = request(opcode, element);
        work.imm_data = htonl(immediate);
        work.wr.ud = {.ah = address_.get(),
                      .remote_qpn = responder.qp()->qp_num,
                      .remote_qkey = endpoint::datagram_key};
        requester_.post(work);
        ASSERT_TRUE(completed_with(requester_.wait(), IBV_WC_SUCCESS));
        const ibv_wc received = responder.wait();
        ASSERT_TRUE(completed_with(received, IBV_WC_SUCCESS));
        EXPECT_EQ(received.wr_id, 8U);
        EXPECT_EQ(received.byte_len, header + bytes);
        EXPECT_EQ(received.src_qp, requester_.qp()->qp_num);
        EXPECT_TRUE((received.wc_flags & IBV_WC_GRH) != 0);
        if (opcode == IBV_WR_SEND_WITH_IMM) {
            EXPECT_EQ(ntohl(received.imm_data), immediate);
        }
    }
    /// An IPv4 header, in the second half of the 40 bytes (RoCE v2 annex, 17.4.5.2).
    static void expect_ip_header(std::span<const std::uint8_t> grh) {
        EXPECT_EQ(grh[20], 0x45);
        EXPECT_EQ(grh[29], 17) << "UDP";
    }

    endpoint requester_{dev, {.type = IBV_QPT_UD}};
    ah_handle address_;
};

TEST_P(Datagrams, ArriveBehindTheirHeader) {
    endpoint responder(dev, {.type = IBV_QPT_UD});
    responder.open();
    for (const auto opcode : {IBV_WR_SEND, IBV_WR_SEND_WITH_IMM}) {
        std::array into{target_mr_.sge(target_.data() + at, header + bytes)};
        exchange(responder, opcode, into);
        EXPECT_TRUE(
            matches(compare_bytes(target_.bytes(at + header, bytes), source_.bytes(from, bytes))));
        expect_ip_header(target_.bytes(at, header));
        target_.advise(MADV_REMOVE);
    }
}

TEST_P(Datagrams, HeaderAndDataApart) {
    const auto receives = make_shared_receives(dev);
    endpoint responder(dev, {.type = IBV_QPT_UD, .receives = receives.get()});
    responder.open();
    const pinned_buffer pinned(dev, page_size());
    std::array into{target_mr_.sge(target_.data() + at, 30), pinned.mr.sge(pinned.map.data(), 10),
                    target_mr_.sge(target_.data() + 5Z * 4096 - 500, bytes)};
    exchange(responder, IBV_WR_SEND, into);
    EXPECT_TRUE(
        matches(compare_bytes(target_.bytes(5UZ * 4096 - 500, bytes), source_.bytes(from, bytes))));
    expect_ip_header(target_.bytes(at, header));
}

std::string name_of(const ::testing::TestParamInfo<bool> &test) {
    return test.param ? "Implicit" : "Explicit";
}

INSTANTIATE_TEST_SUITE_P(On, ReliableOperations, ::testing::Bool(), name_of);
INSTANTIATE_TEST_SUITE_P(On, UnreliableOperations, ::testing::Bool(), name_of);
INSTANTIATE_TEST_SUITE_P(On, Datagrams, ::testing::Bool(), name_of);

/// What the device says of itself.
class Capabilities : public verbs_test {};

// What is announced is what the tests above and the matrix show to work, and nothing else is.
TEST_F(Capabilities, AreWhatWorks) {
    const auto &caps = dev.attributes().odp_caps;
    EXPECT_EQ(caps.general_caps, IBV_ODP_SUPPORT | IBV_ODP_SUPPORT_IMPLICIT);
    const std::uint32_t messages =
        IBV_ODP_SUPPORT_SEND | IBV_ODP_SUPPORT_RECV | IBV_ODP_SUPPORT_SRQ_RECV;
    constexpr std::uint32_t flush_and_atomic_write = 1U << 6 | 1U << 7; // newer than libibverbs
    EXPECT_EQ(caps.per_transport_caps.rc_odp_caps,
              messages | IBV_ODP_SUPPORT_READ | IBV_ODP_SUPPORT_WRITE | IBV_ODP_SUPPORT_ATOMIC |
                  flush_and_atomic_write);
    EXPECT_EQ(caps.per_transport_caps.uc_odp_caps, messages | IBV_ODP_SUPPORT_WRITE);
    EXPECT_EQ(caps.per_transport_caps.ud_odp_caps, messages);
    EXPECT_EQ(dev.attributes().xrc_odp_caps, 0U) << "there are no such queue pairs";
    EXPECT_EQ(dev.attributes().orig_attr.device_cap_flags & IBV_DEVICE_XRC, 0U);
}

} // namespace

} // namespace odp_test
