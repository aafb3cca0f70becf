// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// Pages that get another place in memory while a device works on them: moved between NUMA nodes,
// by compaction, into a huge page and out of it, or for a device that keeps memory of its own. A
// write that went to the old place would be lost, so every one of them is looked for.

#include "events.hpp"
#include "patience.hpp"
#include "testdev.hpp"

#include <fcntl.h>
#include <linux/mempolicy.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <format>
#include <fstream>
#include <functional>
#include <thread>

namespace odp_test {

namespace {

using namespace std::chrono_literals;

constexpr int near_node = 0; // with the processors
constexpr int far_node = 1;

/// The node of each page, after moving it to @node; without a node, where it is.
std::vector<int> nodes_of(std::span<void *> pages, const int *node = nullptr) {
    std::vector<int> status(pages.size(), -1);
    const std::vector<int> wanted(pages.size(), node != nullptr ? *node : 0);
    checked(syscall(SYS_move_pages, 0, pages.size(), pages.data(),
                    node != nullptr ? wanted.data() : nullptr, status.data(), MPOL_MF_MOVE),
            "moving pages to another node");
    return status;
}

std::uint64_t statistic(const std::string &wanted) {
    std::ifstream statistics("/proc/vmstat");
    std::string name;
    std::uint64_t value = 0;
    while (statistics >> name >> value)
        if (name == wanted)
            return value;
    throw std::runtime_error("/proc/vmstat has no " + wanted);
}

void set(const std::string &path, const std::string &value) {
    std::ofstream attribute(path);
    attribute << value;
    attribute.close();
    if (!attribute)
        throw std::runtime_error(std::format("writing {} to {} failed", value, path));
}

class MovableMemory : public MemoryEvents {
  protected:
    std::vector<void *> pages() const {
        std::vector<void *> all;
        for (std::size_t i = 0; i < npages; ++i)
            all.push_back(va(i));
        return all;
    }

    /// Writes one thing after the other and looks for it, while @disturb runs again and again; for
    /// longer if that was not @enough, which on a busy machine it may not be.
    void work_during(
        const std::function<void()> &disturb,
        const std::function<bool()> &enough = [] { return true; }) {
        const int rounds = kind() == memory_kind::hugetlb ? 5 : 30; // 2 MiB take long to copy
        std::atomic<bool> done = false;
        std::string trouble;
        {
            std::jthread disturber([&] {
                try {
                    while (!done)
                        disturb();
                } catch (const std::exception &error) {
                    trouble = error.what();
                }
            });
            const auto end = std::chrono::steady_clock::now() + patiently(10s);
            const auto goes_on = [&](int round) {
                return round < rounds || (!enough() && std::chrono::steady_clock::now() < end);
            };
            for (int round = 0; goes_on(round) && !HasFailure(); ++round) {
                const std::uint64_t now = seed + static_cast<std::uint64_t>(round);
                write(0, npages, now);
                EXPECT_TRUE(shows(0, npages, now)) << "in round " << round << ", by the CPU";
                EXPECT_TRUE(reads(0, npages, now)) << "in round " << round;
            }
            done = true;
        }
        EXPECT_EQ(trouble, "");
    }
};

TEST_P(MovableMemory, MovedBetweenNodes) {
    write(0, npages, seed);
    auto all = pages();
    for (const int node : {far_node, near_node}) {
        // A page that somebody looks at right now stays where it is; it is asked again.
        ASSERT_TRUE(becomes_true([&] {
            return std::ranges::count(nodes_of(all, &node), node) ==
                   static_cast<std::ptrdiff_t>(npages);
        }));
        EXPECT_TRUE(reads(0, npages, seed)) << "on node " << node;
        write(3, 4, seed);
    }
    std::atomic<std::size_t> moved = 0;
    const auto move = [&] {
        for (const int node : {far_node, near_node}) {
            const auto found = nodes_of(all, &node);
            moved += static_cast<std::size_t>(std::ranges::count(found, node));
        }
    };
    work_during(move, [&] { return moved >= npages; });
    EXPECT_GE(moved, npages) << "too few pages were moved meanwhile";
}

TEST_P(MovableMemory, Compaction) {
    write(0, npages, seed);
    const auto compact = [] {
        // Every second page of it is free, which is what compaction is for.
        constexpr std::size_t length = std::size_t{16} << 20;
        const mapping holes(length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
        holes.advise(MADV_NOHUGEPAGE);
        std::ranges::fill(holes.bytes(), std::uint8_t{1});
        for (std::size_t start = 0; start < length; start += 2 * page_size())
            checked(madvise(holes.data() + start, page_size(), MADV_DONTNEED), "MADV_DONTNEED");
        set("/proc/sys/vm/compact_memory", "1");
    };
    const std::uint64_t before = statistic("pgmigrate_success");
    const bool moved = becomes_true(
        [&] {
            work_during(compact);
            return HasFailure() || statistic("pgmigrate_success") > before;
        },
        std::chrono::seconds(5));
    // Whether there is anything to gain is mm's to decide; MovedBetweenNodes leaves it no choice.
    if (!moved)
        GTEST_SKIP() << "mm found nothing worth moving in this guest's memory as it is now";
}

ODP_EVENTS(MovableMemory, memory_kind::anonymous, memory_kind::tmpfs, memory_kind::ext4,
           memory_kind::xfs, memory_kind::btrfs, memory_kind::hugetlb);

/// Private memory, which mm moves on its own.
class MovedMemory : public MovableMemory {};

// Huge pages are made of the pages around the area's, and split again.
TEST_P(MovedMemory, CollapseAndSplit) {
    constexpr std::size_t huge = std::size_t{2} << 20;
    area.map =
        mapping(huge, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0, lonely_va());
    area.map.advise(MADV_NOHUGEPAGE);
    store(0, npages, seed);
    area.map.advise(MADV_HUGEPAGE);
    const std::uint64_t before = counter("huge_mapped");
    int collapsed = 0;
    work_during([&] {
        // A page that the device is just about to make dirty can be in the way.
        collapsed += madvise(area.map.data(), huge, MADV_COLLAPSE) == 0 ? 1 : 0;
        usleep(5000);
        checked(madvise(area.map.data() + huge / 2, page_size(), MADV_DONTNEED), "MADV_DONTNEED");
    });
    EXPECT_GT(collapsed, 0) << "no huge page was made";
    EXPECT_GT(counter("huge_mapped"), before) << "the mirror never saw one";
}

// Balancing takes pages from the page tables to see who touches them, and brings them to who does.
TEST_P(MovedMemory, NumaHinting) {
    const std::string knobs = "/sys/kernel/debug/sched/numa_balancing/";
    set(knobs + "scan_delay_ms", "1");
    set(knobs + "scan_period_min_ms", "10");
    auto all = pages();
    write(0, npages, seed);
    const int far = far_node;
    nodes_of(all, &far);
    const std::uint64_t hints = statistic("numa_hint_faults");
    set("/proc/sys/kernel/numa_balancing", "1");
    std::uint64_t now = seed;
    const auto come = [&] {
        const auto found = nodes_of(all);
        return std::ranges::count(found, near_node) == static_cast<std::ptrdiff_t>(npages);
    };
    const bool moved = becomes_true(
        [&] {
            // Busy for a while, because scanning takes place in the process's own time.
            for (int i = 0; i < 20; ++i) {
                write(0, npages, ++now);
                EXPECT_TRUE(shows(0, npages, now));
                EXPECT_TRUE(reads(0, npages, now));
            }
            return HasFailure() || come();
        },
        std::chrono::seconds(40));
    set("/proc/sys/kernel/numa_balancing", "0");
    EXPECT_TRUE(moved) << "the pages stayed on the far node";
    EXPECT_GT(statistic("numa_hint_faults"), hints);
}

/// A device of the kernel's own test, with memory that the CPU cannot reach.
class private_memory {
  public:
    static bool exists() {
        return access(path, F_OK) == 0 || std::system("modprobe -q test_hmm") == 0;
    }

    /// Moves @npages pages there; how many went.
    static std::uint64_t take(const void *va, std::size_t npages) {
        const file device(checked(open(path, O_RDWR | O_CLOEXEC), "opening test_hmm's device"));
        const std::vector<std::uint8_t> copy(npages * page_size());
        // As lib/test_hmm_uapi.h has it, which is not installed.
        struct {
            std::uint64_t va;
            std::uint64_t copy;
            std::uint64_t npages;
            std::uint64_t moved;
            std::uint64_t faults;
        } command{reinterpret_cast<std::uintptr_t>(va),
                  reinterpret_cast<std::uintptr_t>(copy.data()), npages, 0, 0};
        checked(ioctl(device.descriptor(), _IOWR('H', 0x02, command), &command),
                "migrating pages to a device");
        return command.moved;
    }

  private:
    static constexpr const char *path = "/dev/hmm_dmirror0";
};

TEST_P(MovedMemory, DevicePrivateMemoryComesBack) {
    if (!private_memory::exists())
        GTEST_SKIP() << "this kernel has no test_hmm, whose device memory this is about; the lab's "
                        "debug kernel has";
    area.map.advise(MADV_NOHUGEPAGE);
    write(0, npages, seed);
    ASSERT_EQ(private_memory::take(area.map.data(), npages), npages);
    EXPECT_TRUE(reads(0, npages, seed));
    ASSERT_EQ(private_memory::take(area.map.data(), npages), npages);
    write(2, 3, seed + 1);
    EXPECT_TRUE(shows(2, 3, seed + 1));
    EXPECT_TRUE(shows(0, 2, seed));
    EXPECT_TRUE(shows(5, npages - 5, seed));
}

ODP_EVENTS(MovedMemory, memory_kind::anonymous);

} // namespace

} // namespace odp_test
