// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// Page faults that do not end: a frozen file system stops a write fault for as long as it stays
// frozen. The transfer waits for it; nothing else does. Dereg, destroy and kill return at once, and
// what is thawed afterwards finds nobody to write for.

#include "child.hpp"
#include "fixture.hpp"
#include "frozen.hpp"
#include "resources.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <chrono>
#include <optional>
#include <string>
#include <thread>

namespace odp_test {

namespace {

using namespace std::chrono_literals;

/// Generous for a slow guest and far from the 50 s after which mainline frees under the fault.
constexpr auto at_once = 5s;

class Freeze : public verbs_test, public ::testing::WithParamInterface<memory_kind> {
  protected:
    static constexpr std::size_t length = 3000;

    /// Pages that are present and clean: reading them works, writing them asks the file system.
    memory clean_file() {
        memory area(GetParam(), 4 * page_size());
        fill_pattern(area.map.bytes(), seed);
        checked(msync(area.map.data(), area.map.size(), MS_SYNC), "msync");
        return area;
    }

    operation write_into(const region &mr, const memory &area) {
        fill_pattern(source_.map.bytes(0, length), seed + 1);
        return operation::write(source_.mr.sge(source_.map.data(), length),
                                mr.target(area.map.data()));
    }

    /// For a moment, nothing may complete.
    static void expect_blocked(endpoint &requester) {
        const auto end = std::chrono::steady_clock::now() + 500ms;
        while (std::chrono::steady_clock::now() < end) {
            const auto completion = requester.poll();
            ASSERT_FALSE(completion)
                << "completed while frozen: " << status_name(completion->status);
            std::this_thread::sleep_for(10ms);
        }
    }

    pinned_buffer source_{dev, length};
};

INSTANTIATE_TEST_SUITE_P(On, Freeze, ::testing::Values(memory_kind::ext4, memory_kind::ext4_dax),
                         [](const auto &kind) { return kind_name(kind.param); });

TEST_P(Freeze, WriteCompletesAfterTheThaw) {
    const memory area = clean_file();
    const auto mr = must(region::implicit(dev, odp_access));
    connection link(dev);
    frozen filesystem(GetParam());
    link.requester.post(write_into(mr, area));
    expect_blocked(link.requester);
    filesystem.thaw();
    EXPECT_TRUE(completed_with(link.requester.wait(), IBV_WC_SUCCESS));
    EXPECT_TRUE(matches(compare_pattern(area.map.bytes(0, length), seed + 1)));
}

TEST_P(Freeze, OtherQueuePairsGoOn) {
    const memory area = clean_file();
    const auto mr = must(region::implicit(dev, odp_access));
    connection stuck(dev);
    frozen filesystem(GetParam());
    stuck.requester.post(write_into(mr, area));
    expect_blocked(stuck.requester);
    EXPECT_TRUE(device_works(dev)); // in this process, too, whose mmap_lock is free
    // Another page of the same file, through the same MR, only to read it.
    connection other(dev);
    const pinned_buffer into(dev, length);
    EXPECT_TRUE(completed_with(
        other.requester.run(operation::read(into.mr.sge(into.map.data(), length),
                                            mr.target(area.map.data() + 2 * page_size()))),
        IBV_WC_SUCCESS));
    EXPECT_TRUE(matches(compare_pattern(into.map.bytes(0, length), seed, 2 * page_size())));
    filesystem.thaw();
    EXPECT_TRUE(completed_with(stuck.requester.wait(), IBV_WC_SUCCESS));
}

TEST_P(Freeze, DeregistrationAndDestructionDoNotWait) {
    const memory area = clean_file();
    auto mr = must(region::implicit(dev, odp_access));
    std::optional<connection> link(std::in_place, dev);
    frozen filesystem(GetParam());
    link->requester.post(write_into(mr, area));
    expect_blocked(link->requester);
    const auto start = std::chrono::steady_clock::now();
    EXPECT_EQ(mr.deregister(), 0);
    EXPECT_TRUE(completed_with(link->requester.wait(), IBV_WC_REM_ACCESS_ERR));
    link.reset();
    EXPECT_LT(std::chrono::steady_clock::now() - start, at_once);
    filesystem.thaw();
    EXPECT_TRUE(matches(compare_pattern(area.map.bytes(), seed))) << "written after dereg";
    EXPECT_TRUE(becomes_true([&] { return read_mirror_counters(getpid()).empty(); }))
        << "the mirror outlived its last window and its last fault";
}

// The local side: the requester's own memory cannot be written yet.
TEST_P(Freeze, DestroyingTheRequesterOfAReadDoesNotWait) {
    const memory area = clean_file();
    const auto mr = must(region::implicit(dev, odp_access));
    std::optional<connection> link(std::in_place, dev);
    frozen filesystem(GetParam());
    link->requester.post(
        operation::read(mr.sge(area.map.data(), length), source_.mr.target(source_.map.data())));
    expect_blocked(link->requester);
    const auto start = std::chrono::steady_clock::now();
    link.reset();
    EXPECT_LT(std::chrono::steady_clock::now() - start, at_once);
    filesystem.thaw();
    EXPECT_TRUE(matches(compare_pattern(area.map.bytes(), seed)));
}

TEST_P(Freeze, LocalReadCompletesAfterTheThaw) {
    const memory area = clean_file();
    const auto mr = must(region::implicit(dev, odp_access));
    connection link(dev);
    fill_pattern(source_.map.bytes(), seed + 2);
    frozen filesystem(GetParam());
    link.requester.post(
        operation::read(mr.sge(area.map.data(), length), source_.mr.target(source_.map.data())));
    expect_blocked(link.requester);
    filesystem.thaw();
    EXPECT_TRUE(completed_with(link.requester.wait(), IBV_WC_SUCCESS));
    EXPECT_TRUE(matches(compare_pattern(area.map.bytes(0, length), seed + 2)));
}

TEST_P(Freeze, KilledOwnerGoesAtOnce) {
    const auto before = count_resources(dev.name());
    std::optional<frozen> filesystem;
    shared_flag posted;
    const memory area = clean_file();
    filesystem.emplace(GetParam());
    child owner([&]() -> int {
        const device own;
        const auto mr = must(region::implicit(own, odp_access));
        const pinned_buffer from(own, length);
        connection link(own);
        link.requester.post(
            operation::write(from.mr.sge(from.map.data(), length), mr.target(area.map.data())));
        std::this_thread::sleep_for(300ms);
        posted.raise();
        pause();
        return 1;
    });
    posted.await();
    const auto start = std::chrono::steady_clock::now();
    owner.kill();
    EXPECT_LT(std::chrono::steady_clock::now() - start, at_once);
    filesystem->thaw();
    EXPECT_TRUE(becomes_true([&] { return count_resources(dev.name()) == before; }));
}

// Although a process that it forked has the device, and with it the MR, open still.
TEST_P(Freeze, KilledOwnersMemoryGoesAtOnce) {
    const memory area = clean_file();
    std::optional<frozen> filesystem(GetParam());
    shared_flag posted;
    shared_flag over;
    child owner([&]() -> int {
        const device own;
        const auto mr = must(region::implicit(own, odp_access));
        const pinned_buffer buffer(own, length);
        connection link(own);
        const ibv_sge local = buffer.mr.sge(buffer.map.data(), length);
        if (link.requester.run(operation::read(local, mr.target(area.map.data()))).status !=
            IBV_WC_SUCCESS)
            return 1;
        child heir([&] {
            over.await(2min);
            return 0;
        });
        link.requester.post(operation::write(local, mr.target(area.map.data())));
        std::this_thread::sleep_for(300ms);
        posted.raise();
        pause();
        return 1;
    });
    posted.await();
    const auto pages = [&] { return read_mirror_counters(owner.pid())["pages"]; };
    EXPECT_GT(pages(), 0U);
    owner.kill();
    EXPECT_TRUE(becomes_true([&] { return pages() == 0; }, at_once)) << "still mapped";
    over.raise();
    filesystem->thaw();
}

} // namespace

} // namespace odp_test
