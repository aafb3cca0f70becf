// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// A process whose control group is over its memory.high is made to wait for each page that it
// takes. When a peer's packets take them for it, that is no reason for the driver's tasks to wait,
// which serve everybody: such faults are the mirror's to wait for.

#include "child.hpp"
#include "control_group.hpp"
#include "fixture.hpp"
#include "resources.hpp"

#include <sys/mman.h>
#include <unistd.h>

namespace odp_test {

namespace {

class Throttle : public verbs_test {
  protected:
    static constexpr std::size_t length = 8UZ * 4096;
    static constexpr std::size_t excess = std::size_t{1} << 20; // more than is counted late

    /// The exit status of a process with @group's memory: whether the pages that a peer's WRITE
    /// takes are waited for apart, and get the data.
    int write_and_look(const control_group &group, bool is_over) const {
        group.enter();
        const device own;
        const mapping map(2 * excess, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
        map.advise(MADV_NOHUGEPAGE);
        const auto mr = must(region::implicit(own, odp_access));
        const pinned_buffer source(own, length);
        fill_pattern(source.map.bytes(), seed);
        connection link(own);
        if (is_over)
            group.throttle_above(group.usage());
        fill_pattern(map.bytes(0, excess), seed);
        const auto queued = [] { return read_mirror_counters(getpid())["faults_queued"]; };
        const std::uint64_t before = queued();
        const std::uint8_t *const target = map.data() + excess;
        if (link.requester
                .run(operation::write(source.mr.sge(source.map.data(), length), mr.target(target)))
                .status != IBV_WC_SUCCESS)
            return 1;
        if (compare_pattern(map.bytes(excess, length), seed).wrong != 0)
            return 2;
        return (queued() > before) == is_over ? 0 : 3;
    }
};

TEST_F(Throttle, FaultsOfWhoIsOverItsLimitAreWaitedForApart) {
    const control_group group;
    child owner([&] { return write_and_look(group, true); });
    EXPECT_EQ(owner.wait(), 0);
}

TEST_F(Throttle, OthersAreNot) {
    const control_group group;
    child owner([&] { return write_and_look(group, false); });
    EXPECT_EQ(owner.wait(), 0);
}

} // namespace

} // namespace odp_test
