// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// See diagnosis.hpp. Nothing here throws because of what it does not find: it is asked when
// something is wrong already.

#include "diagnosis.hpp"

#include <cstdio>
#include <format>

namespace odp_test {

namespace {

/// Also what it complains about.
std::string printed_by(const std::string &command) {
    std::string text = std::format("$ {}\n", command);
    std::FILE *const stream = popen(("exec 2>&1; " + command).c_str(), "r");
    if (stream == nullptr)
        return text;
    char buffer[4096];
    while (const auto count = std::fread(buffer, 1, sizeof buffer, stream))
        text.append(buffer, count);
    pclose(stream);
    return text;
}

} // namespace

std::string state_of_device(const std::string &name) {
    return printed_by(std::format(
               "cd /sys/class/infiniband/{}/ports/1/hw_counters && grep -v '^0$' *", name)) +
           printed_by("rdma resource show qp link " + name) +
           printed_by("cat /sys/kernel/debug/odp_mirror/summary") +
           printed_by("for task in /proc/[0-9]*/task/*; do "
                      "stack=$(cat $task/stack); "
                      "case $stack in *'[odp_mirror'*|*'[rdma_rxe'*) "
                      "echo \"$task $(cat $task/comm)\n$stack\";; esac; done 2>/dev/null");
}

std::string obituaries() {
    return printed_by("dmesg | grep -E 'segfault|general protection|traps:|[Oo]ut of memory|"
                      "oom|allocation failure|Bad (page|rss)' | tail -n 20");
}

} // namespace odp_test
