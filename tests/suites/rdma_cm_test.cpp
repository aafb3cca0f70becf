// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// librdmacm's own programs between two hosts: who connects by rdma_cm instead of by hand.

#include "session.hpp"

#include <format>

namespace odp_test {

namespace {

using side = two_hosts::side;

using RdmaCm = suite_test;

TEST_F(RdmaCm, RpingSeesItsDataComeBack) {
    const auto there = two_hosts::address(side::far);
    const session both =
        run_session(std::format("rping -s -a {} -C 10 -S 4000 -V", there),
                    std::format("rping -c -a {} -C 10 -S 4000 -V", there), rendezvous::rdma_cm);
    EXPECT_TRUE(succeeded(both));
}

TEST_F(RdmaCm, UcmatoseConnectsAndSends) {
    const auto there = two_hosts::address(side::far);
    const session both =
        run_session(std::format("ucmatose -b {} -c 4 -C 20 -S 5000", there),
                    std::format("ucmatose -s {} -c 4 -C 20 -S 5000", there), rendezvous::rdma_cm);
    EXPECT_TRUE(succeeded(both));
}

TEST_F(RdmaCm, UdaddySendsDatagrams) {
    const auto there = two_hosts::address(side::far);
    const session both =
        run_session(std::format("udaddy -b {} -C 20 -S 1000", there),
                    std::format("udaddy -s {} -C 20 -S 1000", there), rendezvous::rdma_cm);
    EXPECT_TRUE(succeeded(both));
}

} // namespace

} // namespace odp_test
