// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// See swap.hpp.

#include "swap.hpp"

#include "command.hpp"
#include "memory.hpp"
#include "resources.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/swap.h>
#include <unistd.h>

#include <format>
#include <fstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace odp_test {

namespace {

constexpr const char *path = "/mnt/file/odp-test-swap";

std::uint64_t pages_swapped_out() {
    std::ifstream statistics("/proc/vmstat");
    std::string name;
    std::uint64_t value = 0;
    while (statistics >> name >> value)
        if (name == "pswpout")
            return value;
    throw std::runtime_error("/proc/vmstat does not count pages that are swapped out");
}

} // namespace

swap_file::swap_file() {
    const file space(
        checked(open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600), "creating a swap file"));
    const std::vector<std::uint8_t> zeros(std::size_t{16} << 20); // swap takes no holes
    space.write(zeros, 0);
    checked(fsync(space.descriptor()), "writing a swap file");
    run_command(std::format("mkswap -q {}", path));
    checked(swapon(path, 0), "turning swap on");
}

swap_file::~swap_file() {
    swapoff(path);
    unlink(path);
}

void swap_out(const mapping &map) {
    const std::uint64_t wanted = pages_swapped_out() + map.size() / page_size();
    // Reclaim may unmap a page and then keep it, because it is busy at the moment; the advice does
    // not find it again until it is mapped.
    const bool done = becomes_true([&] {
        map.advise(MADV_POPULATE_READ);
        map.page_out();
        return pages_swapped_out() >= wanted;
    });
    if (!done)
        throw std::runtime_error(
            std::format("{} pages did not go to swap", wanted - pages_swapped_out()));
}

bool is_swapped_out(const std::uint8_t *va) {
    const file pagemap(
        checked(open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC), "opening pagemap"));
    std::uint64_t word = 0;
    pagemap.read({reinterpret_cast<std::uint8_t *>(&word), sizeof word},
                 reinterpret_cast<std::uintptr_t>(va) / page_size() * sizeof word);
    return (word >> 62 & 1) != 0;
}

} // namespace odp_test
