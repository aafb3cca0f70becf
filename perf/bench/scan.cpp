// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// Reading a cached file of 256 MiB from its start to its end, in pieces of 1 MiB: the first time,
// and again. Read by the test device: what a packet costs beside the copy is not in it, so the
// faults weigh more here than in an RDMA READ.

#include "arena.hpp"
#include "clock.hpp"
#include "row.hpp"
#include "test_device.hpp"

#include "error.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

namespace odp_bench {

namespace {

using odp_test::file;
using odp_test::mapping;
using odp_test::mirror_window;

constexpr std::size_t file_length = 256 * mib;
constexpr std::size_t piece = mib;
constexpr const char *file_path = "/mnt/file/odp_bench";

// Written by the first sample, clean and in the page cache for all.
file cached_file() {
    file backing(
        odp_test::checked(open(file_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600), "opening a file"));
    const auto length = odp_test::checked(lseek(backing.descriptor(), 0, SEEK_END), "lseek");
    if (static_cast<std::size_t>(length) == file_length)
        return backing;
    const std::vector<std::uint8_t> content(piece, 1);
    for (std::size_t at = 0; at < file_length; at += piece)
        backing.write(content, at);
    odp_test::checked(fdatasync(backing.descriptor()), "writing a file back");
    return backing;
}

double scan(const mirror_window &window, const mapping &map, std::vector<std::uint8_t> &buffer) {
    return cost([&] {
        for (std::size_t at = 0; at < map.size(); at += piece) {
            const int error = window.read(odp_test::whole_iova(map.data() + at), buffer);
            if (error != 0)
                odp_test::fail_with(error, "reading a file through the mirror");
        }
    });
}

double last_scan(int scans) {
    const odp_test::test_device opened;
    const file backing = cached_file();
    const mapping map(file_length, PROT_READ, MAP_SHARED, backing.descriptor(), 0, arena_address());
    std::vector<std::uint8_t> buffer(piece, 0);
    const mirror_window window(opened);
    double last = 0;
    for (int i = 0; i < scans; ++i)
        last = scan(window, map, buffer);
    return last;
}

} // namespace

std::vector<row> scan_rows() {
    return {
        {.about = {"scan-256m", "reading a cached file of 256 MiB, cold mirror", "instructions",
                   "warm mirror, the same run", bar::ratio_at_most(1.15)},
         .ours = [] { return last_scan(1); },
         .beside = [] { return last_scan(2); }},
    };
}

} // namespace odp_bench
