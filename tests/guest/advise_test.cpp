// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// ibv_advise_mr(3), called as the kernel has it because not every provider does. Its manual page
// says what each advice does and which error is which; how many pages came is read from the MR's
// statistics and the mirror's, and what did not happen from mincore().

#include "advise.hpp"

#include "child.hpp"
#include "fixture.hpp"
#include "resources.hpp"
#include "user_faults.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <format>
#include <limits>
#include <new>
#include <vector>

namespace odp_test {

namespace {

constexpr auto read_advice = IB_UVERBS_ADVISE_MR_ADVICE_PREFETCH;
constexpr auto write_advice = IB_UVERBS_ADVISE_MR_ADVICE_PREFETCH_WRITE;
constexpr auto present_advice = IB_UVERBS_ADVISE_MR_ADVICE_PREFETCH_NO_FAULT;
constexpr std::array all_advice{read_advice, write_advice, present_advice};
constexpr std::uint32_t wait_for_it = IB_UVERBS_ADVISE_MR_FLAG_FLUSH;

class Advise : public verbs_test {
  protected:
    static constexpr std::size_t npages = 16;

    static std::size_t page(std::size_t count) { return count * page_size(); }
    static mapping anonymous(std::size_t count, int flags = 0) {
        mapping map(page(count), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0,
                    lonely_va());
        map.advise(MADV_NOHUGEPAGE);
        return map;
    }
    region over(const mapping &map, int access = odp_access) const {
        return must(region::over(dev, map.data(), map.size(), access));
    }
    int advise_one(ib_uverbs_advise_mr_advice advice, std::uint32_t flags, ibv_sge piece) const {
        return advise(dev, advice, flags, std::array{piece});
    }
    std::uint64_t statistic(const region &mr, const std::string &name) const {
        return report_on_region(dev.name(), mr.mr()->lkey).statistics.at(name);
    }
    static std::size_t resident_pages(const mapping &map) {
        std::vector<unsigned char> present(map.size() / page_size());
        checked(mincore(map.data(), map.size(), present.data()), "mincore");
        return static_cast<std::size_t>(
            std::ranges::count_if(present, [](unsigned char one) { return (one & 1) != 0; }));
    }
    /// With either flag; without it, the errors that are known before anything is done.
    void expect_refused(ib_uverbs_advise_mr_advice advice, ibv_sge piece, int error) const {
        SCOPED_TRACE(std::format("advice {}", static_cast<int>(advice)));
        EXPECT_EQ(advise_one(advice, wait_for_it, piece), error) << "synchronous";
        EXPECT_EQ(advise_one(advice, 0, piece), error) << "asynchronous";
    }

    const mapping map_ = anonymous(npages);
    const region mr_ = over(map_);
};

TEST_F(Advise, PrefetchForReadingMakesPagesReadable) {
    ASSERT_EQ(advise_one(read_advice, wait_for_it, mr_.sge(map_.data(), page(npages))), 0);
    EXPECT_EQ(statistic(mr_, "page_prefetch"), npages);
    connection link(dev);
    const pinned_buffer buffer(dev, page(npages));
    const ibv_sge sge = buffer.mr.sge(buffer.map.data(), page(npages));
    const auto target = mr_.target(map_.data());
    ASSERT_TRUE(completed_with(link.requester.run(operation::read(sge, target)), IBV_WC_SUCCESS));
    EXPECT_EQ(statistic(mr_, "page_faults"), 0U);
    ASSERT_TRUE(completed_with(link.requester.run(operation::write(sge, target)), IBV_WC_SUCCESS));
    EXPECT_EQ(statistic(mr_, "page_faults"), npages) << "it was not for writing";
}

TEST_F(Advise, PrefetchForWritingMakesPagesWritable) {
    ASSERT_EQ(advise_one(write_advice, wait_for_it, mr_.sge(map_.data(), page(npages))), 0);
    EXPECT_EQ(resident_pages(map_), npages);
    connection link(dev);
    const pinned_buffer buffer(dev, page(npages));
    fill_pattern(buffer.map.bytes(), seed);
    ASSERT_TRUE(completed_with(
        link.requester.run(operation::write(buffer.mr.sge(buffer.map.data(), page(npages)),
                                            mr_.target(map_.data()))),
        IBV_WC_SUCCESS));
    EXPECT_EQ(statistic(mr_, "page_faults"), 0U);
    EXPECT_TRUE(matches(compare_pattern(map_.bytes(), seed)));
}

TEST_F(Advise, NoFaultTakesWhatIsThere) {
    fill_pattern(map_.bytes(page(3), page(4)), seed);
    ASSERT_EQ(advise_one(present_advice, wait_for_it, mr_.sge(map_.data(), page(npages))), 0);
    EXPECT_EQ(resident_pages(map_), 4U);
    EXPECT_EQ(read_mirror_counters(getpid()).at("faults"), 0U);
    connection link(dev);
    const pinned_buffer buffer(dev, page(4));
    const ibv_sge sge = buffer.mr.sge(buffer.map.data(), page(4));
    ASSERT_TRUE(
        completed_with(link.requester.run(operation::read(sge, mr_.target(map_.data() + page(3)))),
                       IBV_WC_SUCCESS));
    EXPECT_TRUE(matches(compare_pattern(buffer.map.bytes(), seed)));
    EXPECT_EQ(statistic(mr_, "page_faults"), 0U);
}

// Far more than anybody has mapped takes no longer for that, and makes nothing.
TEST_F(Advise, NoFaultPassesOverWhatIsNotMapped) {
    const mapping map = anonymous(1);
    fill_pattern(map.bytes(), seed);
    const region all = must(region::implicit(dev, odp_access));
    ASSERT_EQ(advise_one(present_advice, wait_for_it, all.sge(map.data(), map.size())), 0);
    EXPECT_EQ(statistic(all, "page_prefetch"), 1U);
    const auto made = [] { return read_mirror_counters(getpid())["chunks_created"]; };
    const std::uint64_t before = made();
    // Its end is mapped; what is before it is not.
    constexpr std::size_t hole = std::size_t{1} << 29;
    const region wide = must(region::implicit(dev, odp_access));
    ASSERT_EQ(
        advise_one(present_advice, wait_for_it, wide.sge(map.data() - hole, hole + map.size())), 0);
    EXPECT_EQ(statistic(wide, "page_prefetch"), 1U);
    EXPECT_EQ(made(), before);
}

TEST_F(Advise, ReadOnlyRegionsAreForReading) {
    const auto read_only = over(map_, IBV_ACCESS_ON_DEMAND | IBV_ACCESS_REMOTE_READ);
    const ibv_sge piece = read_only.sge(map_.data(), page(npages));
    EXPECT_EQ(advise_one(read_advice, wait_for_it, piece), 0);
    EXPECT_EQ(statistic(read_only, "page_prefetch"), npages);
    EXPECT_EQ(advise_one(present_advice, wait_for_it, piece), 0);
    expect_refused(write_advice, piece, EFAULT);
}

TEST_F(Advise, UnknownAdviceIsNotSupported) {
    const ibv_sge piece = mr_.sge(map_.data(), page(1));
    const auto unknown = static_cast<ib_uverbs_advise_mr_advice>(present_advice + 1);
    expect_refused(unknown, piece, EOPNOTSUPP);
}

TEST_F(Advise, UnknownFlagsAreInvalid) {
    for (const auto advice : all_advice)
        EXPECT_EQ(advise_one(advice, wait_for_it << 1, mr_.sge(map_.data(), page(1))), EINVAL);
    EXPECT_EQ(resident_pages(map_), 0U);
}

TEST_F(Advise, KeysThatAreNoOnDemandRegionsAreFaults) {
    const pinned_buffer pinned(dev, page(1));
    const device other; // with a protection domain of its own
    const auto foreign = must(region::over(other, map_.data(), map_.size(), odp_access));
    auto gone = over(map_);
    ibv_sge stale = gone.sge(map_.data(), page(1));
    ASSERT_EQ(gone.deregister(), 0);
    ibv_sge wrong_tag = mr_.sge(map_.data(), page(1));
    wrong_tag.lkey ^= 1;
    for (const auto advice : all_advice) {
        expect_refused(advice, pinned.mr.sge(pinned.map.data(), page(1)), EFAULT);
        expect_refused(advice, foreign.sge(map_.data(), page(1)), EFAULT);
        expect_refused(advice, stale, EFAULT);
        expect_refused(advice, wrong_tag, EFAULT);
        wrong_tag.length = 0;
        expect_refused(advice, wrong_tag, EFAULT);
        wrong_tag.length = static_cast<std::uint32_t>(page(1));
    }
    EXPECT_EQ(resident_pages(map_), 0U);
}

// Of a range that begins or ends outside, nothing is done, not even the part that is inside.
TEST_F(Advise, RangesOutsideTheRegionAreFaults) {
    const auto inner = must(region::over(dev, map_.data() + page(4) + 100, page(4), odp_access));
    const std::uint64_t start = inner.iova(map_.data() + page(4) + 100);
    const std::array outside{inner.sge_at(start - 1, page(1)),
                             inner.sge_at(start + 1, page(4)),
                             inner.sge_at(start + page(4), 1),
                             inner.sge_at(start, std::numeric_limits<std::uint32_t>::max()),
                             inner.sge_at(~0ULL, 2),
                             inner.sge_at(0, 1)};
    for (const auto advice : all_advice)
        for (const ibv_sge &piece : outside)
            expect_refused(advice, piece, EFAULT);
    EXPECT_EQ(resident_pages(map_), 0U);
    // All of it, and the pages that its ends are in; not one more.
    EXPECT_EQ(advise_one(write_advice, wait_for_it, inner.sge_at(start, page(4))), 0);
    EXPECT_EQ(resident_pages(map_), 5U);
}

TEST_F(Advise, RangesOutsideTheAddressSpaceAreFaults) {
    const auto whole = must(region::implicit(dev, odp_access));
    for (const auto advice : all_advice)
        for (const std::uint64_t iova : {0x0000800000000000ULL, 0xffff888000000000ULL, ~0ULL - 7})
            expect_refused(advice, whole.sge_at(iova, 8), EFAULT);
}

TEST_F(Advise, WhatIsNotMappedIsAFaultForWhoWaits) {
    const auto whole = must(region::implicit(dev, odp_access));
    mapping map = anonymous(2);
    const ibv_sge piece = whole.sge(map.data(), page(2));
    map.unmap();
    for (const auto advice : {read_advice, write_advice}) {
        EXPECT_EQ(advise_one(advice, wait_for_it, piece), EFAULT);
        EXPECT_EQ(advise_one(advice, 0, piece), 0) << "nobody is told";
    }
    EXPECT_EQ(advise_one(present_advice, wait_for_it, piece), 0);

    const mapping read_only(page(1), PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS);
    EXPECT_EQ(advise_one(write_advice, wait_for_it, whole.sge(read_only.data(), 1)), EFAULT);
    EXPECT_EQ(advise_one(read_advice, wait_for_it, whole.sge(read_only.data(), 1)), 0);
}

// One key that is wrong, and none of the others is acted on; one range that is not there, and all
// of the others are.
TEST_F(Advise, ManyPieces) {
    constexpr std::size_t most = 4095; // what fits into the attribute of the system call
    const mapping map = anonymous(most);
    const auto mr = over(map);
    std::vector<ibv_sge> pieces;
    for (std::size_t i = 0; i < most; ++i)
        pieces.push_back(mr.sge(map.data() + page(most - 1 - i), 1));
    pieces.back().lkey ^= 1;
    EXPECT_EQ(advise(dev, write_advice, wait_for_it, pieces), EFAULT);
    EXPECT_EQ(resident_pages(map), 0U);
    pieces.back().lkey ^= 1;
    EXPECT_EQ(advise(dev, write_advice, 0, pieces), 0);
    EXPECT_TRUE(becomes_true([&] { return resident_pages(map) == most; }));

    checked(munmap(map.data() + page(1), page(1)), "munmap");
    const auto whole = must(region::implicit(dev, odp_access));
    map_.advise(MADV_DONTNEED);
    EXPECT_EQ(advise(dev, write_advice, wait_for_it,
                     std::array{whole.sge(map.data() + page(1), page(1)),
                                mr_.sge(map_.data(), page(npages))}),
              EFAULT);
    EXPECT_EQ(resident_pages(map_), npages);
}

/// A prefetch that waits for a page until somebody provides it.
class StuckAdvice : public Advise {
  protected:
    const mapping stuck_{page(npages), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS};
};

// It looks whether it is still wanted every 2 MiB, so the next page is in the next of these.
TEST_F(StuckAdvice, AsynchronousReturnsAndDeregistrationDoesNotWait) {
    constexpr std::size_t huge = 2UZ * 1024 * 1024;
    const mapping map = anonymous(2 * huge / page_size());
    const auto start = reinterpret_cast<std::uintptr_t>(map.data());
    const std::size_t boundary = (start + huge) / huge * huge - start;
    const user_faults faults(map);
    auto mr = over(map);
    EXPECT_TRUE(is_prompt([&] {
        EXPECT_EQ(advise_one(write_advice, 0, mr.sge(map.data() + boundary - page(1), page(2))), 0);
    }));
    const auto va = faults.next();
    EXPECT_TRUE(is_prompt([&] { EXPECT_EQ(mr.deregister(), 0); }));
    faults.provide(va, map_.data());
    EXPECT_FALSE(faults.next_within(std::chrono::milliseconds(300)))
        << "it goes on for a region that is gone";
}

TEST_F(StuckAdvice, MoreThanCanRunAreWorthRepeating) {
    const user_faults faults(stuck_);
    auto mr = over(stuck_);
    int accepted = 0;
    int error = 0;
    while (error == 0 && accepted < 1000) {
        error = advise_one(read_advice, 0, mr.sge(stuck_.data(), 1));
        accepted += error == 0 ? 1 : 0;
    }
    EXPECT_EQ(error, EAGAIN);
    EXPECT_GE(accepted, 16);
    faults.provide(faults.next(), map_.data());
    EXPECT_TRUE(becomes_true(
        [&] { return advise_one(read_advice, wait_for_it, mr.sge(stuck_.data(), 1)) == 0; }));
}

TEST_F(StuckAdvice, KilledWhileItWaits) {
    const mapping shared(page_size(), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS);
    auto *const descriptor = new (shared.data()) int(-1);
    shared_flag waiting;
    child process([&] {
        const device own;
        const user_faults faults(stuck_);
        const auto mr = must(region::over(own, stuck_.data(), stuck_.size(), odp_access));
        *descriptor = faults.descriptor();
        waiting.raise();
        return advise(own, write_advice, wait_for_it,
                      std::array{mr.sge(stuck_.data(), stuck_.size())});
    });
    waiting.await();
    const auto faults = user_faults::of_another(process.pid(), *descriptor);
    faults.next();
    EXPECT_TRUE(is_prompt([&] { process.kill(); }));
}

// Most of a day of faults, if it were all done: by the time the process is killed it has begun.
TEST_F(Advise, KilledInTheMiddleOfATebibyte) {
    constexpr std::size_t tebibyte = std::size_t{1} << 40;
    constexpr std::size_t longest = std::size_t{1} << 31;
    shared_flag begun;
    for (const std::uint32_t flags : {wait_for_it, std::uint32_t{0}}) {
        child process([&] {
            const device own;
            const mapping map(tebibyte, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE);
            map.advise(MADV_NOHUGEPAGE);
            const auto mr = must(region::over(own, map.data(), tebibyte, odp_access));
            std::vector<ibv_sge> pieces;
            for (std::size_t start = 0; start < tebibyte; start += longest)
                pieces.push_back(mr.sge(map.data() + start, longest));
            begun.raise();
            const int error = advise(own, read_advice, flags, pieces);
            return flags == 0 && error == 0 ? pause() : error;
        });
        begun.await();
        ASSERT_TRUE(becomes_true([&] {
            const auto counters = read_mirror_counters(process.pid());
            return counters.contains("pages") && counters.at("pages") > 1000;
        }));
        EXPECT_TRUE(is_prompt([&] { process.kill(); }));
        EXPECT_TRUE(becomes_true([&] { return read_mirror_counters(process.pid()).empty(); }));
    }
}

} // namespace

} // namespace odp_test
