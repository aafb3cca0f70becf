// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// What a device's fault may do in the context of the access: anything but wait for a disk. The
// driver's other work would wait along, and so would the owner, whose mmap_lock is held. Such a
// fault is queued. And whoever does it, the owner's control group has the bill.

#include "child.hpp"
#include "control_group.hpp"
#include "events.hpp"
#include "scratch.hpp"
#include "swap.hpp"

#include <sys/mman.h>
#include <sys/resource.h>

#include <algorithm>
#include <span>
#include <utility>
#include <vector>

namespace odp_test {

namespace {

/// Faults that waited for a disk in this thread's context.
long waits_for_disk() {
    rusage usage{};
    checked(getrusage(RUSAGE_THREAD, &usage), "asking for this thread's faults");
    return usage.ru_majflt;
}

/// A file on a disk, none of it in the page cache, and nothing that would be read ahead.
class FileOnDisk : public MemoryEvents {
  protected:
    FileOnDisk() {
        file content = make_file(kind());
        std::vector<std::uint8_t> data(page(npages));
        fill_pattern(data, seed);
        content.write(data, 0);
        content.leave_page_cache();
        map_file(std::move(content));
        area.map.advise(MADV_RANDOM);
    }
};

TEST_P(FileOnDisk, OnlyWhatIsNotInThePageCacheIsQueued) {
    const std::uint64_t queued = counter("faults_queued");
    const long waits = waits_for_disk();
    EXPECT_TRUE(reads(5, 1, seed));
    EXPECT_EQ(counter("faults_queued"), queued + 1);
    EXPECT_EQ(waits_for_disk(), waits);

    // In the page cache now, and in nobody's page table.
    std::vector<std::uint8_t> data(page(1));
    area.backing.read(data, page(10));
    const std::uint64_t faults = counter("faults");
    EXPECT_TRUE(reads(10, 1, seed));
    EXPECT_EQ(counter("faults"), faults + 1);
    EXPECT_EQ(counter("faults_queued"), queued + 1) << "a page that was there";
}

TEST_P(FileOnDisk, OwnersControlGroupPays) {
    constexpr std::size_t length = std::size_t{16} << 20;
    constexpr std::size_t other_files = std::size_t{1} << 20; // and what is counted late
    file content = make_file(kind());
    std::vector<std::uint8_t> data(length);
    fill_pattern(data, seed);
    content.write(data, 0);
    content.leave_page_cache();
    const control_group group;
    child owner([&] {
        group.enter();
        const auto own = make_access(path());
        const mapping map(length, PROT_READ, MAP_SHARED, content.descriptor());
        std::ranges::fill(data, std::uint8_t{0});
        for (std::size_t start = 0; start < length; start += memory_access::longest)
            if (own->read(map.data() + start,
                          std::span(data).subspan(start, memory_access::longest)) !=
                access_result::done)
                return 1;
        return compare_pattern(data, seed).wrong == 0 ? 0 : 2;
    });
    EXPECT_EQ(owner.wait(), 0);
    EXPECT_GE(group.statistic("file"), length - other_files);
}

ODP_EVENTS(FileOnDisk, memory_kind::ext4, memory_kind::xfs);

/// Shared memory that went to swap; with private memory mm can tell from the page table.
class SharedMemoryInSwap : public MemoryEvents {};

TEST_P(SharedMemoryInSwap, IsQueued) {
    const swap_file swap;
    store(0, npages, seed);
    swap_out(area.map);
    const std::uint64_t queued = counter("faults_queued");
    const long waits = waits_for_disk();
    EXPECT_TRUE(reads(5, 1, seed));
    EXPECT_EQ(counter("faults_queued"), queued + 1);
    EXPECT_EQ(waits_for_disk(), waits);

    area.map.advise(MADV_POPULATE_READ);
    area.map.advise(MADV_DONTNEED); // there, and in nobody's page table
    EXPECT_TRUE(reads(10, 1, seed));
    EXPECT_EQ(counter("faults_queued"), queued + 1) << "a page that was there";
}

ODP_EVENTS(SharedMemoryInSwap, memory_kind::tmpfs, memory_kind::memfd);

/// A block device, whose node is in a tmpfs.
class BlockDevice : public MemoryEvents {
  protected:
    BlockDevice() { map_file(device.open()); }

    const loop_device device{page(npages)};
};

TEST_P(BlockDevice, WriteIsQueued) {
    area.map.advise(MADV_POPULATE_READ); // so that only the permission is missing
    const std::uint64_t queued = counter("faults_queued");
    write(5, 1, seed);
    EXPECT_EQ(counter("faults_queued"), queued + 1);
    EXPECT_TRUE(shows(5, 1, seed));
    EXPECT_TRUE(stored(device.open(), 5, 1, seed));
}

ODP_EVENTS(BlockDevice, memory_kind::ext4); // where the file behind it is

} // namespace

} // namespace odp_test
