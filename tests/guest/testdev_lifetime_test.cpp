// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// Who may be gone when memory is accessed: the process that owns it, the file of the device, the
// window. And accesses that go on while the memory beside them, or under them, is taken away.

#include "child.hpp"
#include "fixture.hpp"
#include "testdev.hpp"

#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <vector>

namespace odp_test {

namespace {

/// What a child tells its parent, in memory that they share.
struct shared_words {
    shared_words()
        : map(page_size(), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS),
          word(reinterpret_cast<volatile std::uint64_t *>(map.data())) {}

    mapping map;
    volatile std::uint64_t *word;
};

class TestDeviceLifetime : public device_test {
  protected:
    static constexpr std::size_t npages = 16;

    /// A window of another process, used by this one.
    int read_other(std::uint32_t id, std::uint64_t iova, std::span<std::uint8_t> bytes) const {
        odp_test_access access{};
        access.window = id;
        access.iova = iova;
        access.length = bytes.size();
        access.buffer = whole_iova(bytes.data());
        access.timeout_ms = mirror_window::timeout_ms;
        return dev.command(ODP_TEST_READ, access);
    }
};

std::size_t count_threads() {
    std::size_t count = 0;
    for (const auto &entry : std::filesystem::directory_iterator("/proc")) {
        std::string name;
        std::getline(std::ifstream(entry.path() / "comm"), name);
        count += name.starts_with("odp_test/") ? 1U : 0U;
    }
    return count;
}

TEST_F(TestDeviceLifetime, AnotherProcessSeesTheOwnersMemory) {
    // At the same address in both, with different contents: the window's owner decides.
    const mapping map = anonymous(npages);
    fill_pattern(map.bytes(), seed);
    const mirror_window own(dev, 0, map.data(), map.size());
    const shared_words shared;
    shared_flag ready;
    shared_flag finish;
    child owner([&] {
        fill_pattern(map.bytes(), seed + 1);
        shared.word[0] = mirror_window(dev, 0, map.data(), map.size()).release();
        ready.raise();
        finish.await();
        return compare_pattern(map.bytes(page(3), page(1)), seed + 2).wrong == 0 ? 0 : 1;
    });
    ready.await();
    const auto id = static_cast<std::uint32_t>(shared.word[0]);
    std::vector<std::uint8_t> data(map.size());
    EXPECT_EQ(read_other(id, 0, data), 0);
    EXPECT_TRUE(matches(compare_pattern(data, seed + 1)));
    EXPECT_EQ(own.read(0, data), 0);
    EXPECT_TRUE(matches(compare_pattern(data, seed))) << "through the caller's own window";

    std::vector<std::uint8_t> written(page(1));
    fill_pattern(written, seed + 2);
    odp_test_access access{};
    access.window = id;
    access.iova = page(3);
    access.length = written.size();
    access.buffer = whole_iova(written.data());
    access.timeout_ms = mirror_window::timeout_ms;
    EXPECT_EQ(dev.command(ODP_TEST_WRITE, access), 0);
    EXPECT_EQ(access.done, written.size());
    finish.raise();
    EXPECT_EQ(owner.wait(), 0) << "the owner does not see what was written for it";
    EXPECT_TRUE(matches(compare_pattern(map.bytes(), seed))) << "in the caller's own memory";

    EXPECT_EQ(read_other(id, 0, data), EACCES) << "after the owner's exit";
    EXPECT_EQ(read_other(id, page(npages) - 1, std::span(data).first(1)), EACCES);
}

TEST_F(TestDeviceLifetime, ExecEndsTheOldAddressSpace) {
    const mapping map = anonymous(npages);
    const shared_words shared;
    shared_flag ready;
    child owner([&] {
        map.data()[0] = 1;
        mirror_window window(dev, 0, map.data(), map.size());
        std::vector<std::uint8_t> data(map.size());
        shared.word[1] = static_cast<std::uint64_t>(window.read(0, data));
        shared.word[0] = window.release();
        ready.raise();
        execlp("sleep", "sleep", "30", nullptr);
        return 1;
    });
    ready.await();
    EXPECT_EQ(shared.word[1], 0U);
    const auto id = static_cast<std::uint32_t>(shared.word[0]);
    std::vector<std::uint8_t> data(8);
    EXPECT_TRUE(becomes_true([&] { return read_other(id, 0, data) == EACCES; }))
        << "the memory of before the exec is still there";
    owner.kill();
}

TEST_F(TestDeviceLifetime, OwnerDiesWhileThreadsAccessIt) {
    const mapping map = anonymous(npages);
    const shared_words shared;
    shared_flag ready;
    child owner([&] {
        fill_words(map.bytes(), seed, 0);
        mirror_window window(dev, 0, map.data(), map.size());
        odp_test_threads_start start{};
        start.window = window.id();
        start.length = map.size();
        start.seed = seed;
        start.nthreads = 3;
        start.nwords = 64;
        start.flags = ODP_TEST_THREADS_READ | ODP_TEST_THREADS_WRITE | ODP_TEST_THREADS_VERIFY;
        shared.word[1] = static_cast<std::uint64_t>(dev.command(ODP_TEST_THREADS_START, start));
        shared.word[0] = start.run;
        window.release();
        ready.raise();
        pause();
        return 1;
    });
    ready.await();
    ASSERT_EQ(shared.word[1], 0U);
    odp_test_threads counts{};
    counts.run = static_cast<std::uint32_t>(shared.word[0]);
    EXPECT_TRUE(becomes_true(
        [&] { return dev.command(ODP_TEST_THREADS_COUNT, counts) == 0 && counts.ok > 500; }));
    EXPECT_EQ(counts.faults, 0U);
    owner.kill();
    EXPECT_TRUE(becomes_true([&] {
        return dev.command(ODP_TEST_THREADS_COUNT, counts) == 0 && counts.faults > 20;
    })) << "the threads still reach the memory of a process that is gone";
    EXPECT_EQ(dev.command(ODP_TEST_THREADS_STOP, counts), 0);
    EXPECT_EQ(counts.mismatches, 0U);
    EXPECT_EQ(counts.errors, 0U);
    EXPECT_EQ(dev.command(ODP_TEST_THREADS_STOP, counts), ENOENT);
}

TEST_F(TestDeviceLifetime, CloseStopsThreads) {
    const mapping map = anonymous(npages);
    {
        test_device other;
        odp_test_threads_start start{};
        start.window = mirror_window(other).release();
        start.iova = whole_iova(map.data());
        start.length = map.size();
        start.nthreads = 4;
        start.nwords = 1;
        start.flags = ODP_TEST_THREADS_WRITE;
        ASSERT_EQ(other.command(ODP_TEST_THREADS_START, start), 0);
        EXPECT_TRUE(becomes_true([] { return count_threads() == 4; })) << count_threads();
        EXPECT_EQ(counter("windows"), 1U);
    }
    // A stopped thread has told so, but may have to be reaped still.
    EXPECT_TRUE(becomes_true([] { return count_threads() == 0; })) << "threads outlive the file";
    EXPECT_EQ(counter("windows"), 0U);
}

TEST_F(TestDeviceLifetime, LastCloseIsInTheForkedChild) {
    const mapping map = anonymous(npages);
    fill_pattern(map.bytes(), seed);
    shared_flag closed;
    const mirror_window window(dev);
    const std::uint32_t id = window.id();
    child heir([&] {
        closed.await();
        // The window shows the parent's memory, which the parent has changed since.
        std::vector<std::uint8_t> data(map.size());
        return read_other(id, whole_iova(map.data()), data) == 0 &&
                       compare_pattern(data, seed + 1).wrong == 0
                   ? 0
                   : 1;
    });
    fill_pattern(map.bytes(), seed + 1);
    dev.close();
    EXPECT_EQ(counter("windows"), 1U) << "the child still has the device open";
    closed.raise();
    EXPECT_EQ(heir.wait(), 0);
    EXPECT_TRUE(becomes_true([] { return counter("windows") == 0; }));
}

TEST_F(TestDeviceLifetime, WindowDestroyedUnderThreadsStaysForThem) {
    const mapping map = anonymous(npages);
    fill_words(map.bytes(), seed, 0);
    mirror_window window(dev, 0, map.data(), map.size());
    thread_run run(window, 0, map.size(), seed, {});
    run.await(100);
    odp_test_window_destroy destroy{};
    destroy.window = window.release();
    EXPECT_EQ(dev.command(ODP_TEST_WINDOW_DESTROY, destroy), 0);
    EXPECT_EQ(dev.command(ODP_TEST_WINDOW_DESTROY, destroy), ENOENT);
    run.await(run.count().ok + 100);
    EXPECT_TRUE(all_right(run.stop()));
    EXPECT_EQ(counter("windows"), 0U);
}

/// Where threads work while the test disturbs memory around them.
class TestDeviceThreads : public TestDeviceLifetime {
  protected:
    /// @flags beside reading and verifying. Runs @disturb until the threads have done enough.
    odp_test_threads run_during(const mapping &map, std::uint32_t flags,
                                const std::function<void()> &disturb) {
        const mirror_window window(dev, 0, map.data(), map.size());
        thread_run run(window, 0, map.size(), seed,
                       {.nthreads = 3,
                        .flags = flags | ODP_TEST_THREADS_READ | ODP_TEST_THREADS_VERIFY,
                        .nwords = 96,
                        .pause_us = 0});
        int rounds = 0;
        EXPECT_TRUE(becomes_true(
            [&] {
                disturb();
                ++rounds;
                return run.count().ok >= accesses && rounds >= 50;
            },
            std::chrono::seconds(60)));
        return run.stop();
    }

    static constexpr std::uint64_t accesses = 3000;
};

TEST_F(TestDeviceThreads, MemoryTakenAwayBesideThemDisturbsNothing) {
    // One chunk: the disturbed pages lie behind those that the threads use.
    const mapping both = anonymous(2 * npages);
    const auto used = both.bytes(0, page(npages));
    fill_words(used, seed, 0);
    const mirror_window whole(dev);
    std::vector<std::uint8_t> zeros(page(npages));
    std::vector<std::uint8_t> found(page(npages));
    const mirror_window window(dev, 0, used.data(), used.size());
    thread_run run(window, 0, used.size(), seed, {.nthreads = 3, .nwords = 96, .pause_us = 0});
    int rounds = 0;
    while (run.count().ok < accesses || rounds < 50) {
        ASSERT_LT(++rounds, 20'000) << "the threads do not get anywhere";
        auto *const other = both.data() + page(npages);
        fill_pattern({other, page(npages)}, seed);
        ASSERT_EQ(whole.read(whole_iova(other), found), 0);
        ASSERT_TRUE(matches(compare_pattern(found, seed)));
        checked(madvise(other, page(npages), MADV_DONTNEED), "MADV_DONTNEED");
        ASSERT_EQ(whole.read(whole_iova(other), found), 0);
        ASSERT_TRUE(matches(compare_bytes(found, zeros)));
    }
    EXPECT_TRUE(all_right(run.stop()));
    std::vector<std::uint8_t> expected(page(npages));
    fill_words(expected, seed, 0);
    EXPECT_TRUE(matches(compare_bytes(used, expected)));
}

TEST_F(TestDeviceThreads, MemoryTakenAwayUnderThemIsZeroOrRight) {
    const mapping map = anonymous(npages);
    const auto counts = run_during(map, ODP_TEST_THREADS_WRITE | ODP_TEST_THREADS_ZERO, [&] {
        checked(madvise(map.data() + page(random.between(0, npages - 1)), page(1), MADV_DONTNEED),
                "MADV_DONTNEED");
    });
    EXPECT_TRUE(all_right(counts));
}

// Threads and the CPU write the same words, so a page that was freed and used elsewhere shows.
TEST_F(TestDeviceThreads, ReplacedMemoryIsLeftAlone) {
    const mapping map = anonymous(npages);
    fill_words(map.bytes(), seed, 0);
    const mapping bystander = anonymous(npages);
    const auto counts = run_during(map, ODP_TEST_THREADS_WRITE, [&] {
        // Every page of the mapping is a new one afterwards, and the old ones are free.
        mapping fresh = anonymous(npages);
        fill_words(fresh.bytes(), seed, 0);
        checked(reinterpret_cast<std::uintptr_t>(mremap(fresh.data(), fresh.size(), fresh.size(),
                                                        MREMAP_MAYMOVE | MREMAP_FIXED, map.data())),
                "moving memory over the window");
        fill_pattern(bystander.bytes(), seed);
        EXPECT_TRUE(matches(compare_pattern(bystander.bytes(), seed)));
        bystander.advise(MADV_DONTNEED);
    });
    // Between unmapping the old and mapping the new there is nothing.
    EXPECT_EQ(counts.mismatches, 0U) << all_right(counts).message();
    EXPECT_EQ(counts.errors, 0U);
}

TEST_F(TestDeviceLifetime, CallerThatWaitsForAPageCanBeKilled) {
    const mapping map = anonymous(1);
    const int descriptor = static_cast<int>(syscall(SYS_userfaultfd, O_CLOEXEC));
    const file handler(checked(descriptor, "opening a userfaultfd"));
    uffdio_api api{.api = UFFD_API, .features = 0, .ioctls = 0};
    checked(ioctl(handler.descriptor(), UFFDIO_API, &api), "UFFDIO_API");
    uffdio_register registration{.range = {.start = whole_iova(map.data()), .len = page(1)},
                                 .mode = UFFDIO_REGISTER_MODE_MISSING,
                                 .ioctls = 0};
    checked(ioctl(handler.descriptor(), UFFDIO_REGISTER, &registration), "UFFDIO_REGISTER");

    const mirror_window window(dev, 0, map.data(), map.size());
    std::uint8_t byte = 0;
    odp_test_access access{};
    access.window = window.id();
    access.length = 1;
    access.buffer = whole_iova(&byte);
    EXPECT_EQ(dev.command(ODP_TEST_READ, access), EAGAIN) << "nobody has filled the page";
    access.timeout_ms = 150;
    EXPECT_EQ(dev.command(ODP_TEST_READ, access), EAGAIN);
    EXPECT_GT(access.retries, 0U);

    shared_flag begun;
    child caller([&] {
        begun.raise();
        access.timeout_ms = 60'000;
        return dev.command(ODP_TEST_READ, access);
    });
    begun.await();
    usleep(100'000);
    caller.kill(); // throws if it does not go
    // The page comes, and everybody goes on.
    std::vector<std::uint8_t> content(page(1), 0x5a);
    uffdio_copy copy{.dst = whole_iova(map.data()),
                     .src = whole_iova(content.data()),
                     .len = page(1),
                     .mode = 0,
                     .copy = 0};
    checked(ioctl(handler.descriptor(), UFFDIO_COPY, &copy), "UFFDIO_COPY");
    EXPECT_EQ(window.read(0, {&byte, 1}), 0);
    EXPECT_EQ(byte, 0x5a);
}

} // namespace

} // namespace odp_test
