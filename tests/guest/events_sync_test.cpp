// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// MAP_SYNC: whoever may write to a page may rely on the file system finding it again. So a device
// may not write before the file system was asked. What a loss of power would leave is seen in a
// copy of the persistent memory, taken at once after the write, without any call that writes back.

#include "events.hpp"
#include "scratch.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <optional>

namespace odp_test {

namespace {

class SyncMapping : public MemoryEvents {
  protected:
    SyncMapping() {
        allow_in_log("unable to guarantee persistence of writes");
        scratch.emplace(kind());
        // With a name: a file without one is gone after the crash by right.
        file content(checked(open((scratch->directory() + name).c_str(),
                                  O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600),
                             "creating a file"));
        content.truncate(page(npages));
        checked(fsync(content.descriptor()), "fsync of an empty file");
        map_file(std::move(content), MAP_SHARED_VALIDATE | MAP_SYNC);
    }

    static constexpr const char *name = "/written";
    std::optional<scratch_mount> scratch;
};

TEST_P(SyncMapping, WhatWasWrittenIsFoundAfterACrash) {
    // The mirror has the hole, which it may read.
    EXPECT_TRUE(reads_zeros(0, npages));
    write(0, npages, seed);
    const crashed_copy left(*scratch);
    const file found(checked(open((left.directory() + name).c_str(), O_RDONLY | O_CLOEXEC),
                             "opening the file after the crash"));
    EXPECT_TRUE(stored(found, 0, npages, seed));
}

// The block is another one after the clone, and that has to be found again, too.
TEST_P(SyncMapping, WriteAfterWritebackAsksAgain) {
    write(0, npages, seed);
    checked(msync(area.map.data(), area.map.size(), MS_SYNC), "writing back");
    area.backing.punch_hole(page(4), page(2));
    checked(fsync(area.backing.descriptor()), "fsync");
    EXPECT_TRUE(reads_zeros(4, 2));
    write(3, 3, seed + 1);
    const crashed_copy left(*scratch);
    const file found(checked(open((left.directory() + name).c_str(), O_RDONLY | O_CLOEXEC),
                             "opening the file after the crash"));
    EXPECT_TRUE(stored(found, 0, 3, seed));
    EXPECT_TRUE(stored(found, 3, 3, seed + 1));
    EXPECT_TRUE(stored(found, 6, npages - 6, seed));
}

ODP_EVENTS(SyncMapping, memory_kind::ext4_dax, memory_kind::xfs_dax);

} // namespace

} // namespace odp_test
