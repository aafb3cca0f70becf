// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// Memory that becomes short while a mirror holds pages: they go to swap and come back, and the
// memory of a process that has to die is taken without asking anybody to wait.

#include "child.hpp"
#include "control_group.hpp"
#include "events.hpp"
#include "frozen.hpp"
#include "resources.hpp"
#include "swap.hpp"

#include <unistd.h>

#include <cstring>
#include <thread>

namespace odp_test {

namespace {

/// Memory that swap is for.
class SwappedMemory : public MemoryEvents {};

TEST_P(SwappedMemory, SwapOutAndIn) {
    const swap_file swap;
    write(0, npages, seed);
    swap_out(area.map);
    EXPECT_TRUE(reads(0, npages, seed));
    // Parts of pages, so that the rest has to come from swap.
    write(0, npages, seed + 1);
    swap_out(area.map);
    std::vector<std::uint8_t> data(page(npages) - 20);
    fill_pattern(data, seed + 2, 10);
    ASSERT_EQ(access->write(va(0) + 10, data), access_result::done);
    swap_out(area.map);
    EXPECT_TRUE(matches(compare_pattern(area.map.bytes(10, data.size()), seed + 2, 10)));
    EXPECT_TRUE(matches(compare_pattern(area.map.bytes(0, 10), seed + 1)));
    EXPECT_TRUE(matches(
        compare_pattern(area.map.bytes(page(npages) - 10, 10), seed + 1, page(npages) - 10)));
}

ODP_EVENTS(SwappedMemory, memory_kind::anonymous, memory_kind::tmpfs);

class DyingOwner : public MemoryEvents {
  protected:
    /// Never returns: the memory ends first.
    [[noreturn]] static void take_all_memory() {
        for (;;) {
            const std::size_t length = std::size_t{4} << 20;
            mapping more(length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
            std::memset(more.data(), 1, length);
            new mapping(std::move(more)); // kept
        }
    }
};

// The victim cannot exit: one of its threads waits for a file system to thaw. So its memory can
// only be given back by the reaper, which may not wait for the notifier callback.
TEST_P(DyingOwner, OomReaperIsNotStopped) {
    allow_in_log(""); // the kernel says at length who took the memory
    const control_group group("48M");
    const memory blocked(memory_kind::ext4, page_size());
    blocked.map.data()[0] = 1;
    checked(msync(blocked.map.data(), page_size(), MS_SYNC), "writing back");
    shared_flag ready;
    shared_flag go;
    child victim([&]() -> int {
        const auto own = make_access(path());
        group.enter();
        const std::vector<std::uint8_t> data(page(npages), 0x5a);
        if (own->write(area.map.data(), data) != access_result::done)
            return 1;
        ready.raise();
        go.await();
        std::jthread stuck([&] { blocked.map.data()[0] = 2; });
        usleep(100'000);
        take_all_memory();
    });
    ready.await();
    const auto held = [&] { return read_mirror_counters(victim.pid())["pages"]; };
    EXPECT_GE(held(), npages);
    frozen filesystem(memory_kind::ext4);
    go.raise();
    EXPECT_TRUE(becomes_true([&] { return held() == 0; }, std::chrono::seconds(40)))
        << "the reaper left " << held() << " pages to the mirror";
    EXPECT_FALSE(read_mirror_counters(victim.pid()).empty()) << "the victim has exited";
    filesystem.thaw();
    EXPECT_EQ(victim.wait(), 128 + SIGKILL);
}

ODP_EVENTS(DyingOwner, memory_kind::anonymous);

} // namespace

} // namespace odp_test
