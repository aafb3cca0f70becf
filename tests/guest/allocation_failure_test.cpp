// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// Every allocation, and every copy from and to user space, failed in turn: while a region is
// registered, memory faulted in, prefetched and deregistered. Each gives one of the errors that the
// interface names or is got over, nothing is left behind, and the device works afterwards. What a
// work item allocates is failed too, by the functions that call for it. Needs a kernel with fault
// injection, such as the lab's debug kernel.

#include "advise.hpp"
#include "child.hpp"
#include "fault_injection.hpp"
#include "fixture.hpp"
#include "resources.hpp"
#include "testdev.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <exception>
#include <functional>
#include <initializer_list>
#include <optional>
#include <print>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace odp_test {

namespace {

constexpr std::size_t huge_page = std::size_t{2} << 20;

/// More failure points than anything here has.
constexpr unsigned most_points = 3000;

class AllocationFailure : public ::testing::Test {
  protected:
    void SetUp() override {
        if (!fault_injection::is_there())
            GTEST_SKIP() << "this kernel has no fault injection; the lab's debug kernel does "
                            "(--kernel debug)";
        injection_.emplace();
        resources_ = count_resources(rxe_.name());
    }
    void TearDown() override {
        injection_.reset();
        if (resources_.empty())
            return;
        EXPECT_TRUE(device_works(rxe_));
        EXPECT_TRUE(becomes_true([] { return read_mirror_counters(getpid()).empty(); }))
            << "a mirror is left";
        EXPECT_TRUE(becomes_true([&] { return count_resources(rxe_.name()) == resources_; }))
            << "verbs objects are left";
    }

    /// Fails each point of @work in turn. @work returns an errno value, which has to be one of
    /// @errors where something failed, and 0 where not. @undo runs after each, with nothing
    /// failing.
    void fail_each(
        const std::function<int()> &work, std::initializer_list<int> errors,
        const std::function<void(int)> &undo = [](int) {}) {
        unsigned nth = 1;
        for (int error = -1;; ++nth, error = -1) {
            ASSERT_LT(nth, most_points);
            const bool failed = injection_->fail_nth(nth, [&] { error = work(); });
            undo(error);
            if (!failed) {
                EXPECT_EQ(error, 0) << "nothing failed";
                break;
            }
            EXPECT_TRUE(error == 0 || std::ranges::contains(errors, error))
                << "failure " << nth << ": " << error << ' ' << std::strerror(error);
        }
        RecordProperty("points", static_cast<int>(nth - 1));
        EXPECT_GT(nth, 1U) << "there was nothing that could fail";
    }

    /// The same for what the mirror's functions call for, in any task. @prepare runs before each.
    void fail_each_in_mirror(const std::function<int()> &work, std::initializer_list<int> errors,
                             const std::function<void()> &prepare) {
        const kernel_code mirror = code_of_module("odp_mirror");
        for (const char *const kind : {"failslab", "fail_page_alloc"}) {
            SCOPED_TRACE(kind);
            int error = -1;
            const auto attempt = [&] {
                try {
                    error = work();
                } catch (const std::exception &thrown) {
                    ADD_FAILURE() << thrown.what();
                }
            };
            // False when nothing failed.
            const auto run = [&](const std::function<bool()> &failing) {
                prepare();
                const bool failed = failing();
                EXPECT_TRUE(error == 0 || (failed && std::ranges::contains(errors, error)))
                    << (failed ? "something" : "nothing") << " failed: " << error << ' '
                    << std::strerror(error);
                return failed;
            };
            unsigned tries = 1;
            while (!run([&] { return injection_->align(mirror, kind, attempt); }))
                ASSERT_TRUE(!HasFailure() && ++tries < most_points);
            unsigned nth = 1;
            while (run([&] { return injection_->fail_below(mirror, kind, nth, attempt); }))
                ASSERT_TRUE(!HasFailure() && ++nth < most_points) << "failure " << nth;
            RecordProperty(kind, static_cast<int>(nth - 1));
        }
    }

    std::optional<fault_injection> injection_;
    const device rxe_;

  private:
    resource_counts resources_;
};

/// Two MiB of which nothing is there, where a huge page fits.
class cold_memory {
  public:
    cold_memory()
        : map_(2 * huge_page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0,
               lonely_va()) {}

    std::span<std::uint8_t> bytes() const {
        const auto va = whole_iova(map_.data());
        return map_.bytes((huge_page - va % huge_page) % huge_page, huge_page);
    }
    std::uint8_t *va() const { return bytes().data(); }
    void cool() const { checked(madvise(va(), huge_page, MADV_DONTNEED), "MADV_DONTNEED"); }
    void advise(int advice) const { checked(madvise(va(), huge_page, advice), "madvise"); }

  private:
    mapping map_;
};

/// A file whose pages are not in the page cache.
class cold_file {
  public:
    explicit cold_file(std::uint64_t seed) : file_(make_file(memory_kind::ext4)) {
        std::vector<std::uint8_t> content(npages * page_size());
        fill_pattern(content, seed);
        file_.write(content, 0);
        checked(fsync(file_.descriptor()), "fsync");
        map_ = mapping(content.size(), PROT_READ, MAP_SHARED, file_.descriptor(), 0, lonely_va());
    }

    void cool() const {
        map_.advise(MADV_DONTNEED);
        if (const int error = posix_fadvise(file_.descriptor(), 0, 0, POSIX_FADV_DONTNEED))
            fail_with(error, "dropping a file's pages");
    }
    const mapping &map() const { return map_; }

  private:
    static constexpr std::size_t npages = 8;
    file file_;
    mapping map_;
};

/// One try, without patience: the error is the core's.
int write_once(const test_device &dev, std::uint32_t window, std::uint8_t *va,
               std::span<const std::uint8_t> bytes, unsigned long command = ODP_TEST_WRITE) {
    odp_test_access access{};
    access.window = window;
    access.iova = whole_iova(va);
    access.length = bytes.size();
    access.buffer = whole_iova(bytes.data());
    return dev.command(command, access);
}

TEST_F(AllocationFailure, OpeningTheTestDevice) {
    const test_device loads_the_module;
    int descriptor = -1;
    fail_each(
        [&] {
            descriptor = open(test_device::path, O_RDWR | O_CLOEXEC);
            return descriptor == -1 ? errno : 0;
        },
        {ENOMEM, EFAULT, ENFILE}, // ENFILE: no memory for the open file
        [&](int error) {
            if (error == 0)
                close(descriptor);
        });
}

// The first window of a process makes mm ready for notifiers, and the mirror.
TEST_F(AllocationFailure, FirstWindowOfAProcess) {
    for (unsigned nth = 1;; ++nth) {
        ASSERT_LT(nth, most_points);
        const int status = child([&] {
                               const fault_injection injection;
                               const test_device dev;
                               odp_test_window_create create{};
                               create.flags = ODP_TEST_WINDOW_WHOLE;
                               int error = -1;
                               const bool failed = injection.fail_nth(nth, [&] {
                                   error = dev.command(ODP_TEST_WINDOW_CREATE, create);
                               });
                               if (error != 0 && !read_mirror_counters(getpid()).empty())
                                   return 1;
                               if (!failed)
                                   return error == 0 ? 2 : 3;
                               if (error == 0 || error == ENOMEM || error == EFAULT)
                                   return 0;
                               std::println(stderr, "failure {}: errno {}", nth, error);
                               return 4;
                           }).wait();
        if (status == 2)
            break;
        ASSERT_EQ(status, 0) << "failure " << nth
                             << ": 1: a mirror is left, 3: an error without a failure, 4: "
                                "another error than ENOMEM and EFAULT";
    }
}

TEST_F(AllocationFailure, WindowOfTheTestDevice) {
    const test_device dev;
    odp_test_window_create create{};
    fail_each(
        [&] {
            create = {};
            create.flags = ODP_TEST_WINDOW_WHOLE;
            return dev.command(ODP_TEST_WINDOW_CREATE, create);
        },
        {ENOMEM, EFAULT},
        [&](int error) {
            odp_test_window_destroy destroy{};
            destroy.window = create.window;
            if (error == 0) {
                EXPECT_EQ(dev.command(ODP_TEST_WINDOW_DESTROY, destroy), 0);
            }
            EXPECT_TRUE(becomes_true([] { return read_mirror_counters(getpid()).empty(); }))
                << "a mirror is left after error " << error;
        });
}

TEST_F(AllocationFailure, FirstAccessToAChunk) {
    const test_device dev;
    const cold_memory memory;
    std::vector<std::uint8_t> data(3 * page_size());
    fill_pattern(data, 1);
    std::optional<mirror_window> window(dev);
    fail_each([&] { return write_once(dev, window->id(), memory.va(), data); },
              {ENOMEM, EFAULT, EAGAIN},
              [&](int error) {
                  if (error == 0) {
                      EXPECT_TRUE(matches(compare_bytes(memory.bytes().first(data.size()), data)));
                  }
                  window.reset();
                  EXPECT_TRUE(becomes_true([] { return read_mirror_counters(getpid()).empty(); }));
                  memory.cool();
                  window.emplace(dev);
              });
}

TEST_F(AllocationFailure, HugeFault) {
    const test_device dev;
    const cold_memory memory;
    memory.advise(MADV_HUGEPAGE);
    std::vector<std::uint8_t> data(2 * page_size());
    fill_pattern(data, 2);
    const mirror_window window(dev);
    fail_each([&] { return write_once(dev, window.id(), memory.va(), data); },
              {ENOMEM, EFAULT, EAGAIN},
              [&](int error) {
                  if (error == 0) {
                      EXPECT_TRUE(matches(compare_bytes(memory.bytes().first(data.size()), data)));
                  }
                  memory.cool();
              });
}

TEST_F(AllocationFailure, FileFault) {
    const test_device dev;
    const cold_file backing(3);
    std::vector<std::uint8_t> data(2 * page_size());
    const mirror_window window(dev);
    backing.cool();
    fail_each(
        [&] { return write_once(dev, window.id(), backing.map().data(), data, ODP_TEST_READ); },
        {ENOMEM, EFAULT, EAGAIN},
        [&](int error) {
            if (error == 0) {
                EXPECT_TRUE(matches(compare_pattern(data, 3)));
            }
            backing.cool();
        });
}

TEST_F(AllocationFailure, PrefetchByTheTestDevice) {
    const test_device dev;
    const cold_memory memory;
    const mirror_window window(dev);
    fail_each(
        [&] {
            return window.prefetch(whole_iova(memory.va()), huge_page / 4, ODP_TEST_PREFETCH_WRITE);
        },
        {ENOMEM, EFAULT, EAGAIN}, [&](int) { memory.cool(); });
}

TEST_F(AllocationFailure, DestroyingAWindowSucceeds) {
    const test_device dev;
    const cold_memory memory;
    std::vector<std::uint8_t> data(page_size(), 1);
    for (unsigned nth = 1;; ++nth) {
        ASSERT_LT(nth, most_points);
        mirror_window window(dev);
        ASSERT_EQ(window.write(whole_iova(memory.va()), data), 0);
        odp_test_window_destroy destroy{};
        destroy.window = window.id();
        int error = -1;
        const bool failed = injection_->fail_nth(
            nth, [&] { error = dev.command(ODP_TEST_WINDOW_DESTROY, destroy); });
        // The arguments may not arrive; then nothing has happened.
        if (error == 0)
            static_cast<void>(window.release());
        else
            EXPECT_EQ(error, EFAULT);
        if (!failed)
            break;
    }
}

TEST_F(AllocationFailure, WorkItemsOfTheTestDevice) {
    const test_device dev;
    const cold_memory memory;
    const cold_file backing(4);
    std::optional<mirror_window> window;
    std::vector<std::uint8_t> data(3 * page_size());
    const auto prepare = [&] {
        window.reset(); // and its chunks
        memory.cool();
        backing.cool();
        window.emplace(dev);
    };
    fail_each_in_mirror(
        [&] {
            return window->prefetch(whole_iova(memory.va()), 24 * page_size(),
                                    ODP_TEST_PREFETCH_WRITE);
        },
        {ENOMEM, EAGAIN}, prepare);
    // With patience: what failed once is got over.
    fail_each_in_mirror(
        [&] {
            const int error = window->read(whole_iova(backing.map().data()), data);
            return error != 0 ? error : compare_pattern(data, 4).wrong == 0 ? 0 : EBADMSG;
        },
        {}, prepare);
}

TEST_F(AllocationFailure, RegistrationWithRxe) {
    const cold_memory memory;
    for (const bool whole : {true, false}) {
        SCOPED_TRACE(whole ? "implicit" : "explicit");
        std::optional<region> mr;
        fail_each(
            [&] {
                auto made = whole ? region::implicit(rxe_, odp_access)
                                  : region::over(rxe_, memory.va(), huge_page, odp_access);
                if (!made)
                    return made.error();
                mr.emplace(std::move(*made));
                return 0;
            },
            {ENOMEM, EFAULT},
            [&](int) {
                if (mr) {
                    EXPECT_EQ(mr->deregister(), 0);
                }
                mr.reset();
                EXPECT_TRUE(becomes_true([] { return read_mirror_counters(getpid()).empty(); }))
                    << "a mirror is left";
            });
    }
}

TEST_F(AllocationFailure, DeregistrationWithRxe) {
    const cold_memory memory;
    for (unsigned nth = 1;; ++nth) {
        ASSERT_LT(nth, most_points);
        auto mr = must(region::over(rxe_, memory.va(), huge_page, odp_access));
        int error = -1;
        const bool failed = injection_->fail_nth(nth, [&] { error = mr.deregister(); });
        // The call may not arrive, or the core have no memory for it; then the region is still
        // there.
        EXPECT_TRUE(error == 0 || error == EFAULT || error == ENOMEM) << error;
        if (!failed)
            break;
    }
}

TEST_F(AllocationFailure, PrefetchWithRxe) {
    const cold_memory memory;
    const auto mr = must(region::implicit(rxe_, odp_access));
    const std::array pieces{mr.sge(memory.va(), huge_page / 4)};
    fail_each(
        [&] {
            return advise(rxe_, IB_UVERBS_ADVISE_MR_ADVICE_PREFETCH_WRITE,
                          IB_UVERBS_ADVISE_MR_FLAG_FLUSH, pieces);
        },
        {ENOMEM, EFAULT, EAGAIN}, [&](int) { memory.cool(); });
}

// What fails below a packet is repeated until it does not.
TEST_F(AllocationFailure, WorkItemsOfRxe) {
    const cold_memory memory;
    const cold_file backing(5);
    const std::size_t length = 3 * page_size();
    const pinned_buffer buffer(rxe_, length);
    connection link(rxe_);
    std::optional<region> mr;
    const auto prepare = [&] {
        mr.reset(); // and the chunks
        memory.cool();
        backing.cool();
        mr.emplace(must(region::implicit(rxe_, odp_access)));
    };
    const ibv_sge sge = buffer.mr.sge(buffer.map.data(), length);
    fail_each_in_mirror(
        [&] {
            fill_pattern(buffer.map.bytes(0, length), 6);
            const auto work = operation::write(sge, mr->target(memory.va()));
            if (link.requester.run(work).status != IBV_WC_SUCCESS)
                return EIO;
            return compare_pattern(memory.bytes().first(length), 6).wrong == 0 ? 0 : EBADMSG;
        },
        {}, prepare);
    fail_each_in_mirror(
        [&] {
            const auto work = operation::read(sge, mr->target(backing.map().data()));
            if (link.requester.run(work).status != IBV_WC_SUCCESS)
                return EIO;
            return compare_pattern(buffer.map.bytes(0, length), 5).wrong == 0 ? 0 : EBADMSG;
        },
        {}, prepare);
}

} // namespace

} // namespace odp_test
