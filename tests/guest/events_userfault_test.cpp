// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// Memory whose owner answers its page faults itself, with userfaultfd: a device that waits for a
// page waits for the owner.

#include "events.hpp"

#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <stdexcept>
#include <thread>

namespace odp_test {

namespace {

/// A userfaultfd over the area.
class fault_handler {
  public:
    fault_handler(const mapping &map, std::uint64_t mode, std::uint64_t features = 0)
        : handler_(checked(static_cast<int>(syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK)),
                           "opening a userfaultfd")) {
        uffdio_api api{.api = UFFD_API, .features = features, .ioctls = 0};
        checked(ioctl(handler_.descriptor(), UFFDIO_API, &api), "UFFDIO_API");
        uffdio_register request{.range = range(map.data(), map.size()), .mode = mode, .ioctls = 0};
        checked(ioctl(handler_.descriptor(), UFFDIO_REGISTER, &request), "UFFDIO_REGISTER");
    }

    static uffdio_range range(const void *start, std::size_t length) {
        return {.start = reinterpret_cast<std::uintptr_t>(start), .len = length};
    }
    /// The page of the next fault; throws when none comes.
    std::uint8_t *await() const {
        pollfd readable{.fd = handler_.descriptor(), .events = POLLIN, .revents = 0};
        if (checked(poll(&readable, 1, 30'000), "waiting for a fault") == 0)
            throw std::runtime_error("no fault reached the handler");
        uffd_msg message{};
        checked(::read(handler_.descriptor(), &message, sizeof message), "reading a fault");
        return reinterpret_cast<std::uint8_t *>(message.arg.pagefault.address &
                                                ~std::uint64_t{page_size() - 1});
    }
    void fill(std::uint8_t *page, std::span<const std::uint8_t> content) const {
        uffdio_copy copy{.dst = reinterpret_cast<std::uintptr_t>(page),
                         .src = reinterpret_cast<std::uintptr_t>(content.data()),
                         .len = content.size(),
                         .mode = 0,
                         .copy = 0};
        checked(ioctl(handler_.descriptor(), UFFDIO_COPY, &copy), "UFFDIO_COPY");
    }
    /// Moves pages here, without copying them.
    void move(void *to, const void *from, std::size_t length) const {
        uffdio_move request{.dst = reinterpret_cast<std::uintptr_t>(to),
                            .src = reinterpret_cast<std::uintptr_t>(from),
                            .len = length,
                            .mode = 0,
                            .move = 0};
        checked(ioctl(handler_.descriptor(), UFFDIO_MOVE, &request), "UFFDIO_MOVE");
    }
    void protect(const void *start, std::size_t length, bool on) const {
        uffdio_writeprotect request{.range = range(start, length),
                                    .mode = on ? std::uint64_t{UFFDIO_WRITEPROTECT_MODE_WP}
                                               : std::uint64_t{0}};
        checked(ioctl(handler_.descriptor(), UFFDIO_WRITEPROTECT, &request), "UFFDIO_WRITEPROTECT");
    }

  private:
    file handler_;
};

/// Memory whose missing pages a handler can provide.
class HandledMemory : public MemoryEvents {};

TEST_P(HandledMemory, UserfaultMissing) {
    const fault_handler handler(area.map, UFFDIO_REGISTER_MODE_MISSING);
    const mapping content(page(1), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
    fill_pattern(content.bytes(), seed, page(5));
    std::uint8_t *asked = nullptr;
    std::jthread answer([&] {
        asked = handler.await();
        usleep(100'000); // longer than the core waits for a fault at a time
        handler.fill(asked, content.bytes());
    });
    EXPECT_TRUE(reads(5, 1, seed));
    answer.join();
    EXPECT_EQ(asked, va(5));
    write(5, 1, seed + 1);
    EXPECT_TRUE(shows(5, 1, seed + 1));
}

TEST_P(HandledMemory, UserfaultWriteProtect) {
    write(0, npages, seed);
    const fault_handler handler(area.map, UFFDIO_REGISTER_MODE_WP,
                                UFFD_FEATURE_PAGEFAULT_FLAG_WP | UFFD_FEATURE_WP_HUGETLBFS_SHMEM);
    handler.protect(area.map.data(), area.map.size(), true);
    EXPECT_TRUE(reads(0, npages, seed)) << "memory that may be read";
    std::uint8_t *asked = nullptr;
    bool unchanged = false;
    std::jthread answer([&] {
        asked = handler.await();
        unchanged = static_cast<bool>(shows(7, 1, seed));
        handler.protect(asked, page(1), false);
    });
    write(7, 1, seed + 1);
    answer.join();
    EXPECT_EQ(asked, va(7));
    EXPECT_TRUE(unchanged) << "the write came before the handler's permission";
    EXPECT_TRUE(shows(7, 1, seed + 1));
}

ODP_EVENTS(HandledMemory, memory_kind::anonymous, memory_kind::tmpfs, memory_kind::hugetlb);

/// Memory whose pages a handler can move; others it can only copy.
class GivenMemory : public MemoryEvents {};

TEST_P(GivenMemory, UserfaultMove) {
    const mapping other(page(npages), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0,
                        lonely_va());
    other.advise(MADV_NOHUGEPAGE);
    area.map.advise(MADV_NOHUGEPAGE);
    write(0, npages, seed);
    const fault_handler handler(other, UFFDIO_REGISTER_MODE_MISSING, UFFD_FEATURE_MOVE);
    const std::uint64_t dropped = counter("pages_dropped");
    handler.move(other.data() + page(2), va(2), page(3));
    EXPECT_GE(counter("pages_dropped"), dropped + 3) << "the mirror still has what moved away";
    std::vector<std::uint8_t> data(page(3));
    ASSERT_EQ(access->read(other.data() + page(2), data), access_result::done);
    EXPECT_TRUE(matches(compare_pattern(data, seed, page(2))));
    // What is there now are new pages.
    EXPECT_TRUE(reads_zeros(2, 3));
    write(2, 3, seed + 1);
    EXPECT_TRUE(matches(compare_pattern(other.bytes(page(2), page(3)), seed, page(2))));
    EXPECT_TRUE(shows(0, 2, seed));
    EXPECT_TRUE(shows(2, 3, seed + 1));

    // Asked for by the device: the page that it waits for moves in.
    std::uint8_t *asked = nullptr;
    std::jthread answer([&] {
        asked = handler.await();
        handler.move(asked, va(8), page(1));
    });
    data.resize(page(1));
    ASSERT_EQ(access->read(other.data() + page(9), data), access_result::done);
    answer.join();
    EXPECT_EQ(asked, other.data() + page(9));
    EXPECT_TRUE(matches(compare_pattern(data, seed, page(8))));
}

ODP_EVENTS(GivenMemory, memory_kind::anonymous);

} // namespace

} // namespace odp_test
