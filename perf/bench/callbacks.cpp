// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// The kprobe by tracefs; its hits are in kprobe_profile.

#include "callbacks.hpp"

#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>

namespace odp_bench {

namespace {

const std::string tracing = "/sys/kernel/tracing/";
const std::string event = "odp_bench_callbacks";

void write_to(const std::string &name, const std::string &text) {
    std::ofstream file(tracing + name, std::ios::app);
    file << text << std::flush;
    if (!file)
        throw std::runtime_error("tracefs does not take '" + text + "' in " + name);
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
    std::ofstream(tracing + "events/kprobes/" + event + "/enable", std::ios::app) << "0";
    std::ofstream(tracing + "kprobe_events", std::ios::app) << "-:" + event + "\n";
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
