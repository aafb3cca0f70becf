// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// Memory that is mapped and that a device must not reach, or not yet: what the kernel hides from
// itself, what has no pages, what may not be read, and what a user space handler fills.

#include "fixture.hpp"
#include "user_faults.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <filesystem>
#include <format>
#include <system_error>
#include <thread>

namespace odp_test {

namespace {

using namespace std::chrono_literals;

/// Some PCI device's, one page; empty if there is none that lets itself be mapped.
mapping registers() {
    namespace fs = std::filesystem;
    for (const auto &device : fs::directory_iterator("/sys/bus/pci/devices")) {
        if (fs::exists(device.path() / "driver"))
            continue;
        for (int bar = 0; bar < 6; ++bar) {
            const fs::path path = device.path() / std::format("resource{}", bar);
            const file resource(open(path.c_str(), O_RDWR | O_CLOEXEC));
            if (resource.descriptor() < 0)
                continue;
            try {
                return {page_size(), PROT_READ | PROT_WRITE, MAP_SHARED, resource.descriptor()};
            } catch (const std::system_error &) {
                continue; // a range of I/O ports, which only read() and write() reach
            }
        }
    }
    return {};
}

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

// Registers have no struct pages, so HMM has nothing to show. Only those of a device without a
// driver can be mapped; the lab's chipset has one.
TEST_F(Unreachable, DeviceRegistersAreRefused) {
    const mapping map = registers();
    ASSERT_NE(map.size(), 0U) << "no PCI device without a driver has registers in memory";
    expect_all_refused(map.data());
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
