// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// libibverbs' own ping-pong programs between two hosts. With -c each side looks at every byte that
// it received.

#include "session.hpp"

#include <format>
#include <ostream>

namespace odp_test {

namespace {

struct run {
    const char *name;
    const char *program;
    const char *options;
};

void PrintTo(const run &run, std::ostream *out) {
    *out << run.program << ' ' << run.options;
}

class Pingpong : public suite_test, public ::testing::WithParamInterface<run> {
  protected:
    static session play(const run &run) {
        const auto line = [&](two_hosts::side where) {
            return std::format("{} {} {}", run.program, device_options(where, "-g"), run.options);
        };
        using side = two_hosts::side;
        return run_session(line(side::far),
                           std::format("{} {}", line(side::near), two_hosts::address(side::far)),
                           rendezvous::tcp);
    }
};

TEST_P(Pingpong, EveryMessageArrives) {
    EXPECT_TRUE(succeeded(play(GetParam())));
}

// -o: on demand; -O: one implicit MR; -P: prefetched; -N: the newer interface for sending.
INSTANTIATE_TEST_SUITE_P(
    With, Pingpong,
    ::testing::Values(run{"Rc", "ibv_rc_pingpong", "-c -n 100"},
                      run{"RcExplicit", "ibv_rc_pingpong", "-o -n 100"},
                      run{"RcExplicitChecked", "ibv_rc_pingpong", "-o -c -n 100"},
                      run{"RcExplicitPrefetched", "ibv_rc_pingpong", "-o -P -c -n 100"},
                      run{"RcExplicitNewSend", "ibv_rc_pingpong", "-o -c -N -n 100"},
                      run{"RcExplicitPrefetchedNewSend", "ibv_rc_pingpong", "-o -P -c -N -n 100"},
                      run{"RcExplicitEvents", "ibv_rc_pingpong", "-o -c -e -n 100"},
                      run{"RcExplicitLong", "ibv_rc_pingpong", "-o -c -s 1000000 -n 5"},
                      run{"RcImplicit", "ibv_rc_pingpong", "-O -n 100"},
                      run{"RcImplicitChecked", "ibv_rc_pingpong", "-O -c -n 100"},
                      run{"RcImplicitPrefetched", "ibv_rc_pingpong", "-O -P -c -n 100"},
                      run{"RcImplicitNewSend", "ibv_rc_pingpong", "-O -c -N -n 100"},
                      run{"RcImplicitPrefetchedNewSend", "ibv_rc_pingpong", "-O -P -c -N -n 100"},
                      run{"RcImplicitLong", "ibv_rc_pingpong", "-O -c -s 1000000 -n 5"},
                      run{"Srq", "ibv_srq_pingpong", "-c -n 100"},
                      run{"SrqExplicit", "ibv_srq_pingpong", "-o -c -n 100"},
                      run{"Uc", "ibv_uc_pingpong", "-c -n 100"},
                      run{"Ud", "ibv_ud_pingpong", "-s 2048 -c -n 100"}),
    [](const auto &test) { return test.param.name; });

using WithoutXrc = Pingpong;

// rxe has no XRC; the program says so on both sides, instead of hanging or sending something.
TEST_P(WithoutXrc, IsRefused) {
    const session both = play(GetParam());
    for (const ending &side : {both.server, both.client}) {
        EXPECT_EQ(side.status, 1);
        EXPECT_NE(side.output.find("XRC"), std::string::npos) << side.output;
    }
}

INSTANTIATE_TEST_SUITE_P(With, WithoutXrc,
                         ::testing::Values(run{"Explicit", "ibv_xsrq_pingpong", "-o -n 100"}),
                         [](const auto &test) { return test.param.name; });

} // namespace

} // namespace odp_test
