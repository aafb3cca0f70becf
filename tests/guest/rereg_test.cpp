// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// ibv_rereg_mr(3) of on-demand MRs: rights and protection domain change, the keys stay. What cannot
// change is refused, and the MR is as it was.

#include "fixture.hpp"
#include "rereg.hpp"
#include "roce_peer.hpp"

#include <memory>

namespace odp_test {

namespace {

class Rereg : public verbs_test, public ::testing::WithParamInterface<bool> {
  protected:
    static constexpr std::size_t length = 3000;
    static constexpr int read_only =
        IBV_ACCESS_ON_DEMAND | IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_READ;

    void expect_write(ibv_wc_status expected) {
        connection link(dev);
        EXPECT_TRUE(completed_with(
            link.requester.run(operation::write(local_.mr.sge(local_.map.data(), length),
                                                mr_.target(map_.data() + 100))),
            expected));
    }
    void expect_read(ibv_wc_status expected) {
        connection link(dev);
        EXPECT_TRUE(completed_with(
            link.requester.run(operation::read(local_.mr.sge(local_.map.data(), length),
                                               mr_.target(map_.data() + 100))),
            expected));
    }

    /// The same READ twice, with @change in between.
    void expect_repeated_read_refused(const registration_change &change) {
        const roce_peer peer(dev);
        endpoint responder(dev);
        responder.connect(dev, peer.gid(), roce_peer::queue_pair, IBV_MTU_1024);
        const roce_request read{.opcode = rc_opcode::read_request,
                                .header = rdma_header(mr_.target(map_.data()), 1000)};
        peer.send(responder.qp()->qp_num, read);
        auto answer = peer.receive();
        ASSERT_TRUE(answer);
        EXPECT_TRUE(answer->is_positive());
        ASSERT_EQ(reregister(dev, mr_, change), 0);
        peer.send(responder.qp()->qp_num, read);
        answer = peer.receive();
        ASSERT_TRUE(answer);
        EXPECT_EQ(answer->syndrome, nak_remote_access_error);
    }

    const mapping map_{2 * page_size(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS};
    const pinned_buffer local_{dev, page_size()};
    const region mr_{GetParam() ? must(region::implicit(dev, read_only))
                                : must(region::over(dev, map_.data(), map_.size(), read_only))};
};

TEST_P(Rereg, RightsComeAndGo) {
    expect_read(IBV_WC_SUCCESS);
    expect_write(IBV_WC_REM_ACCESS_ERR);
    ASSERT_EQ(reregister(dev, mr_, {.access = odp_access}), 0);
    fill_pattern(local_.map.bytes(), seed);
    expect_write(IBV_WC_SUCCESS);
    EXPECT_TRUE(matches(compare_pattern(map_.bytes(100, length), seed)));
    ASSERT_EQ(reregister(dev, mr_, {.access = read_only}), 0);
    expect_write(IBV_WC_REM_ACCESS_ERR);
    expect_read(IBV_WC_SUCCESS);
}

// The right to write what may only be read is none: the mapping decides, as ever.
TEST_P(Rereg, ReadOnlyMemoryStaysSo) {
    fill_pattern(map_.bytes(), seed);
    map_.protect(PROT_READ);
    ASSERT_EQ(reregister(dev, mr_, {.access = odp_access}), 0);
    expect_read(IBV_WC_SUCCESS);
    expect_write(IBV_WC_REM_ACCESS_ERR);
    EXPECT_TRUE(matches(compare_pattern(map_.bytes(), seed)));
}

TEST_P(Rereg, ProtectionDomainChanges) {
    const pd_handle other(ibv_alloc_pd(dev.context()));
    ASSERT_TRUE(other);
    ASSERT_EQ(reregister(dev, mr_, {.protection_domain = other.get()}), 0);
    expect_read(IBV_WC_REM_ACCESS_ERR);
    ASSERT_EQ(reregister(dev, mr_, {.protection_domain = dev.pd()}), 0);
    expect_read(IBV_WC_SUCCESS);
}

// That a READ was answered once gives no right to read again.
TEST_P(Rereg, RepeatedReadNeedsTheRight) {
    expect_repeated_read_refused({.access = IBV_ACCESS_ON_DEMAND | IBV_ACCESS_LOCAL_WRITE});
}

TEST_P(Rereg, RepeatedReadNeedsTheProtectionDomain) {
    const pd_handle other(ibv_alloc_pd(dev.context()));
    ASSERT_TRUE(other);
    expect_repeated_read_refused({.protection_domain = other.get()});
    ASSERT_EQ(reregister(dev, mr_, {.protection_domain = dev.pd()}), 0);
}

TEST_P(Rereg, MemoryDoesNotChange) {
    const mapping elsewhere(page_size(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
    EXPECT_EQ(reregister(dev, mr_, {.memory = elsewhere.bytes()}), EOPNOTSUPP);
    expect_read(IBV_WC_SUCCESS);
}

TEST_P(Rereg, RightsThatMakeNoSenseAreRefused) {
    EXPECT_EQ(reregister(dev, mr_, {.access = IBV_ACCESS_ON_DEMAND | IBV_ACCESS_REMOTE_WRITE}),
              EINVAL)
        << "remote write without local write";
    expect_read(IBV_WC_SUCCESS);
    expect_write(IBV_WC_REM_ACCESS_ERR);
}

// Whether memory lasts is looked at when it is pinned, and only if the right is asked for then.
TEST(PinnedRereg, FlushOfMemoryThatDoesNotLast) {
    const device dev;
    const pinned_buffer buffer(dev, page_size());
    EXPECT_EQ(reregister(dev, buffer.mr, {.access = all_access | IBV_ACCESS_FLUSH_PERSISTENT}),
              EOPNOTSUPP);
    EXPECT_EQ(reregister(dev, buffer.mr, {.access = all_access | IBV_ACCESS_FLUSH_GLOBAL}), 0);
}

INSTANTIATE_TEST_SUITE_P(Of, Rereg, ::testing::Bool(),
                         [](const auto &test) { return test.param ? "Implicit" : "Explicit"; });

} // namespace

} // namespace odp_test
