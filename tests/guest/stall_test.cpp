// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// A page that never comes: its handler in user space does not answer, as a network file system's
// server may not. Who waits for the page waits; nothing else of the process, the device or the
// machine does, and a kill ends the process even so.

#include "child.hpp"
#include "fixture.hpp"
#include "resources.hpp"
#include "user_faults.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <chrono>
#include <future>
#include <new>
#include <optional>
#include <thread>

namespace odp_test {

namespace {

using namespace std::chrono_literals;
using clock = std::chrono::steady_clock;

constexpr auto at_once = 1s;

/// How long @act takes.
template <class function_type>
clock::duration time_of(function_type act) {
    const auto start = clock::now();
    act();
    return clock::now() - start;
}

/// Which side of the transfer has the page that never comes.
enum class stuck_side { responder_read, responder_write, requester_read, requester_write };

class Stall : public verbs_test, public ::testing::WithParamInterface<stuck_side> {
  protected:
    static constexpr std::size_t length = 3000;

    static operation stuck_operation(const region &mr, const mapping &stuck,
                                     const pinned_buffer &buffer) {
        const ibv_sge here = buffer.mr.sge(buffer.map.data(), length);
        switch (GetParam()) {
        case stuck_side::responder_read:
            return operation::read(here, mr.target(stuck.data()));
        case stuck_side::responder_write:
            return operation::write(here, mr.target(stuck.data()));
        case stuck_side::requester_read:
            return operation::read(mr.sge(stuck.data(), length),
                                   buffer.mr.target(buffer.map.data()));
        case stuck_side::requester_write:
            break;
        }
        return operation::write(mr.sge(stuck.data(), length), buffer.mr.target(buffer.map.data()));
    }

    /// Returns with a fault of the device's for the page on its way, for good.
    void get_stuck() {
        ASSERT_TRUE(alone_) << "a mirror is left from the test before";
        fill_pattern(buffer_.map.bytes(), seed);
        link_->requester.post(stuck_operation(*mr_, stuck_, buffer_));
        faults_.next();
        std::this_thread::sleep_for(100ms); // longer than anybody waits in place
        ASSERT_FALSE(link_->requester.poll()) << "completed without the page";
    }

    /// A fault of the test before goes on without its region, until it finds its handler gone. It
    /// would take what is mapped there now for what it is about.
    const bool alone_ = becomes_true([] { return read_mirror_counters(getpid()).empty(); });
    mapping stuck_{2 * page_size(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS};
    const user_faults faults_{stuck_};
    const pinned_buffer buffer_{dev, length};
    std::optional<region> mr_{must(region::implicit(dev, odp_access))};
    std::optional<connection> link_{std::in_place, dev};
};

TEST_P(Stall, ApplicationMapsAndUnmaps) {
    get_stuck();
    const auto taken = std::async(std::launch::async, [] {
                           return time_of([] {
                               mapping other(64 * page_size(), PROT_READ | PROT_WRITE,
                                             MAP_PRIVATE | MAP_ANONYMOUS);
                               fill_pattern(other.bytes(), 1);
                               other.protect(PROT_READ);
                               other.unmap();
                           });
                       }).get();
    EXPECT_LT(taken, at_once);
}

TEST_P(Stall, OtherQueuePairsGoOn) {
    get_stuck();
    EXPECT_TRUE(device_works(dev));
    // Through the same MR and its mirror, in the same chunk of addresses.
    const mapping other(4 * page_size(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
    const pinned_buffer source(dev, length);
    connection link(dev);
    fill_pattern(source.map.bytes(0, length), seed + 1);
    const auto taken = time_of([&] {
        EXPECT_TRUE(completed_with(
            link.requester.run(operation::write(source.mr.sge(source.map.data(), length),
                                                mr_->target(other.data() + 100))),
            IBV_WC_SUCCESS));
    });
    EXPECT_LT(taken, at_once);
    EXPECT_TRUE(matches(compare_pattern(other.bytes(100, length), seed + 1)));
}

TEST_P(Stall, DeregistrationReturns) {
    get_stuck();
    EXPECT_LT(time_of([&] { EXPECT_EQ(mr_->deregister(), 0); }), at_once);
    mr_.reset();
    const bool is_local =
        GetParam() == stuck_side::requester_read || GetParam() == stuck_side::requester_write;
    EXPECT_TRUE(completed_with(link_->requester.wait(),
                               is_local ? IBV_WC_LOC_PROT_ERR : IBV_WC_REM_ACCESS_ERR));
}

TEST_P(Stall, DestroyingTheQueuePairsReturns) {
    get_stuck();
    EXPECT_LT(time_of([&] { link_.reset(); }), at_once);
    EXPECT_LT(time_of([&] { EXPECT_EQ(mr_->deregister(), 0); }), at_once);
    mr_.reset();
}

// An invalidation of the very range that the fault is for. Who waits, waits on, as a thread would
// that touched it: only the handler can tell it that there will be no page.
TEST_P(Stall, PageItselfIsUnmapped) {
    get_stuck();
    EXPECT_LT(time_of([&] { stuck_.unmap(); }), at_once);
    EXPECT_TRUE(device_works(dev));
    EXPECT_LT(time_of([&] { link_.reset(); }), at_once);
}

TEST_P(Stall, KillEndsTheOwner) {
    const auto before = count_resources(dev.name());
    const mapping shared(page_size(), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS);
    auto *const descriptor = new (shared.data()) int(-1);
    shared_flag posted;
    child owner([&]() -> int {
        const device own;
        const mapping stuck(2 * page_size(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
        const user_faults faults(stuck);
        const auto mr = must(region::implicit(own, odp_access));
        const pinned_buffer buffer(own, length);
        connection link(own);
        link.requester.post(stuck_operation(mr, stuck, buffer));
        faults.next();
        std::this_thread::sleep_for(100ms);
        *descriptor = faults.descriptor();
        posted.raise();
        pause();
        return 1;
    });
    posted.await();
    const pid_t pid = owner.pid();
    // While the handler lives, nothing lets go of the fault, not even its process's death.
    std::optional<user_faults> handler(user_faults::of_another(pid, *descriptor));
    EXPECT_FALSE(read_mirror_counters(pid).empty());
    EXPECT_LT(time_of([&] { owner.kill(); }), at_once);
    EXPECT_TRUE(device_works(dev));
    handler.reset();
    EXPECT_TRUE(becomes_true([&] { return count_resources(dev.name()) == before; }))
        << "verbs objects of the killed process are still there";
    EXPECT_TRUE(becomes_true([&] { return read_mirror_counters(pid).empty(); }))
        << "the mirror outlived its process and its last fault";
}

INSTANTIATE_TEST_SUITE_P(Of, Stall,
                         ::testing::Values(stuck_side::responder_read, stuck_side::responder_write,
                                           stuck_side::requester_read, stuck_side::requester_write),
                         [](const auto &test) -> std::string {
                             switch (test.param) {
                             case stuck_side::responder_read:
                                 return "RespondersRead";
                             case stuck_side::responder_write:
                                 return "RespondersWrite";
                             case stuck_side::requester_read:
                                 return "RequestersRead";
                             case stuck_side::requester_write:
                                 break;
                             }
                             return "RequestersWrite";
                         });

} // namespace

} // namespace odp_test
