// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// Reads /proc/meminfo. membarrier() waits for a grace period of RCU; objects that are freed by
// kfree_rcu() come after several, so there is a pause as well, which costs nothing on the
// instruction clock. Then every slab cache gives back what is empty, and the processors' shares of
// the counters are added up.

#include "kernel_memory.hpp"

#include "error.hpp"

#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <limits>
#include <stdexcept>
#include <string>
#include <thread>

namespace odp_bench {

namespace {

double meminfo(const std::string &wanted) {
    std::ifstream file("/proc/meminfo");
    std::string name;
    double kilobytes = 0;
    while (file >> name >> kilobytes) {
        if (name == wanted)
            return 1024 * kilobytes;
        file.ignore(std::numeric_limits<std::streamsize>::max(), '\n');
    }
    throw std::runtime_error("/proc/meminfo has no " + wanted);
}

void write_to(const std::filesystem::path &path) {
    std::ofstream file(path);
    file << "1" << std::flush;
    if (!file)
        throw std::runtime_error(path.string() + " cannot be written");
}

void give_back() {
    for (const auto &cache : std::filesystem::directory_iterator("/sys/kernel/slab"))
        write_to(cache.path() / "shrink");
    write_to("/proc/sys/vm/stat_refresh");
}

} // namespace

double kernel_memory() {
    for (int i = 0; i < 3; ++i) {
        odp_test::checked(syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0), "membarrier");
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
    give_back();
    return meminfo("SUnreclaim:") + meminfo("VmallocUsed:");
}

} // namespace odp_bench
