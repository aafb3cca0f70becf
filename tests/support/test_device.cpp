// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// The commands of the test device as calls; see test_device.hpp. The module is loaded from where
// the lab's build put it, beside the core's.

#include "test_device.hpp"

#include "resources.hpp"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <format>
#include <stdexcept>
#include <string>

namespace odp_test {

namespace {

void load_module() {
    utsname kernel{};
    checked(uname(&kernel), "asking for the kernel's version");
    const auto path = std::format("/build/lab/modules/{}/mirror/odp_mirror_test.ko",
                                  static_cast<const char *>(kernel.release));
    const file module(checked(open(path.c_str(), O_RDONLY | O_CLOEXEC), "opening " + path));
    if (syscall(SYS_finit_module, module.descriptor(), "", 0) != 0 && errno != EEXIST)
        fail_with_errno("loading " + path);
}

int open_device() {
    const int descriptor = open(test_device::path, O_RDWR | O_CLOEXEC);
    if (descriptor != -1 || errno != ENOENT)
        return checked(descriptor, std::format("opening {}", test_device::path));
    load_module();
    return checked(open(test_device::path, O_RDWR | O_CLOEXEC),
                   std::format("opening {}", test_device::path));
}

/// What must succeed: a test that it fails in is wrong, or the device is.
void must_succeed(int error, const char *what) {
    if (error != 0)
        fail_with(error, what);
}

odp_test_access access_to(std::uint32_t window, std::uint64_t iova, const void *buffer,
                          std::uint64_t length) {
    odp_test_access access{};
    access.window = window;
    access.iova = iova;
    access.length = length;
    access.buffer = reinterpret_cast<std::uintptr_t>(buffer);
    access.timeout_ms = mirror_window::timeout_ms;
    return access;
}

} // namespace

test_device::test_device() : file_(open_device()) {}

int test_device::raw_command(unsigned long number, void *argument) const {
    return ioctl(file_.descriptor(), number, argument) == 0 ? 0 : errno;
}

odp_test_dma_stats test_device::dma_stats() const {
    odp_test_dma_stats stats{};
    must_succeed(command(ODP_TEST_DMA_STATS, stats), "reading the accounts of DMA mappings");
    return stats;
}

mirror_window::mirror_window(const test_device &device, std::uint64_t iova, const void *va,
                             std::uint64_t length)
    : device_(&device) {
    odp_test_window_create create{};
    create.iova = iova;
    create.va = whole_iova(va);
    create.length = length;
    must_succeed(device.command(ODP_TEST_WINDOW_CREATE, create), "making a window");
    id_ = create.window;
}

mirror_window::mirror_window(const test_device &device, std::uint32_t flags) : device_(&device) {
    odp_test_window_create create{};
    create.flags = ODP_TEST_WINDOW_WHOLE | flags;
    must_succeed(device.command(ODP_TEST_WINDOW_CREATE, create), "making a whole window");
    id_ = create.window;
}

mirror_window::~mirror_window() {
    odp_test_window_destroy destroy{};
    destroy.window = id_;
    if (id_ != 0)
        device_->command(ODP_TEST_WINDOW_DESTROY, destroy);
}

int mirror_window::read(std::uint64_t iova, std::span<std::uint8_t> bytes) const {
    auto access = access_to(id_, iova, bytes.data(), bytes.size());
    return device_->command(ODP_TEST_READ, access);
}

int mirror_window::write(std::uint64_t iova, std::span<const std::uint8_t> bytes) const {
    auto access = access_to(id_, iova, bytes.data(), bytes.size());
    return device_->command(ODP_TEST_WRITE, access);
}

int mirror_window::flush(std::uint64_t iova, std::uint64_t length) const {
    auto access = access_to(id_, iova, nullptr, length);
    return device_->command(ODP_TEST_FLUSH, access);
}

int mirror_window::atomic(odp_test_atomic &request, std::uint64_t &old) const {
    request.window = id_;
    request.timeout_ms = timeout_ms;
    const int error = device_->command(ODP_TEST_ATOMIC, request);
    old = request.old;
    return error;
}

int mirror_window::fetch_add(std::uint64_t iova, std::uint64_t operand, std::uint64_t &old) const {
    odp_test_atomic request{};
    request.iova = iova;
    request.op = ODP_TEST_FETCH_ADD;
    request.operand = operand;
    return atomic(request, old);
}

int mirror_window::compare_swap(std::uint64_t iova, std::uint64_t compare, std::uint64_t operand,
                                std::uint64_t &old) const {
    odp_test_atomic request{};
    request.iova = iova;
    request.op = ODP_TEST_COMPARE_SWAP;
    request.operand = operand;
    request.compare = compare;
    return atomic(request, old);
}

int mirror_window::prefetch(std::uint64_t iova, std::uint64_t length,
                            odp_test_prefetch_mode mode) const {
    return prefetch(iova, length, mode, ODP_TEST_PREFETCH_WAIT);
}

int mirror_window::start_prefetch(std::uint64_t iova, std::uint64_t length,
                                  odp_test_prefetch_mode mode) const {
    return prefetch(iova, length, mode, 0);
}

int mirror_window::prefetch(std::uint64_t iova, std::uint64_t length, odp_test_prefetch_mode mode,
                            std::uint32_t flags) const {
    odp_test_prefetch request{};
    request.window = id_;
    request.iova = iova;
    request.length = length;
    request.mode = mode;
    request.flags = flags;
    return device_->command(ODP_TEST_PREFETCH, request);
}

std::vector<odp_test_page> mirror_window::snapshot(std::uint64_t iova, std::size_t npages) const {
    std::vector<odp_test_page> pages(npages);
    odp_test_snapshot request{};
    request.window = id_;
    request.iova = iova;
    request.npages = npages;
    request.pages = reinterpret_cast<std::uintptr_t>(pages.data());
    must_succeed(device_->command(ODP_TEST_SNAPSHOT, request), "taking a snapshot");
    return pages;
}

odp_test_stats mirror_window::stats() const {
    odp_test_stats stats{};
    stats.window = id_;
    must_succeed(device_->command(ODP_TEST_STATS, stats), "reading statistics");
    return stats;
}

thread_run::thread_run(const mirror_window &window, std::uint64_t iova, std::uint64_t length,
                       std::uint64_t seed, const options &what)
    : device_(&window.device()) {
    odp_test_threads_start start{};
    start.window = window.id();
    start.iova = iova;
    start.length = length;
    start.seed = seed;
    start.nthreads = what.nthreads;
    start.flags = what.flags;
    start.nwords = what.nwords;
    start.pause_us = what.pause_us;
    must_succeed(device_->command(ODP_TEST_THREADS_START, start), "starting threads");
    id_ = start.run;
}

thread_run::~thread_run() {
    if (id_ == 0)
        return;
    odp_test_threads counts{};
    counts.run = id_;
    device_->command(ODP_TEST_THREADS_STOP, counts);
}

odp_test_threads thread_run::count() const {
    odp_test_threads counts{};
    counts.run = id_;
    must_succeed(device_->command(ODP_TEST_THREADS_COUNT, counts), "counting accesses");
    return counts;
}

odp_test_threads thread_run::stop() {
    odp_test_threads counts{};
    counts.run = std::exchange(id_, 0);
    must_succeed(device_->command(ODP_TEST_THREADS_STOP, counts), "stopping threads");
    return counts;
}

void thread_run::await(std::uint64_t accesses) const {
    if (!becomes_true([&] { return count().ok >= accesses; }, std::chrono::seconds(60)))
        throw std::runtime_error(std::format("the threads did {} accesses of {} in a minute, with "
                                             "{} refused",
                                             count().ok, accesses, count().faults));
}

} // namespace odp_test
