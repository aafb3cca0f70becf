// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// The common parts of the guest tests; see fixture.hpp.

#include "fixture.hpp"

#include "patience.hpp"
#include "resources.hpp"

#include <chrono>

namespace odp_test {

std::uint64_t test_seed() {
    const auto *const test = ::testing::UnitTest::GetInstance()->current_test_info();
    return named_seed(named_seed(run_seed(), test->test_suite_name()), test->name());
}

void verbs_test::TearDown() {
    EXPECT_TRUE(device_works(dev));
    for (const auto &line : log_.offending_lines())
        ADD_FAILURE() << "the kernel logged: " << line;
}

::testing::AssertionResult device_works(const device &device) {
    const std::size_t length = 3 * page_size() + 123;
    connection link(device);
    const pinned_buffer local(device, length);
    const pinned_buffer remote(device, length);
    fill_pattern(local.map.bytes(), 1);
    auto done = link.requester.run(operation::write(local.mr.sge(local.map.data(), length),
                                                    remote.mr.target(remote.map.data())));
    if (done.status != IBV_WC_SUCCESS)
        return ::testing::AssertionFailure()
               << "a fresh write afterwards ended with " << status_name(done.status);
    if (const auto result = compare_pattern(remote.map.bytes(), 1); result.wrong != 0)
        return ::testing::AssertionFailure() << "a fresh write afterwards: " << result.describe();
    fill_pattern(remote.map.bytes(), 2);
    done = link.requester.run(operation::read(local.mr.sge(local.map.data(), length),
                                              remote.mr.target(remote.map.data())));
    if (done.status != IBV_WC_SUCCESS)
        return ::testing::AssertionFailure()
               << "a fresh read afterwards ended with " << status_name(done.status);
    if (const auto result = compare_pattern(local.map.bytes(), 2); result.wrong != 0)
        return ::testing::AssertionFailure() << "a fresh read afterwards: " << result.describe();
    return ::testing::AssertionSuccess();
}

::testing::AssertionResult completed_with(const ibv_wc &completion, ibv_wc_status expected) {
    if (completion.status == expected)
        return ::testing::AssertionSuccess();
    return ::testing::AssertionFailure() << "completed with " << status_name(completion.status)
                                         << " instead of " << status_name(expected);
}

::testing::AssertionResult matches(const mismatch &result) {
    if (result.wrong == 0)
        return ::testing::AssertionSuccess() << result.describe();
    return ::testing::AssertionFailure() << result.describe();
}

void expect_fatal(connection &link, const operation &work, ibv_wc_status expected) {
    EXPECT_TRUE(completed_with(link.requester.run(work), expected));
    // Each side completes or answers first and changes its queue pair's state then.
    const auto is_in_error = [](const endpoint &side) {
        return becomes_true([&] { return side.state() == IBV_QPS_ERR; });
    };
    EXPECT_TRUE(is_in_error(link.requester)) << "the requester's queue pair goes on";
    // A local error on the requester's side never reaches the responder.
    if (expected != IBV_WC_LOC_PROT_ERR) {
        EXPECT_TRUE(is_in_error(link.responder)) << "the responder's queue pair goes on";
    }
}

::testing::AssertionResult is_prompt(const std::function<void()> &act) {
    using namespace std::chrono;
    const auto start = steady_clock::now();
    act();
    const auto taken = duration_cast<milliseconds>(steady_clock::now() - start);
    if (taken < patiently(1s))
        return ::testing::AssertionSuccess();
    return ::testing::AssertionFailure() << "it took " << taken.count() << " ms";
}

} // namespace odp_test
