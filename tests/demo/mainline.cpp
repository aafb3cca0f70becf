// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// demo-mainline: what the unmodified driver does with the job that demo-faultline then gets done.
// Each step is tried as an application would try it and its outcome printed, whatever it is; the
// exit status says only whether the steps could be tried.

#include "memory.hpp"
#include "pattern.hpp"
#include "verbs.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/utsname.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <exception>
#include <format>
#include <print>
#include <span>
#include <stdexcept>
#include <string>

namespace {

using odp_test::checked;
using odp_test::connection;
using odp_test::device;
using odp_test::mapping;
using odp_test::memory;
using odp_test::memory_kind;
using odp_test::must;
using odp_test::operation;
using odp_test::region;

constexpr std::size_t piece_length = 1 << 20;

// The source, in ordinary pinned memory: only the destination is what this is about.
mapping load_file(const char *path) {
    const odp_test::file source(
        checked(open(path, O_RDONLY | O_CLOEXEC), std::format("opening {}", path)));
    struct stat status{};
    checked(fstat(source.descriptor(), &status), std::format("looking at {}", path));
    mapping content(static_cast<std::size_t>(status.st_size), PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS);
    source.read(content.bytes(), 0);
    return content;
}

// "64,123,904"
std::string with_commas(std::size_t number) {
    std::string digits = std::to_string(number);
    for (std::size_t place = digits.size(); place > 3; place -= 3)
        digits.insert(place - 3, ",");
    return digits;
}

std::string outcome(const region::result &result) {
    if (result)
        return "accepted";
    return std::format("refused: {} ({})", strerrorname_np(result.error()),
                       std::strerror(result.error()));
}

void write_whole(const device &device, const region &from, const mapping &source, const region &to,
                 const mapping &destination) {
    connection link(device);
    for (std::size_t start = 0; start < source.size(); start += piece_length) {
        const std::size_t length = std::min(piece_length, source.size() - start);
        const ibv_wc completion = link.requester.run(operation::write(
            from.sge(source.data() + start, length), to.target(destination.data() + start)));
        if (completion.status != IBV_WC_SUCCESS)
            throw std::runtime_error(std::format("the transfer stopped after {} bytes: {}", start,
                                                 odp_test::status_name(completion.status)));
    }
}

void try_on_demand(const device &device, const mapping &source) {
    std::println(
        "  An on-demand MR over a file on ext4-DAX, and {} bytes of real files RDMA-written "
        "into it:",
        with_commas(source.size()));
    const memory destination(memory_kind::ext4_dax, source.size());
    const auto result =
        region::over(device, destination.map.data(), destination.map.size(), odp_test::odp_access);
    std::println("      registration               {}", outcome(result));
    if (!result)
        return;
    const auto from =
        must(region::over(device, source.data(), source.size(), odp_test::all_access));
    write_whole(device, from, source, *result, destination.map);
    const auto compared = odp_test::compare_bytes(destination.map.bytes(), source.bytes());
    const std::size_t right = compared.total - compared.wrong;
    std::println("      completion                 success, for every write");
    std::println("      bytes that arrived intact  {} of {} ({:.1f} %)", with_commas(right),
                 with_commas(compared.total),
                 100.0 * static_cast<double>(right) / static_cast<double>(compared.total));
}

void try_registration(const char *what, const region::result &result) {
    std::println("      {:<26} {}", what, outcome(result));
}

void try_pinned(const device &device, const char *what, memory_kind kind, std::size_t length) {
    const memory destination(kind, length);
    try_registration(what,
                     region::over(device, destination.map.data(), length, odp_test::all_access));
}

void run(const char *path) {
    utsname system{};
    checked(uname(&system), "asking for the kernel's name");
    const device device;
    std::println("Mainline: rdma_rxe of Linux {}, unmodified, on {}\n", system.release,
                 device.name());
    const mapping source = load_file(path);
    try_on_demand(device, source);
    std::println("\n  One implicit MR, for whatever is mapped later:");
    try_registration("registration", region::implicit(device, odp_test::odp_access));
    std::println("\n  The same file registered without on-demand paging, so that it is pinned:");
    try_pinned(device, "on ext4-DAX", memory_kind::ext4_dax, source.size());
    try_pinned(device, "on xfs-DAX", memory_kind::xfs_dax, source.size());
    try_pinned(device, "in ext4's page cache", memory_kind::ext4, source.size());
}

} // namespace

int main(int argc, char **argv) {
    if (argc != 2) {
        std::println(stderr,
                     "usage: {} FILE\nWrites FILE by RDMA into a DAX file of the unmodified "
                     "driver, and prints what that does.",
                     argv[0]);
        return 2;
    }
    try {
        run(argv[1]);
        return 0;
    } catch (const std::exception &error) {
        std::println(stderr, "{}: {}", argv[0], error.what());
        return 2;
    }
}
