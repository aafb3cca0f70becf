// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// Object counts come from `rdma resource show` in its JSON form; mirror counters from the mirror
// core's summary in debugfs, lines of "mirror ID pid PID NAME VALUE".

#include "resources.hpp"

#include "diagnosis.hpp"
#include "error.hpp"
#include "patience.hpp"

#include <nlohmann/json.hpp>

#include <cstdio>
#include <format>
#include <fstream>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <thread>
#include <vector>

namespace odp_test {

namespace {

constexpr const char *mirror_summary = "/sys/kernel/debug/odp_mirror/summary";

struct pipe_closer {
    void operator()(std::FILE *stream) const noexcept { pclose(stream); }
};

using entry = std::map<std::string, std::string>;

/// What `rdma` lists: pairs of words, those of each object beginning with its device.
std::vector<entry> entries_of(const std::string &list) {
    std::vector<entry> entries;
    std::istringstream words(list);
    std::string name;
    std::string value;
    while (words >> name >> value) {
        if (name == "dev")
            entries.emplace_back();
        entries.at(entries.size() - 1)[name] = value;
    }
    return entries;
}

} // namespace

std::string output_of(const std::string &command) {
    std::unique_ptr<std::FILE, pipe_closer> stream(popen(command.c_str(), "r"));
    if (!stream)
        fail_with_errno("running " + command);
    std::string output;
    char buffer[4096];
    while (const auto count = std::fread(buffer, 1, sizeof buffer, stream.get()))
        output.append(buffer, count);
    if (const int status = pclose(stream.release()); status != 0)
        throw std::runtime_error(std::format("'{}' ended with status {:#x} after it printed '{}'; "
                                             "the kernel says: {}",
                                             command, status, output, obituaries()));
    return output;
}

resource_counts count_resources(const std::string &device_name) {
    const auto command = "rdma -j resource show " + device_name;
    const auto answer = nlohmann::json::parse(output_of(command), nullptr, false);
    if (!answer.is_array() || answer.empty())
        throw std::runtime_error(std::format("'{}' did not answer with a list of counts", command));
    resource_counts counts;
    for (const auto &[name, value] : answer.front().items())
        if (value.is_number_unsigned() && name != "ifindex")
            counts[name] = value.get<std::uint64_t>();
    if (!counts.contains("qp"))
        throw std::runtime_error(std::format("'{}' names no queue pairs", command));
    return counts;
}

region_report report_on_region(const std::string &device_name, std::uint32_t lkey) {
    const auto find = [&](const std::string &what, const char *name, std::uint64_t value) {
        // Not as JSON: with a driver's own values that is not well-formed.
        const auto command = std::format("rdma -dd {} show mr", what);
        for (const auto &entry : entries_of(output_of(command)))
            if (entry.at("dev") == device_name && entry.contains(name) &&
                std::stoull(entry.at(name), nullptr, 0) == value)
                return entry;
        throw std::runtime_error(std::format("'{}' has no MR of {} {:#x}", command, name, value));
    };
    region_report report;
    auto resource = find("resource", "lkey", lkey);
    report.odp = resource["drv_odp"];
    for (const auto &[name, value] : find("statistic", "mrn", std::stoull(resource.at("mrn"))))
        if (name.starts_with("page_"))
            report.statistics[name] = std::stoull(value);
    return report;
}

std::uint64_t device_counter(const std::string &device_name, const std::string &name) {
    const auto path =
        std::format("/sys/class/infiniband/{}/ports/1/hw_counters/{}", device_name, name);
    std::uint64_t value = 0;
    if (!(std::ifstream(path) >> value))
        throw std::runtime_error(path + " cannot be read");
    return value;
}

mirror_counters read_mirror_counters(int pid) {
    std::ifstream summary(mirror_summary);
    mirror_counters counters;
    std::string line;
    while (std::getline(summary, line)) {
        std::istringstream words(line);
        std::string mirror;
        std::string id;
        std::string pid_word;
        std::string name;
        int owner = 0;
        std::uint64_t value = 0;
        if (words >> mirror >> id >> pid_word >> owner >> name >> value && owner == pid)
            counters[name] += value;
    }
    return counters;
}

bool becomes_true(const std::function<bool()> &condition, std::chrono::milliseconds deadline) {
    const auto end = std::chrono::steady_clock::now() + patiently(deadline);
    while (!condition()) {
        if (std::chrono::steady_clock::now() >= end)
            return false;
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return true;
}

} // namespace odp_test
