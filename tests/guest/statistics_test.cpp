// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// What users see of an MR's page faults where they look for it: `rdma statistic show mr`, `rdma
// resource show mr` and the port's hw_counters. The counters have mlx5's names and meaning: pages,
// and, as "_handled", the events that they came or went with.

#include "advise.hpp"
#include "child.hpp"
#include "fixture.hpp"
#include "resources.hpp"
#include "user_faults.hpp"

#include <array>
#include <chrono>
#include <thread>

namespace odp_test {

namespace {

class Statistics : public verbs_test {
  protected:
    static constexpr std::size_t npages = 24;

    Statistics() { map_.advise(MADV_NOHUGEPAGE); }

    region_report report(const region &mr) const {
        return report_on_region(dev.name(), mr.mr()->lkey);
    }
    std::uint64_t statistic(const region &mr, const std::string &name) const {
        return report(mr).statistics.at(name);
    }
    std::uint64_t port_counter(const std::string &name) const {
        // The RDMA core reads the driver's counters anew only when they are older than 10 ms.
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
        return device_counter(dev.name(), name);
    }
    void write_all(const region &mr) {
        ASSERT_TRUE(completed_with(
            link_.requester.run(operation::write(
                source_.mr.sge(source_.map.data(), source_.map.size()), mr.target(map_.data()))),
            IBV_WC_SUCCESS));
    }

    const mapping map_{
        npages * page_size(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0,
        lonely_va()};
    const pinned_buffer source_{dev, npages *page_size()};
    connection link_{dev};
};

TEST_F(Statistics, RegionsAreCalledWhatTheyAre) {
    const auto implicit = must(region::implicit(dev, odp_access));
    const auto explicit_one = must(region::over(dev, map_.data(), map_.size(), odp_access));
    EXPECT_EQ(report(implicit).odp, "implicit");
    EXPECT_EQ(report(explicit_one).odp, "explicit");
    EXPECT_EQ(report(source_.mr).odp, "");
    EXPECT_TRUE(report(source_.mr).statistics.empty()) << "a pinned MR takes no page faults";
}

TEST_F(Statistics, FaultsAreTheOnesOfTheMrThatTookThem) {
    const auto used = must(region::over(dev, map_.data(), map_.size(), odp_access));
    const auto unused = must(region::over(dev, map_.data(), map_.size(), odp_access));
    write_all(used);
    EXPECT_EQ(statistic(used, "page_faults"), npages);
    const std::uint64_t handled = statistic(used, "page_faults_handled");
    EXPECT_GE(handled, 1U);
    EXPECT_LE(handled, npages);
    write_all(used); // everything is there
    EXPECT_EQ(statistic(used, "page_faults"), npages);
    EXPECT_EQ(statistic(used, "page_faults_handled"), handled);
    EXPECT_EQ(statistic(used, "page_faults_failed"), 0U);
    write_all(unused); // the same entries serve both
    for (const auto &[name, value] : report(unused).statistics)
        EXPECT_EQ(value, 0U) << name;
}

TEST_F(Statistics, InvalidationsAreTheProcesss) {
    const auto whole = must(region::implicit(dev, odp_access));
    const auto part = must(region::over(dev, map_.data(), map_.size(), odp_access));
    write_all(part);
    const std::uint64_t pages = statistic(part, "page_invalidations");
    const std::uint64_t events = statistic(part, "page_invalidations_handled");
    map_.advise(MADV_DONTNEED);
    EXPECT_EQ(statistic(part, "page_invalidations") - pages, npages);
    EXPECT_EQ(statistic(part, "page_invalidations_handled") - events, 1U);
    EXPECT_EQ(statistic(whole, "page_invalidations"), statistic(part, "page_invalidations"));
    const auto later = must(region::implicit(dev, odp_access));
    EXPECT_EQ(statistic(later, "page_invalidations"), 0U) << "of before it was registered";
    EXPECT_EQ(statistic(later, "page_invalidations_handled"), 0U);
}

TEST_F(Statistics, PrefetchedPagesAreCountedAndFaultNoMore) {
    const auto mr = must(region::over(dev, map_.data(), map_.size(), odp_access));
    const std::array pieces{mr.sge(map_.data(), map_.size())};
    ASSERT_EQ(advise(dev, IB_UVERBS_ADVISE_MR_ADVICE_PREFETCH_WRITE, IB_UVERBS_ADVISE_MR_FLAG_FLUSH,
                     pieces),
              0);
    EXPECT_EQ(statistic(mr, "page_prefetch"), npages);
    write_all(mr);
    EXPECT_EQ(statistic(mr, "page_faults"), 0U);
    EXPECT_EQ(statistic(mr, "page_faults_handled"), 0U);
}

TEST_F(Statistics, RefusedAndLateFaultsAreToldApart) {
    const auto mr = must(region::implicit(dev, odp_access));
    {
        mapping unmapped(page_size(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0,
                         lonely_va());
        const auto nowhere = mr.target(unmapped.data());
        unmapped.unmap();
        connection link(dev);
        expect_fatal(link, operation::write(source_.mr.sge(source_.map.data(), 100), nowhere),
                     IBV_WC_REM_ACCESS_ERR);
    }
    EXPECT_EQ(statistic(mr, "page_faults_failed"), 1U);
    EXPECT_EQ(statistic(mr, "page_faults_queued"), 0U);

    const std::uint64_t not_yet = port_counter("odp_not_yet");
    const mapping late(page_size(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
    const user_faults faults(late);
    link_.requester.post(
        operation::write(source_.mr.sge(source_.map.data(), 100), mr.target(late.data())));
    const auto va = faults.next();
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    faults.provide(va, source_.map.data());
    ASSERT_TRUE(completed_with(link_.requester.wait(), IBV_WC_SUCCESS));
    EXPECT_EQ(statistic(mr, "page_faults_queued"), 1U);
    EXPECT_EQ(statistic(mr, "page_faults"), 1U) << "it counts although nobody waited for it";
    EXPECT_GT(port_counter("odp_not_yet"), not_yet);
}

// The counters are the device's: those of processes that are gone are in them, and never fall.
TEST_F(Statistics, PortCountersOutliveTheProcess) {
    const auto before = [&](const char *name) { return port_counter(name); };
    const std::uint64_t faults = before("odp_faults");
    const std::uint64_t pages = before("odp_pages_mapped");
    const std::uint64_t invalidated = before("odp_pages_invalidated");
    const std::uint64_t prefetches = before("odp_prefetches");
    child process([&] {
        const device own;
        const auto mr = must(region::over(own, map_.data(), map_.size(), odp_access));
        const std::array pieces{mr.sge(map_.data(), map_.size())};
        const int error = advise(own, IB_UVERBS_ADVISE_MR_ADVICE_PREFETCH_WRITE,
                                 IB_UVERBS_ADVISE_MR_FLAG_FLUSH, pieces);
        map_.advise(MADV_DONTNEED);
        return error;
    });
    ASSERT_EQ(process.wait(), 0);
    EXPECT_GT(port_counter("odp_faults"), faults);
    EXPECT_GE(port_counter("odp_pages_mapped") - pages, npages);
    EXPECT_GE(port_counter("odp_pages_invalidated") - invalidated, npages);
    EXPECT_EQ(port_counter("odp_prefetches") - prefetches, 1U);
}

} // namespace

} // namespace odp_test
