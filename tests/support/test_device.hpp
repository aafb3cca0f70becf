// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// The test device, /dev/odp_mirror_test: memory as any device on the mirror core sees it, with no
// network in between. kernel/include/uapi/linux/odp_mirror_test.h says what each command does.
//
// What can fail for a reason that a caller asks about returns an errno value, 0 for success;
// everything else throws.

#pragma once

#include "memory.hpp"

#include <linux/odp_mirror_test.h>

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

namespace odp_test {

/// An open file of the device. The module is loaded when the first one is opened.
class test_device {
  public:
    test_device();

    /// The ioctl() on a structure whose size is set here; the errno value.
    template <class structure>
    int command(unsigned long number, structure &argument) const {
        argument.size = sizeof argument;
        return raw_command(number, &argument);
    }
    int raw_command(unsigned long number, void *argument) const;
    int descriptor() const { return file_.descriptor(); }
    void close() { file_ = file(); }
    /// The accounts of windows that map for DMA.
    odp_test_dma_stats dma_stats() const;

    static constexpr const char *path = "/dev/odp_mirror_test";

  private:
    file file_;
};

/// A window of this process or, with a number from elsewhere, of another one. The device outlives
/// it.
class mirror_window {
  public:
    /// [va, va + length) as [iova, iova + length).
    mirror_window(const test_device &device, std::uint64_t iova, const void *va,
                  std::uint64_t length);
    /// The whole address space.
    explicit mirror_window(const test_device &device, std::uint32_t flags = 0);
    mirror_window(mirror_window &&other) noexcept
        : device_(other.device_), id_(std::exchange(other.id_, 0)) {}
    mirror_window &operator=(mirror_window &&) = delete;
    ~mirror_window();

    std::uint32_t id() const { return id_; }
    const test_device &device() const { return *device_; }
    /// Forgets it: whoever has the number, or the last close, destroys it.
    std::uint32_t release() { return std::exchange(id_, 0); }

    int read(std::uint64_t iova, std::span<std::uint8_t> bytes) const;
    int write(std::uint64_t iova, std::span<const std::uint8_t> bytes) const;
    int flush(std::uint64_t iova, std::uint64_t length) const;
    int fetch_add(std::uint64_t iova, std::uint64_t operand, std::uint64_t &old) const;
    int compare_swap(std::uint64_t iova, std::uint64_t compare, std::uint64_t operand,
                     std::uint64_t &old) const;
    /// Waits for its end.
    int prefetch(std::uint64_t iova, std::uint64_t length, odp_test_prefetch_mode mode) const;
    /// Leaves it to itself.
    int start_prefetch(std::uint64_t iova, std::uint64_t length, odp_test_prefetch_mode mode) const;

    /// What the mirror has for @npages pages from @iova on.
    std::vector<odp_test_page> snapshot(std::uint64_t iova, std::size_t npages) const;
    odp_test_stats stats() const;

    /// How long an access waits for a page: long, because a test that needs it has failed.
    static constexpr std::uint32_t timeout_ms = 20'000;

  private:
    int atomic(odp_test_atomic &request, std::uint64_t &old) const;
    int prefetch(std::uint64_t iova, std::uint64_t length, odp_test_prefetch_mode mode,
                 std::uint32_t flags) const;

    const test_device *device_;
    std::uint32_t id_ = 0;
};

/// Kernel threads on a window, stopped at the end.
class thread_run {
  public:
    struct options {
        std::uint32_t nthreads = 2;
        std::uint32_t flags =
            ODP_TEST_THREADS_READ | ODP_TEST_THREADS_WRITE | ODP_TEST_THREADS_VERIFY;
        std::uint32_t nwords = 8;
        std::uint32_t pause_us = 50;
    };

    thread_run(const mirror_window &window, std::uint64_t iova, std::uint64_t length,
               std::uint64_t seed, const options &what);
    thread_run(const thread_run &) = delete;
    thread_run &operator=(const thread_run &) = delete;
    ~thread_run();

    odp_test_threads count() const;
    odp_test_threads stop();
    /// Until they have done so many accesses in all; throws if they do not.
    void await(std::uint64_t accesses) const;

  private:
    const test_device *device_;
    std::uint32_t id_ = 0;
};

/// The address of a byte, as a window over the whole address space names it.
inline std::uint64_t whole_iova(const void *va) {
    return reinterpret_cast<std::uintptr_t>(va);
}

} // namespace odp_test
