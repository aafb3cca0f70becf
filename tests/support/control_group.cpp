// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// See control_group.hpp.

#include "control_group.hpp"

#include <unistd.h>

#include <filesystem>
#include <format>
#include <fstream>
#include <stdexcept>

namespace odp_test {

namespace {

constexpr const char *path = "/sys/fs/cgroup/odp-test";

void set(const std::string &name, const std::string &value) {
    std::ofstream attribute(name);
    attribute << value;
    attribute.close();
    if (!attribute)
        throw std::runtime_error(std::format("writing {} to {} failed", value, name));
}

} // namespace

control_group::control_group(const std::string &memory_max) {
    set("/sys/fs/cgroup/cgroup.subtree_control", "+memory");
    std::filesystem::create_directory(path);
    set(std::format("{}/memory.max", path), memory_max);
}

control_group::~control_group() {
    rmdir(path);
}

// Not static: a group has to have been made.
void control_group::enter() const {
    set(std::format("{}/cgroup.procs", path), "0");
}

void control_group::throttle_above(std::uint64_t memory_high) const {
    set(std::format("{}/memory.high", path), std::to_string(memory_high));
}

std::uint64_t control_group::usage() const {
    std::uint64_t bytes = 0;
    std::ifstream(std::format("{}/memory.current", path)) >> bytes;
    return bytes;
}

std::uint64_t control_group::statistic(const std::string &name) const {
    std::ifstream statistics(std::format("{}/memory.stat", path));
    std::string found;
    std::uint64_t value = 0;
    while (statistics >> found >> value)
        if (found == name)
            return value;
    throw std::runtime_error("memory.stat does not have " + name);
}

} // namespace odp_test
