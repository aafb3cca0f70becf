// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// Two hosts and a wire that loses, repeats or overtakes packets: every operation, packets of 1024
// and of 4096 bytes. Both sides' memory is on demand.

#include "fixture.hpp"
#include "resources.hpp"
#include "two_hosts.hpp"

#include <algorithm>
#include <cstring>
#include <format>
#include <optional>
#include <tuple>

namespace odp_test {

namespace {

struct trouble {
    const char *name;
    double disturbance::*kind;
};

constexpr trouble troubles[] = {
    {"Loss", &disturbance::loss},
    {"Duplication", &disturbance::duplicate},
    {"Reordering", &disturbance::reorder},
};

/// Of a wire, and in percent.
using treatment = std::tuple<ibv_mtu, trouble, double>;

/// Of an interface that takes such packets with their headers.
int interface_mtu(ibv_mtu path_mtu) {
    return path_mtu == IBV_MTU_4096 ? 4200 : 1500;
}

class TwoHosts : public verbs_test, public ::testing::WithParamInterface<treatment> {
  protected:
    static void TearDownTestSuite() { hosts.reset(); }

    TwoHosts() {
        const auto [path_mtu, kind, percent] = GetParam();
        if (!hosts || connected_mtu != path_mtu) {
            hosts.reset();
            hosts.emplace(interface_mtu(path_mtu));
            connected_mtu = path_mtu;
        }
        disturbance how;
        how.*kind.kind = percent;
        hosts->disturb(how, seed);
        requester_.emplace(hosts->near());
        responder_.emplace(hosts->far());
        hosts->connect(*requester_, *responder_, path_mtu);
        near_mr_.emplace(must(region::over(hosts->near(), near_.data(), near_.size(), odp_access)));
        far_mr_.emplace(must(region::implicit(hosts->far(), odp_access)));
        retries_before_ = retries();
    }

    /// A piece of both sides; one behind the other they make up the whole.
    struct piece {
        std::size_t start;
        std::size_t length;
    };
    template <class function_type>
    void for_all_pieces(function_type act) {
        for (std::size_t start = 0; start < length && !HasFatalFailure();) {
            const piece where{start, std::min(length - start, random.between(1, 1'000'000))};
            SCOPED_TRACE(std::format("{} bytes at {}", where.length, where.start));
            act(where);
            start += where.length;
        }
    }

    void run(const operation &work) {
        ASSERT_TRUE(completed_with(requester_->run(work), IBV_WC_SUCCESS));
    }
    ibv_sge near_sge(piece where) const {
        return near_mr_->sge(near_.data() + where.start, where.length);
    }
    remote_target far_target(piece where) const {
        return far_mr_->target(far_.data() + where.start);
    }

    static std::uint64_t retries() {
        return device_counter(hosts->far().name(), "duplicate_request") +
               device_counter(hosts->far().name(), "out_of_seq_request") +
               device_counter(hosts->near().name(), "completer_retry_err");
    }
    /// Of @count packets some must have been hit, or the test shows nothing.
    void expect_trouble(double count) const {
        if (count * std::get<double>(GetParam()) / 100 > 10) {
            EXPECT_GT(retries(), retries_before_) << "the wire did nothing";
        }
    }
    static double packets() {
        return static_cast<double>(length) / (connected_mtu == IBV_MTU_4096 ? 4096 : 1024);
    }

    static constexpr std::size_t length = 4UZ << 20;
    static inline std::optional<two_hosts> hosts;
    static inline ibv_mtu connected_mtu;

    const mapping near_{length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS};
    const mapping far_{length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS};
    std::optional<endpoint> requester_;
    std::optional<endpoint> responder_;
    std::optional<region> near_mr_;
    std::optional<region> far_mr_;
    std::uint64_t retries_before_ = 0;
};

TEST_P(TwoHosts, WritesArrive) {
    fill_pattern(near_.bytes(), seed);
    for_all_pieces([&](piece where) { run(operation::write(near_sge(where), far_target(where))); });
    EXPECT_TRUE(matches(compare_pattern(far_.bytes(), seed)));
    expect_trouble(packets());
}

TEST_P(TwoHosts, ReadsBringWhatIsThere) {
    fill_pattern(far_.bytes(), seed);
    for_all_pieces([&](piece where) { run(operation::read(near_sge(where), far_target(where))); });
    EXPECT_TRUE(matches(compare_pattern(near_.bytes(), seed)));
    // A response that comes twice is passed over without being counted.
    if (std::get<trouble>(GetParam()).kind != &disturbance::duplicate)
        expect_trouble(packets());
}

TEST_P(TwoHosts, SendsArriveOnceAndInOrder) {
    fill_pattern(near_.bytes(), seed);
    for_all_pieces([&](piece where) {
        responder_->post_receive(far_mr_->sge(far_.data() + where.start, where.length));
        run(operation::send(near_sge(where)));
        const ibv_wc received = responder_->wait();
        ASSERT_TRUE(completed_with(received, IBV_WC_SUCCESS));
        ASSERT_EQ(received.byte_len, where.length);
    });
    EXPECT_FALSE(responder_->poll()) << "a message arrived twice";
    EXPECT_TRUE(matches(compare_pattern(far_.bytes(), seed)));
    expect_trouble(packets());
}

// One that is repeated gets the answer of the first time, and changes nothing.
TEST_P(TwoHosts, AtomicsHappenOnce) {
    constexpr int count = 300;
    const remote_target at = far_target({.start = 4096, .length = 8});
    const ibv_sge result = near_sge({.start = 12, .length = 8});
    std::uint64_t expected = 0;
    for (int i = 0; i < count && !HasFatalFailure(); ++i) {
        const std::uint64_t next = random.next();
        if (i % 2 == 0)
            run(operation::fetch_add(result, at, next - expected));
        else
            run(operation::compare_swap(result, at, expected, next));
        std::uint64_t old = 0;
        std::memcpy(&old, near_.data() + 12, sizeof old);
        ASSERT_EQ(old, expected) << "atomic " << i;
        expected = next;
    }
    std::uint64_t last = 0;
    std::memcpy(&last, far_.data() + 4096, sizeof last);
    EXPECT_EQ(last, expected);
    expect_trouble(2 * count);
}

const auto treatment_name = [](const auto &test) {
    const auto [path_mtu, kind, percent] = test.param;
    return std::format("Mtu{}{}{}", interface_mtu(path_mtu), kind.name,
                       percent < 1 ? "OneInThousand" : "OneInHundred");
};

INSTANTIATE_TEST_SUITE_P(On, TwoHosts,
                         ::testing::Combine(::testing::Values(IBV_MTU_1024, IBV_MTU_4096),
                                            ::testing::ValuesIn(troubles), ::testing::Values(1.0)),
                         treatment_name);
INSTANTIATE_TEST_SUITE_P(Extended, TwoHosts,
                         ::testing::Combine(::testing::Values(IBV_MTU_1024, IBV_MTU_4096),
                                            ::testing::ValuesIn(troubles), ::testing::Values(0.1)),
                         treatment_name);

} // namespace

} // namespace odp_test
