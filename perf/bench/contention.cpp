// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// A perf event on the tracepoint, inherited by threads that are made later.

#include "contention.hpp"

#include "error.hpp"

#include <linux/perf_event.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <fstream>
#include <stdexcept>

namespace odp_bench {

namespace {

std::uint64_t tracepoint_number() {
    std::ifstream file("/sys/kernel/tracing/events/lock/contention_begin/id");
    std::uint64_t number = 0;
    if (!(file >> number))
        throw std::runtime_error("there is no tracepoint lock:contention_begin");
    return number;
}

} // namespace

contention_count::contention_count() {
    perf_event_attr attributes{};
    attributes.type = PERF_TYPE_TRACEPOINT;
    attributes.size = sizeof attributes;
    attributes.config = tracepoint_number();
    attributes.inherit = 1;
    event_ = static_cast<int>(odp_test::checked(
        syscall(SYS_perf_event_open, &attributes, 0, -1, -1, PERF_FLAG_FD_CLOEXEC),
        "counting lock:contention_begin"));
}

contention_count::~contention_count() {
    close(event_);
}

std::uint64_t contention_count::count() const {
    std::uint64_t hits = 0;
    if (read(event_, &hits, sizeof hits) != sizeof hits)
        odp_test::fail_with_errno("reading the count of lock:contention_begin");
    return hits;
}

} // namespace odp_bench
