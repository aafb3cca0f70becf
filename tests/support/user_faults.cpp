// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// A userfaultfd in missing mode; see user_faults.hpp.

#include "user_faults.hpp"

#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace odp_test {

user_faults::user_faults(const mapping &map)
    : descriptor_(checked(static_cast<int>(syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK)),
                          "userfaultfd")) {
    uffdio_api api{.api = UFFD_API, .features = 0, .ioctls = 0};
    checked(ioctl(descriptor_.descriptor(), UFFDIO_API, &api), "UFFDIO_API");
    uffdio_register range{.range = {reinterpret_cast<std::uintptr_t>(map.data()), map.size()},
                          .mode = UFFDIO_REGISTER_MODE_MISSING,
                          .ioctls = 0};
    checked(ioctl(descriptor_.descriptor(), UFFDIO_REGISTER, &range), "UFFDIO_REGISTER");
}

user_faults user_faults::of_another(pid_t owner, int descriptor) {
    // By number: the C library's header declares the functions as C++ ones.
    const file process(
        checked(static_cast<int>(syscall(SYS_pidfd_open, owner, 0)), "opening a process"));
    return user_faults(
        checked(static_cast<int>(syscall(SYS_pidfd_getfd, process.descriptor(), descriptor, 0)),
                "taking over a userfaultfd"));
}

std::uint64_t user_faults::next() const {
    const auto va = next_within(std::chrono::seconds(10));
    if (!va)
        fail_with(ETIMEDOUT, "waiting for a fault");
    return *va;
}

std::optional<std::uint64_t> user_faults::next_within(std::chrono::milliseconds deadline) const {
    pollfd ready{.fd = descriptor_.descriptor(), .events = POLLIN, .revents = 0};
    if (checked(poll(&ready, 1, static_cast<int>(deadline.count())), "polling a userfaultfd") == 0)
        return std::nullopt;
    uffd_msg message{};
    checked(read(descriptor_.descriptor(), &message, sizeof message), "reading a fault");
    return std::uint64_t{message.arg.pagefault.address};
}

void user_faults::provide(std::uint64_t va, const void *content) const {
    uffdio_copy copy{.dst = va & ~(page_size() - 1),
                     .src = reinterpret_cast<std::uintptr_t>(content),
                     .len = page_size(),
                     .mode = 0,
                     .copy = 0};
    checked(ioctl(descriptor_.descriptor(), UFFDIO_COPY, &copy), "UFFDIO_COPY");
}

} // namespace odp_test
