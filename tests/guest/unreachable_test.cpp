// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// Memory that is mapped and that a device must not reach, or not yet: what the kernel hides from
// itself, what has no pages, what may not be read, and what a user space handler fills.

#include "fixture.hpp"

#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <chrono>
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

/// A range whose pages a handler provides, one at a time.
class user_faults {
  public:
    explicit user_faults(const mapping &map)
        : descriptor_(checked(static_cast<int>(syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK)),
                              "userfaultfd")) {
        uffdio_api api{.api = UFFD_API, .features = 0, .ioctls = 0};
        checked(ioctl(descriptor_.descriptor(), UFFDIO_API, &api), "UFFDIO_API");
        uffdio_register range{.range = {reinterpret_cast<std::uintptr_t>(map.data()), map.size()},
                              .mode = UFFDIO_REGISTER_MODE_MISSING,
                              .ioctls = 0};
        checked(ioctl(descriptor_.descriptor(), UFFDIO_REGISTER, &range), "UFFDIO_REGISTER");
    }

    /// The va of the next fault.
    std::uint64_t next() const {
        pollfd ready{.fd = descriptor_.descriptor(), .events = POLLIN, .revents = 0};
        if (checked(poll(&ready, 1, 10'000), "polling the userfaultfd") == 0)
            fail_with(ETIMEDOUT, "waiting for a fault");
        uffd_msg message{};
        checked(::read(descriptor_.descriptor(), &message, sizeof message), "reading the fault");
        return message.arg.pagefault.address;
    }

    void provide(std::uint64_t va, const void *content) const {
        uffdio_copy copy{.dst = va & ~(page_size() - 1),
                         .src = reinterpret_cast<std::uintptr_t>(content),
                         .len = page_size(),
                         .mode = 0,
                         .copy = 0};
        checked(ioctl(descriptor_.descriptor(), UFFDIO_COPY, &copy), "UFFDIO_COPY");
    }

  private:
    file descriptor_;
};

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

} // namespace

} // namespace odp_test
