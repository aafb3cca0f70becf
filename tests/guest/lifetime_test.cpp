// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// MRs and processes that end while work is under way, and MRs in large sizes and numbers. What must
// hold: nothing hangs, nothing is left behind, and memory is never written once its deregistration
// has returned or its owner has gone.

#include "child.hpp"
#include "fixture.hpp"
#include "resources.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <chrono>
#include <new>
#include <stdexcept>
#include <thread>
#include <vector>

namespace odp_test {

namespace {

mapping anonymous(std::size_t length, int flags = 0) {
    return mapping(length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | flags);
}

class Lifetime : public verbs_test {};

/// For ever: writes and reads over a buffer that is thrown away in between, on a device of its own.
[[noreturn]] void make_traffic(shared_flag &running) {
    constexpr std::size_t length = 256UZ * 1024;
    constexpr int depth = 8;
    const device own;
    connection link(own);
    const auto mr = must(region::implicit(own, odp_access));
    const mapping from = anonymous(length);
    const mapping to = anonymous(length);
    for (int round = 0;; ++round) {
        for (int i = 0; i < depth; ++i)
            link.requester.post(
                i % 2 == 0 ? operation::write(mr.sge(from.data(), length), mr.target(to.data()))
                           : operation::read(mr.sge(from.data(), length), mr.target(to.data())));
        if (round == 1)
            running.raise();
        to.advise(MADV_DONTNEED);
        for (int i = 0; i < depth; ++i)
            if (link.requester.wait().status != IBV_WC_SUCCESS)
                throw std::runtime_error("the traffic failed before it was killed");
    }
}

TEST_F(Lifetime, KillUnderLoadLeavesNothingBehind) {
    const auto before = count_resources(dev.name());
    for (int round = 0; round < 4; ++round) {
        shared_flag running;
        child victim([&]() -> int { make_traffic(running); });
        running.await();
        std::this_thread::sleep_for(std::chrono::milliseconds(random.between(0, 60)));
        victim.kill();
        ASSERT_TRUE(device_works(dev));
    }
    EXPECT_TRUE(becomes_true([&] { return count_resources(dev.name()) == before; }))
        << "verbs objects of killed processes are still there";
}

// A completion that has no place ends the queue pair. The unmodified driver keeps what the packet
// went to: deregistering that takes 50 s, and destroying the queue pair uses it after it was freed.
TEST_F(Lifetime, FullCompletionQueueKeepsNothing) {
    const pinned_buffer source(dev, page_size());
    for (const bool on_demand : {false, true}) {
        const mapping map = anonymous(page_size());
        auto mr = must(region::over(dev, map.data(), page_size(),
                                    all_access | (on_demand ? int{IBV_ACCESS_ON_DEMAND} : 0)));
        endpoint requester(dev);
        endpoint responder(dev, {.completions = 1});
        requester.connect(dev, responder.qp()->qp_num, IBV_MTU_1024);
        responder.connect(dev, requester.qp()->qp_num, IBV_MTU_1024);
        ibv_sge element = source.mr.sge(source.map.data(), 100);
        ibv_send_wr request{};
        request.opcode = IBV_WR_RDMA_WRITE_WITH_IMM;
        request.sg_list = &element;
        request.num_sge = 1;
        request.wr.rdma = {.remote_addr = mr.target(map.data()).iova,
                           .rkey = mr.target(map.data()).rkey};
        for (int i = 0; i < 2; ++i)
            responder.post_receive(source.mr.sge(source.map.data(), 0));
        for (int i = 0; i < 2; ++i)
            requester.post(request);
        EXPECT_TRUE(completed_with(requester.wait(), IBV_WC_SUCCESS));
        EXPECT_TRUE(becomes_true([&] { return responder.state() == IBV_QPS_ERR; }))
            << "there was a place for the second completion";
        EXPECT_TRUE(is_prompt([&] { EXPECT_EQ(mr.deregister(), 0); }));
    }
}

// Writes are under way when the MR goes. Each ends, well or refused, and none of them touches the
// memory after the deregistration returned.
TEST_F(Lifetime, DeregistrationUnderLoadStopsTheWrites) {
    constexpr std::size_t length = 256UZ * 1024;
    constexpr int depth = 16;
    const mapping map = anonymous(length);
    const pinned_buffer source(dev, length);
    for (int round = 0; round < 6; ++round) {
        auto mr = must(round % 2 == 0 ? region::over(dev, map.data(), length, odp_access)
                                      : region::implicit(dev, odp_access));
        connection link(dev);
        fill_pattern(source.map.bytes(), random.next());
        for (int i = 0; i < depth; ++i)
            link.requester.post(
                operation::write(source.mr.sge(source.map.data(), length), mr.target(map.data())));
        std::this_thread::sleep_for(std::chrono::milliseconds(random.between(0, 30)));
        ASSERT_EQ(mr.deregister(), 0);
        fill_pattern(map.bytes(), seed);
        int refused = 0;
        for (int i = 0; i < depth; ++i) {
            const ibv_wc_status status = link.requester.wait().status;
            if (status == IBV_WC_REM_ACCESS_ERR)
                ++refused;
            else
                ASSERT_EQ(status, refused == 0 ? IBV_WC_SUCCESS : IBV_WC_WR_FLUSH_ERR)
                    << status_name(status);
        }
        EXPECT_LE(refused, 1);
        ASSERT_TRUE(matches(compare_pattern(map.bytes(), seed)))
            << "memory was written after its deregistration had returned";
    }
}

// The same from the requester's side: the MR of a READ's destination goes.
TEST_F(Lifetime, DeregistrationUnderLoadStopsTheReads) {
    constexpr std::size_t length = 256UZ * 1024;
    constexpr int depth = 8;
    const mapping map = anonymous(length);
    const pinned_buffer source(dev, length);
    fill_pattern(source.map.bytes(), seed + 1);
    for (int round = 0; round < 4; ++round) {
        auto mr = must(region::implicit(dev, odp_access));
        connection link(dev);
        for (int i = 0; i < depth; ++i)
            link.requester.post(
                operation::read(mr.sge(map.data(), length), source.mr.target(source.map.data())));
        std::this_thread::sleep_for(std::chrono::milliseconds(random.between(0, 30)));
        ASSERT_EQ(mr.deregister(), 0);
        fill_pattern(map.bytes(), seed);
        for (int i = 0; i < depth; ++i) {
            const ibv_wc_status status = link.requester.wait().status;
            ASSERT_TRUE(status == IBV_WC_SUCCESS || status == IBV_WC_LOC_PROT_ERR ||
                        status == IBV_WC_WR_FLUSH_ERR)
                << status_name(status);
        }
        ASSERT_TRUE(matches(compare_pattern(map.bytes(), seed)))
            << "memory was written after its deregistration had returned";
    }
}

// A child inherits the device's file, and its parent dies: the queue pair and the MR live on in the
// file, the memory under them does not. What a peer then sends is refused; it neither crashes nor
// reaches the child's copy of that memory.
TEST_F(Lifetime, MrOutlivesItsOwnerAsAnError) {
    struct board { // what the processes tell each other; in memory that they share
        std::uint32_t responder_qp;
        remote_target target;
    };
    const mapping shared(page_size(), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS);
    auto *const told = new (shared.data()) board{};
    shared_flag owner_ready;
    shared_flag heir_may_look;
    shared_flag heir_is_intact;
    endpoint requester(dev);
    child owner([&]() -> int {
        const device own;
        endpoint responder(own);
        responder.connect(own, requester.qp()->qp_num, IBV_MTU_1024);
        const mapping map = anonymous(4 * page_size());
        fill_pattern(map.bytes(), seed);
        const auto mr = must(region::implicit(own, odp_access));
        *told = {responder.qp()->qp_num, mr.target(map.data())};
        if (checked(fork(), "forking the heir") == 0) {
            heir_may_look.await();
            if (compare_pattern(map.bytes(), seed).wrong == 0)
                heir_is_intact.raise();
            _exit(0);
        }
        owner_ready.raise();
        pause();
        return 1;
    });
    owner_ready.await();
    requester.connect(dev, told->responder_qp, IBV_MTU_1024);
    const pinned_buffer buffer(dev, page_size());
    const ibv_sge sge = buffer.mr.sge(buffer.map.data(), 3000);
    ASSERT_TRUE(completed_with(requester.run(operation::read(sge, told->target)), IBV_WC_SUCCESS));
    ASSERT_TRUE(matches(compare_pattern(buffer.map.bytes(0, 3000), seed)));
    owner.kill();
    EXPECT_TRUE(
        completed_with(requester.run(operation::write(sge, told->target)), IBV_WC_REM_ACCESS_ERR));
    heir_may_look.raise();
    heir_is_intact.await();
}

TEST_F(Lifetime, LargeRegistrationWorksAtBothEnds) {
    constexpr std::size_t length = std::size_t{64} << 30;
    const mapping map = anonymous(length, MAP_NORESERVE);
    const auto mr = must(region::over(dev, map.data(), length, odp_access));
    const pinned_buffer source(dev, 10000);
    connection link(dev);
    for (const std::size_t start : {std::size_t{0}, length / 2 + 17, length - 10000}) {
        fill_pattern(source.map.bytes(0, 10000), start);
        ASSERT_TRUE(completed_with(
            link.requester.run(operation::write(source.mr.sge(source.map.data(), 10000),
                                                mr.target(map.data() + start))),
            IBV_WC_SUCCESS));
        EXPECT_TRUE(matches(compare_pattern(map.bytes(start, 10000), start)));
    }
}

TEST_F(Lifetime, TenThousandMrsShareOneMirror) {
    constexpr int count = 10000;
    const mapping map = anonymous(16 * page_size());
    const pinned_buffer source(dev, 16 * page_size());
    connection link(dev);
    std::vector<region> mrs;
    mrs.reserve(count);
    for (int i = 0; i < count; ++i)
        mrs.push_back(must(region::over(dev, map.data(), map.size(), odp_access)));
    // Every hundredth of them moves data; the entries must not multiply with the MRs.
    for (std::size_t i = 0; i < count; i += 100) {
        fill_pattern(source.map.bytes(0, 3000), i);
        ASSERT_TRUE(completed_with(
            link.requester.run(operation::write(source.mr.sge(source.map.data(), 3000),
                                                mrs[i].target(map.data() + i))),
            IBV_WC_SUCCESS));
        ASSERT_TRUE(matches(compare_pattern(map.bytes(i, 3000), i)));
    }
    const auto counters = read_mirror_counters(getpid());
    ASSERT_TRUE(counters.contains("pages")) << "the mirror's summary in debugfs is missing";
    EXPECT_LE(counters.at("pages"), 48U);
    EXPECT_LE(counters.at("chunks"), 2U);
    const std::uint64_t before = counters.at("invalidations");
    map.advise(MADV_DONTNEED);
    EXPECT_LE(read_mirror_counters(getpid()).at("invalidations") - before, 2U)
        << "one event in the mm must not be handled once per MR";
}

} // namespace

} // namespace odp_test
