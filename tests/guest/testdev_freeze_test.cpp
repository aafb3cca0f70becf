// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// Page faults that do not end, as the test device meets them: a frozen file system stops a write
// fault until the thaw. Whoever waits for it can be told "not yet", and nothing else waits.

#include "child.hpp"
#include "fixture.hpp"
#include "frozen.hpp"
#include "testdev.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <thread>

namespace odp_test {

namespace {

using namespace std::chrono_literals;

class TestDeviceFreeze : public device_test, public ::testing::WithParamInterface<memory_kind> {
  protected:
    /// Pages that are present and clean: reading them works, writing them asks the file system.
    TestDeviceFreeze() : area(GetParam(), page(4)) {
        fill_pattern(area.map.bytes(), seed);
        checked(msync(area.map.data(), area.map.size(), MS_SYNC), "msync");
        fill_pattern(data, seed + 1);
    }

    /// A write that does not wait: the errno value.
    int try_to_write(const mirror_window &window) const {
        odp_test_access access{};
        access.window = window.id();
        access.iova = whole_iova(area.map.data());
        access.length = data.size();
        access.buffer = whole_iova(data.data());
        return dev.command(ODP_TEST_WRITE, access);
    }

    memory area;
    std::vector<std::uint8_t> data = std::vector<std::uint8_t>(3000);
};

INSTANTIATE_TEST_SUITE_P(On, TestDeviceFreeze,
                         ::testing::Values(memory_kind::ext4, memory_kind::xfs, memory_kind::btrfs,
                                           memory_kind::ext4_dax, memory_kind::xfs_dax),
                         [](const auto &kind) { return kind_name(kind.param); });

TEST_P(TestDeviceFreeze, WriteIsNotYetUntilTheThaw) {
    const mirror_window window(dev);
    frozen filesystem(GetParam());
    for (int round = 0; round < 3; ++round)
        EXPECT_EQ(try_to_write(window), EAGAIN);
    std::vector<std::uint8_t> found(data.size());
    EXPECT_EQ(window.read(whole_iova(area.map.data()), found), 0) << "what may be read";
    EXPECT_TRUE(matches(compare_pattern(found, seed)));
    int error = -1;
    std::jthread writer([&] { error = window.write(whole_iova(area.map.data()), data); });
    std::this_thread::sleep_for(200ms);
    EXPECT_EQ(error, -1) << "written while frozen";
    filesystem.thaw();
    writer.join();
    EXPECT_EQ(error, 0);
    EXPECT_TRUE(matches(compare_pattern(area.map.bytes(0, data.size()), seed + 1)));
}

TEST_P(TestDeviceFreeze, ClosingDoesNotWait) {
    std::optional<mirror_window> window(std::in_place, dev);
    frozen filesystem(GetParam());
    EXPECT_EQ(try_to_write(*window), EAGAIN);
    EXPECT_TRUE(is_prompt([&] {
        window.reset();
        dev.close();
    }));
    filesystem.thaw();
    EXPECT_TRUE(becomes_true([] { return read_mirror_counters(getpid()).empty(); }))
        << "the mirror outlived its last window and its last fault";
    EXPECT_TRUE(matches(compare_pattern(area.map.bytes(), seed))) << "written after the close";
}

TEST_P(TestDeviceFreeze, KilledWriterGoesAtOnce) {
    std::optional<frozen> filesystem(std::in_place, GetParam());
    shared_flag begun;
    child writer([&] {
        const test_device own;
        const mirror_window window(own);
        begun.raise();
        return window.write(whole_iova(area.map.data()), data);
    });
    begun.await();
    const pid_t pid = writer.pid();
    std::this_thread::sleep_for(200ms);
    EXPECT_FALSE(read_mirror_counters(pid).empty());
    EXPECT_TRUE(is_prompt([&] { writer.kill(); }));
    filesystem->thaw();
    EXPECT_TRUE(becomes_true([&] { return read_mirror_counters(pid).empty(); }));
    EXPECT_TRUE(matches(compare_pattern(area.map.bytes(), seed)));
}

} // namespace

} // namespace odp_test
