// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// What the test device makes of callers that are wrong, or newer or older than it, and what its
// bench counts. The fixture checks that the kernel's log stays silent.

#include "child.hpp"
#include "fixture.hpp"
#include "testdev.hpp"

#include <fcntl.h>
#include <linux/capability.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <limits>
#include <vector>

namespace odp_test {

namespace {

class TestDeviceMisuse : public device_test {};

TEST_F(TestDeviceMisuse, OnlyRootOpensIt) {
    struct stat node{};
    checked(stat(test_device::path, &node), "looking at the device's node");
    EXPECT_EQ(node.st_mode & 0777U, 0600U);
    EXPECT_EQ(node.st_uid, 0U);
    child powerless([] {
        __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
        __user_cap_data_struct none[2]{};
        checked(syscall(SYS_capset, &header, none), "dropping capabilities");
        return open(test_device::path, O_RDWR) == -1 ? errno : 0;
    });
    EXPECT_EQ(powerless.wait(), EPERM);
}

TEST_F(TestDeviceMisuse, StructureSizesAreChecked) {
    struct {
        odp_test_window_create known;
        std::uint64_t unknown[4];
    } longer{};
    auto &create = longer.known;
    create.flags = ODP_TEST_WINDOW_WHOLE;

    create.size = sizeof longer;
    EXPECT_EQ(dev.raw_command(ODP_TEST_WINDOW_CREATE, &longer), 0) << "all unknown members are 0";
    longer.unknown[2] = 1;
    EXPECT_EQ(dev.raw_command(ODP_TEST_WINDOW_CREATE, &longer), E2BIG);
    create.size = sizeof create - 1;
    EXPECT_EQ(dev.raw_command(ODP_TEST_WINDOW_CREATE, &longer), EINVAL);
    create.size = 0;
    EXPECT_EQ(dev.raw_command(ODP_TEST_WINDOW_CREATE, &longer), EINVAL);
    create.size = 0xffff'ffff;
    EXPECT_EQ(dev.raw_command(ODP_TEST_WINDOW_CREATE, &longer), E2BIG);
    EXPECT_EQ(dev.raw_command(ODP_TEST_WINDOW_CREATE, nullptr), EFAULT);
    EXPECT_EQ(counter("windows"), 1U);
}

TEST_F(TestDeviceMisuse, UnknownCommandsAreRefused) {
    odp_test_bench anything{};
    EXPECT_EQ(dev.command(_IO(ODP_TEST_TYPE, 0x3f), anything), ENOTTY);
    EXPECT_EQ(dev.command(_IO(ODP_TEST_TYPE, 0x7f), anything), ENOTTY);
    EXPECT_EQ(dev.command(_IO('X', 0x40), anything), ENOTTY);
    EXPECT_EQ(dev.command(_IOWR(ODP_TEST_TYPE, 0x40, odp_test_window_create), anything), ENOTTY);
}

TEST_F(TestDeviceMisuse, WindowIsNotMadeWhenItsNumberCannotBeTold) {
    const mapping map(page_size(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
    auto *const create = reinterpret_cast<odp_test_window_create *>(map.data());
    create->size = sizeof *create;
    create->flags = ODP_TEST_WINDOW_WHOLE;
    map.protect(PROT_READ);
    EXPECT_EQ(dev.raw_command(ODP_TEST_WINDOW_CREATE, create), EFAULT);
    EXPECT_EQ(counter("windows"), 0U);
    // The number is free again.
    EXPECT_EQ(mirror_window(dev).id(), 1U);
}

TEST_F(TestDeviceMisuse, NumbersThatDoNotExistAreNotFound) {
    const mirror_window window(dev);
    test_device other; // whose numbers are its own
    for (const std::uint32_t id : {0U, window.id() + 1, 0x7fff'ffffU, 0xffff'ffffU}) {
        odp_test_window_destroy destroy{};
        destroy.window = id;
        EXPECT_EQ(dev.command(ODP_TEST_WINDOW_DESTROY, destroy), ENOENT) << id;
        odp_test_access access{};
        access.window = id;
        EXPECT_EQ(dev.command(ODP_TEST_READ, access), ENOENT) << id;
        EXPECT_EQ(dev.command(ODP_TEST_WRITE, access), ENOENT) << id;
        EXPECT_EQ(dev.command(ODP_TEST_FLUSH, access), ENOENT) << id;
        odp_test_threads threads{};
        threads.run = id;
        EXPECT_EQ(dev.command(ODP_TEST_THREADS_COUNT, threads), ENOENT) << id;
        EXPECT_EQ(dev.command(ODP_TEST_THREADS_STOP, threads), ENOENT) << id;
    }
    odp_test_window_destroy destroy{};
    destroy.window = window.id();
    EXPECT_EQ(other.command(ODP_TEST_WINDOW_DESTROY, destroy), ENOENT);
}

TEST_F(TestDeviceMisuse, BuffersOfTheCallerAreChecked) {
    const mapping map = anonymous(64);
    const mirror_window window(dev);
    odp_test_access access{};
    access.window = window.id();
    access.iova = whole_iova(map.data());
    access.length = map.size();
    access.buffer = 0xffff'8880'0000'0000;
    EXPECT_EQ(dev.command(ODP_TEST_READ, access), EFAULT);
    EXPECT_EQ(dev.command(ODP_TEST_WRITE, access), EFAULT);
    EXPECT_EQ(access.done, 0U);
    // A buffer that ends too early: what was done before counts.
    mapping buffer = anonymous(32);
    access.buffer = whole_iova(buffer.data());
    EXPECT_EQ(dev.command(ODP_TEST_WRITE, access), EFAULT);
    EXPECT_GT(access.done, 0U);
    EXPECT_LE(access.done, buffer.size());
    // The longest there is, into a buffer that wraps.
    access.iova = 0;
    access.length = std::numeric_limits<std::uint64_t>::max();
    access.buffer = access.length - 4;
    EXPECT_EQ(dev.command(ODP_TEST_WRITE, access), EFAULT);
    EXPECT_EQ(dev.command(ODP_TEST_READ, access), EACCES) << "nothing is mapped at 0";
    access.length = 0;
    EXPECT_EQ(dev.command(ODP_TEST_READ, access), 0);
}

TEST_F(TestDeviceMisuse, UnknownFlagsAndValuesAreRefused) {
    const mirror_window window(dev);
    odp_test_window_create create{};
    create.flags = 0x8000'0000;
    create.length = 1;
    EXPECT_EQ(dev.command(ODP_TEST_WINDOW_CREATE, create), EINVAL);
    create = {};
    create.flags = ODP_TEST_WINDOW_WHOLE;
    create.length = 1;
    EXPECT_EQ(dev.command(ODP_TEST_WINDOW_CREATE, create), EINVAL);
    odp_test_prefetch prefetch{};
    prefetch.window = window.id();
    EXPECT_EQ(dev.command(ODP_TEST_PREFETCH, prefetch), EINVAL) << "length 0";
    prefetch.length = 1;
    prefetch.mode = ODP_TEST_PREFETCH_PRESENT + 1;
    EXPECT_EQ(dev.command(ODP_TEST_PREFETCH, prefetch), EINVAL);
    prefetch.mode = 0;
    prefetch.flags = 2;
    EXPECT_EQ(dev.command(ODP_TEST_PREFETCH, prefetch), EINVAL);
    odp_test_atomic atomic{};
    atomic.window = window.id();
    atomic.op = ODP_TEST_COMPARE_SWAP + 1;
    EXPECT_EQ(dev.command(ODP_TEST_ATOMIC, atomic), EINVAL);
}

TEST_F(TestDeviceMisuse, ThreadsThatMakeNoSenseAreNotStarted) {
    const mapping map = anonymous(1);
    const mirror_window window(dev, 0, map.data(), map.size());
    odp_test_threads_start good{};
    good.window = window.id();
    good.length = map.size();
    good.nthreads = 1;
    good.nwords = 1;
    good.flags = ODP_TEST_THREADS_READ;
    const struct {
        std::function<void(odp_test_threads_start &)> spoil;
        int error;
    } cases[] = {
        {[](auto &start) { start.nthreads = 0; }, EINVAL},
        {[](auto &start) { start.nthreads = ODP_TEST_THREADS_MAX + 1; }, EINVAL},
        {[](auto &start) { start.nthreads = 0xffff'ffff; }, EINVAL},
        {[](auto &start) { start.nwords = 0; }, EINVAL},
        {[](auto &start) { start.nwords = ODP_TEST_WORDS_MAX + 1; }, EINVAL},
        {[](auto &start) { start.iova = 4; }, EINVAL},
        {[](auto &start) { start.length = 0; }, EINVAL},
        {[](auto &start) { start.length += 8; }, ERANGE},
        {[](auto &start) { start.iova = std::uint64_t{0} - 8; }, ERANGE},
        {[](auto &start) { start.flags = 0; }, EINVAL},
        {[](auto &start) { start.flags = ODP_TEST_THREADS_VERIFY; }, EINVAL},
        {[](auto &start) { start.flags |= ODP_TEST_THREADS_ZERO; }, EINVAL},
        {[](auto &start) { start.flags |= 0x100; }, EINVAL},
        {[](auto &start) { start.window += 1; }, ENOENT},
        {[](auto &start) { start.reserved = 1; }, EINVAL},
    };
    for (std::size_t i = 0; i < std::size(cases); ++i) {
        auto wrong = good;
        cases[i].spoil(wrong);
        EXPECT_EQ(dev.command(ODP_TEST_THREADS_START, wrong), cases[i].error) << "case " << i;
    }
    EXPECT_EQ(dev.command(ODP_TEST_THREADS_START, good), 0);
    odp_test_threads counts{};
    counts.run = good.run;
    EXPECT_EQ(dev.command(ODP_TEST_THREADS_STOP, counts), 0);
}

TEST_F(TestDeviceMisuse, ThreadsFindAWordThatIsWrong) {
    const mapping map = anonymous(1);
    const mirror_window window(dev, 0x1000, map.data(), map.size());
    fill_words(map.bytes(), seed, 0x1000);
    map.data()[8 * 100 + 3] ^= 1;
    thread_run run(window, 0x1000, map.size(), seed,
                   {.nthreads = 1,
                    .flags = ODP_TEST_THREADS_READ | ODP_TEST_THREADS_VERIFY,
                    .nwords = ODP_TEST_WORDS_MAX,
                    .pause_us = 0});
    run.await(1);
    const auto counts = run.stop();
    std::uint64_t found = 0;
    std::memcpy(&found, map.data() + std::size_t{8} * 100, sizeof found);
    EXPECT_EQ(counts.mismatches, counts.ok);
    EXPECT_EQ(counts.bad_iova, 0x1000U + 800U);
    EXPECT_EQ(counts.bad_found, found);
    EXPECT_EQ(counts.bad_expected, found ^ (std::uint64_t{1} << 24));
}

class TestDeviceBench : public device_test {
  protected:
    static constexpr std::uint32_t rounds = 64;

    odp_test_bench bench_of(const mirror_window &window, odp_test_bench_op op) {
        odp_test_bench bench{};
        bench.window = window.id();
        bench.stride = page(1);
        bench.length = 8;
        bench.op = op;
        bench.rounds = rounds;
        bench.timeout_ms = mirror_window::timeout_ms;
        bench.cycles = whole_iova(cycles.data());
        return bench;
    }

    std::vector<std::uint64_t> cycles = std::vector<std::uint64_t>(rounds);
};

TEST_F(TestDeviceBench, FiguresAreThoseOfTheRounds) {
    const mapping map = anonymous(rounds);
    const mirror_window window(dev, 0, map.data(), map.size());
    for (const auto op :
         {ODP_TEST_BENCH_EMPTY, ODP_TEST_BENCH_WRITE, ODP_TEST_BENCH_READ, ODP_TEST_BENCH_BARE_READ,
          ODP_TEST_BENCH_BARE_WRITE, ODP_TEST_BENCH_COPY}) {
        auto bench = bench_of(window, op);
        ASSERT_EQ(dev.command(ODP_TEST_BENCH, bench), 0) << op;
        std::ranges::sort(cycles);
        EXPECT_GT(bench.maximum, 0U) << op;
        EXPECT_EQ(bench.minimum, cycles.front()) << op;
        EXPECT_EQ(bench.median, cycles[rounds / 2]) << op;
        EXPECT_EQ(bench.maximum, cycles.back()) << op;
    }
}

TEST_F(TestDeviceBench, BareFaultsAreRealAndMirrorNothing) {
    const mapping map = anonymous(rounds);
    const mirror_window window(dev, 0, map.data(), map.size());
    auto bench = bench_of(window, ODP_TEST_BENCH_BARE_WRITE);
    ASSERT_EQ(dev.command(ODP_TEST_BENCH, bench), 0);
    std::vector<unsigned char> resident(rounds);
    checked(mincore(map.data(), map.size(), resident.data()), "mincore");
    EXPECT_TRUE(std::ranges::all_of(resident, [](unsigned char is) { return (is & 1) != 0; }))
        << "the owner has not got the pages";
    EXPECT_EQ(counter("pages_mapped"), 0U);

    map.advise(MADV_DONTNEED);
    bench.op = ODP_TEST_BENCH_WRITE;
    ASSERT_EQ(dev.command(ODP_TEST_BENCH, bench), 0);
    EXPECT_GE(counter("pages_mapped"), rounds);
    map.protect(PROT_NONE);
    EXPECT_EQ(dev.command(ODP_TEST_BENCH, bench), EACCES);
    bench.op = ODP_TEST_BENCH_BARE_READ;
    EXPECT_EQ(dev.command(ODP_TEST_BENCH, bench), EACCES);
}

TEST_F(TestDeviceBench, BoundsAreChecked) {
    const mapping map = anonymous(rounds);
    const mirror_window window(dev, 0, map.data(), map.size());
    const mirror_window kernel(dev, 0, nullptr, std::numeric_limits<std::uint64_t>::max());
    const auto good = bench_of(window, ODP_TEST_BENCH_READ);
    const struct {
        std::function<void(odp_test_bench &)> spoil;
        int error;
    } cases[] = {
        {[](auto &bench) { bench.rounds = 0; }, EINVAL},
        {[](auto &bench) { bench.rounds = ODP_TEST_ROUNDS_MAX + 1; }, EINVAL},
        {[](auto &bench) { bench.rounds += 1; }, ERANGE},
        {[](auto &bench) { bench.stride = std::uint64_t{1} << 63; }, ERANGE},
        {[](auto &bench) { bench.length = 0; }, EINVAL},
        {[](auto &bench) { bench.length = 4097; }, EINVAL},
        {[](auto &bench) { bench.op = ODP_TEST_BENCH_COPY + 1; }, EINVAL},
        {[](auto &bench) { bench.window += 100; }, ENOENT},
        {[](auto &bench) { bench.cycles = 8; }, EFAULT},
        {[](auto &bench) {
             bench.op = ODP_TEST_BENCH_BARE_READ;
             bench.intent = (ODP_TEST_BARE_PAGES_MAX + 1) * page(1);
         },
         EINVAL},
        {[&](auto &bench) {
             bench.window = kernel.id();
             bench.op = ODP_TEST_BENCH_BARE_READ;
             bench.iova = 0xffff'8880'0000'0000;
         },
         EACCES},
    };
    for (std::size_t i = 0; i < std::size(cases); ++i) {
        auto wrong = good;
        cases[i].spoil(wrong);
        EXPECT_EQ(dev.command(ODP_TEST_BENCH, wrong), cases[i].error) << "case " << i;
    }
}

} // namespace

} // namespace odp_test
