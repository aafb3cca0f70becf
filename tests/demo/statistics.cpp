// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// Mirror statistics come from the mirror core's summary in debugfs: lines of
// "mirror ID pid PID NAME VALUE", of which those of this process are summed.

#include "statistics.hpp"

#include <unistd.h>

#include <fstream>
#include <sstream>
#include <string>

namespace demo {

namespace {

constexpr const char *summary_path = "/sys/kernel/debug/odp_mirror/summary";

void add(std::uint64_t &counter, std::uint64_t value) {
    counter = counter == not_counted ? value : counter + value;
}

std::uint64_t minus(std::uint64_t after, std::uint64_t before) {
    return after == not_counted ? not_counted : after - (before == not_counted ? 0 : before);
}

} // namespace

mirror_statistics read_statistics() {
    mirror_statistics sum{not_counted, not_counted, not_counted, not_counted};
    std::ifstream summary(summary_path);
    std::string line;
    while (std::getline(summary, line)) {
        std::istringstream words(line);
        std::string mirror;
        std::string id;
        std::string pid_word;
        std::string name;
        long pid = 0;
        std::uint64_t value = 0;
        if (!(words >> mirror >> id >> pid_word >> pid >> name >> value) || pid != getpid())
            continue;
        if (name == "faults")
            add(sum.faults, value);
        else if (name == "invalidations")
            add(sum.invalidations, value);
        else if (name == "pages_mapped")
            add(sum.pages, value);
        else if (name == "chunks")
            add(sum.chunks, value);
    }
    return sum;
}

mirror_statistics difference(const mirror_statistics &before, const mirror_statistics &level,
                             const mirror_statistics &after) {
    return {.faults = minus(after.faults, before.faults),
            .invalidations = minus(after.invalidations, before.invalidations),
            .pages = minus(after.pages, before.pages),
            .chunks = level.chunks};
}

} // namespace demo
