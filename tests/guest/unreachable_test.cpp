// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// Memory that is mapped and that a device must not reach, or not yet: what the kernel hides from
// itself, what has no pages, what may not be read, and what a user space handler fills.

#include "fixture.hpp"
#include "user_faults.hpp"

#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <fstream>
#include <string>
#include <thread>

namespace odp_test {

namespace {

using namespace std::chrono_literals;

class Unreachable : public verbs_test {
  protected:
    static constexpr std::size_t length = 1000;

    operation read_from(const region &mr, const void *va) {
        return operation::read(pinned_.mr.sge(pinned_.map.data(), length), mr.target(va));
    }
    operation write_to(const region &mr, const void *va) {
        return operation::write(pinned_.mr.sge(pinned_.map.data(), length), mr.target(va));
    }

    void expect_refused(const operation &work) {
        connection link(dev);
        expect_fatal(link, work, IBV_WC_REM_ACCESS_ERR);
    }

    /// Reading, writing and an atomic; @va must be a multiple of 8.
    void expect_all_refused(const void *va) {
        const auto mr = must(region::implicit(dev, odp_access));
        expect_refused(read_from(mr, va));
        expect_refused(write_to(mr, va));
        expect_refused(
            operation::fetch_add(pinned_.mr.sge(pinned_.map.data(), 8), mr.target(va), 1));
    }

    pinned_buffer pinned_{dev, length};
};

// The kernel has no mapping of its own for it: an access by the usual address is an oops.
TEST_F(Unreachable, SecretMemoryIsRefused) {
    const file secret(checked(static_cast<int>(syscall(SYS_memfd_secret, 0)), "memfd_secret"));
    secret.truncate(2 * page_size());
    const mapping map(2 * page_size(), PROT_READ | PROT_WRITE, MAP_SHARED, secret.descriptor());
    fill_pattern(map.bytes(), seed);
    expect_all_refused(map.data());
    EXPECT_TRUE(matches(compare_pattern(map.bytes(), seed)));
}

TEST_F(Unreachable, MappingWithoutReadPermissionIsRefused) {
    const mapping map(2 * page_size(), PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
    expect_all_refused(map.data());
}

// Every process has one mapping without struct pages.
TEST_F(Unreachable, KernelVariablesAreRefused) {
    std::ifstream maps("/proc/self/maps");
    std::string line;
    while (std::getline(maps, line))
        if (line.find("[vvar]") != std::string::npos)
            break;
    ASSERT_FALSE(line.empty()) << "this kernel has no [vvar]";
    // NOLINTNEXTLINE(performance-no-int-to-ptr): the file is text
    expect_all_refused(reinterpret_cast<const void *>(std::stoull(line, nullptr, 16)));
}

TEST_F(Unreachable, HandlerFillsThePageThatAReadWaitsFor) {
    const mapping map(2 * page_size(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
    const mapping content(page_size(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
    fill_pattern(content.bytes(), seed);
    const user_faults faults(map);
    const auto mr = must(region::implicit(dev, odp_access));
    connection link(dev);
    link.requester.post(read_from(mr, map.data()));
    const std::uint64_t va = faults.next();
    // Longer than the driver waits in place; and this thread's mmap() must not wait for the fault.
    std::this_thread::sleep_for(300ms);
    EXPECT_FALSE(link.requester.poll()) << "completed before the page was there";
    const mapping other(page_size(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
    faults.provide(va, content.data());
    EXPECT_TRUE(completed_with(link.requester.wait(), IBV_WC_SUCCESS));
    EXPECT_TRUE(matches(compare_pattern(pinned_.map.bytes(0, length), seed)));
}

// Refused as not ready and sent again, it has to name the same address.
TEST_F(Unreachable, LateAtomicWriteIsRepeatedWhereItWasMeant) {
    if (!has_flush_and_atomic_write(dev))
        GTEST_SKIP() << "this device has no atomic write";
    const mapping content(page_size(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
    fill_pattern(content.bytes(), seed);
    const mapping map(page_size(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
    const user_faults faults(map);
    const auto mr = must(region::implicit(dev, odp_access));
    connection link(dev);
    link.requester.post(operation::atomic_write(seed + 1, mr.target(map.data() + 8)));
    const std::uint64_t va = faults.next();
    std::this_thread::sleep_for(300ms);
    faults.provide(va, content.data());
    EXPECT_TRUE(completed_with(link.requester.wait(), IBV_WC_SUCCESS));
    std::uint64_t stored = 0;
    std::memcpy(&stored, map.data() + 8, sizeof stored);
    EXPECT_EQ(stored, seed + 1);
}

} // namespace

} // namespace odp_test
