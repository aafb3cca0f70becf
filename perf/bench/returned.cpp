// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// What is left when everything that the device had was unmapped: nothing.

#include "arena.hpp"
#include "callbacks.hpp"
#include "meter.hpp"
#include "resources.hpp"
#include "row.hpp"

#include <functional>

namespace odp_bench {

namespace {

using odp_test::mirror_window;

void use_much(const mirror_window &window, const odp_test::mapping &map) {
    for (std::size_t at = 0; at < map.size(); at += gib)
        touch(window, map.data() + at, true);
    for (std::size_t at = 0; at < 8 * mib; at += page)
        touch(window, map.data() + at, true);
    rounds huge{.op = ODP_TEST_BENCH_WRITE, .va = map.data() + 16 * mib, .intent = 2 * mib};
    all_rounds(window, huge);
}

// A chunk is retired by a work item, so soon, not at once. What does not go in 10 s is left.
double after_unmap(const std::function<double(const mirror_window &)> &left) {
    const odp_test::test_device opened;
    const mirror_window window(opened);
    {
        const auto map = arena(64 * gib, MADV_HUGEPAGE);
        use_much(window, map);
        if (window.stats().chunks == 0)
            throw std::runtime_error("the device has touched memory, and there is no chunk");
    }
    odp_test::becomes_true([&] { return window.stats().chunks == 0; });
    return left(window);
}

double callbacks_again(const mirror_window &) {
    const auto map = arena(64 * gib);
    map.advise(MADV_NOHUGEPAGE);
    for (std::size_t at = 0; at < map.size(); at += gib)
        map.data()[at] = 1;
    const callback_count callbacks;
    map.advise(MADV_DONTNEED);
    return static_cast<double>(callbacks.count());
}

row returned_row(const char *name, const char *text, const char *unit,
                 const std::function<double(const mirror_window &)> &left) {
    return {.about = {name, text, unit, "", bar::at_most(0)},
            .ours = [=] { return after_unmap(left); }};
}

} // namespace

std::vector<row> returned_rows() {
    return {
        returned_row("returned-chunks",
                     "chunks, each with a notifier, after munmap() of everything", "chunks",
                     [](const auto &window) { return static_cast<double>(window.stats().chunks); }),
        returned_row("returned-pages", "pages in the mirror after that", "pages",
                     [](const auto &window) { return static_cast<double>(window.stats().pages); }),
        returned_row(
            "returned-bytes", "table bytes after that", "bytes",
            [](const auto &window) { return static_cast<double>(window.stats().table_bytes); }),
        returned_row("returned-callbacks", "notifier callbacks when the addresses are used again",
                     "calls", callbacks_again),
    };
}

} // namespace odp_bench
