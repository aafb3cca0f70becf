// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// The kprobe by tracefs; its hits are in kprobe_profile.

#include "callbacks.hpp"

#include "memory.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <print>
#include <stdexcept>
#include <string>
#include <system_error>

namespace odp_bench {

namespace {

const std::string tracing = "/sys/kernel/tracing/";
const std::string event = "odp_bench_callbacks";

// A stream would look for the file's end first, which files of tracefs do not have.
void write_to(const std::string &name, const std::string &text) {
    const odp_test::file target(odp_test::checked(
        open((tracing + name).c_str(), O_WRONLY | O_APPEND | O_CLOEXEC), "opening " + name));
    odp_test::checked(write(target.descriptor(), text.data(), text.size()),
                      "writing '" + text + "' to " + name);
}

const char *callback() {
    return std::filesystem::exists("/sys/module/odp_mirror") ? "odp_mirror:odp_invalidate"
                                                             : "rdma_rxe:rxe_ib_invalidate_range";
}

} // namespace

callback_count::callback_count() {
    write_to("kprobe_events", "p:" + event + " " + callback() + "\n");
    write_to("events/kprobes/" + event + "/enable", "1");
}

callback_count::~callback_count() {
    try {
        write_to("events/kprobes/" + event + "/enable", "0");
        write_to("kprobe_events", "-:" + event + "\n");
    } catch (const std::system_error &error) {
        std::println(stderr, "odp_bench: {}", error.what());
    }
}

std::uint64_t callback_count::count() const {
    std::ifstream profile(tracing + "kprobe_profile");
    std::string name;
    std::uint64_t hits = 0;
    std::uint64_t missed = 0;
    while (profile >> name >> hits >> missed)
        if (name == event)
            return hits + missed;
    throw std::runtime_error("tracefs does not count " + event);
}

} // namespace odp_bench
