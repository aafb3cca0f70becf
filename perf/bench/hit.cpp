// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// What the mirror adds to the copy of a page that it has. The bars for hits are on the whole of an
// RDMA READ, beside one of a pinned MR; those rows need a connection and are not here.

#include "arena.hpp"
#include "meter.hpp"
#include "row.hpp"

#include <cstring>

namespace odp_bench {

namespace {

constexpr std::uint32_t count = 1000;

double hit(odp_test_bench_op op, std::uint32_t length) {
    const odp_test::test_device opened;
    const auto map = arena(page);
    std::memset(map.data(), 1, map.size());
    const odp_test::mirror_window window(opened);
    touch(window, map.data(), true);
    return middle_round(window, {.op = op, .va = map.data(), .count = count, .length = length});
}

row hit_row(const char *name, const char *text, odp_test_bench_op op, std::uint32_t length) {
    return {.about = {name, text, "instructions", "the copy alone", {}},
            .ours = [=] { return hit(op, length); },
            .beside = [=] { return hit(ODP_TEST_BENCH_COPY, length); }};
}

} // namespace

std::vector<row> hit_rows() {
    return {
        hit_row("hit-read-8", "reading 8 bytes that are mapped", ODP_TEST_BENCH_READ, 8),
        hit_row("hit-read-4k", "reading 4 KiB that are mapped", ODP_TEST_BENCH_READ, page),
        hit_row("hit-write-8", "writing 8 bytes that are mapped", ODP_TEST_BENCH_WRITE, 8),
        hit_row("hit-write-4k", "writing 4 KiB that are mapped", ODP_TEST_BENCH_WRITE, page),
    };
}

} // namespace odp_bench
