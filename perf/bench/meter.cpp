// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// ODP_TEST_BENCH as calls; see meter.hpp.

#include "meter.hpp"

#include "error.hpp"

#include <array>
#include <numeric>
#include <vector>

namespace odp_bench {

namespace {

using odp_test::mirror_window;
using odp_test::whole_iova;

odp_test_bench run(const mirror_window &window, const rounds &what,
                   std::vector<std::uint64_t> &cycles) {
    odp_test_bench bench{};
    bench.window = window.id();
    bench.iova = whole_iova(what.va);
    bench.stride = what.stride;
    bench.intent = what.intent;
    bench.length = what.length;
    bench.op = what.op;
    bench.rounds = what.count;
    bench.timeout_ms = mirror_window::timeout_ms;
    bench.cycles = whole_iova(cycles.data());
    const int error = window.device().command(ODP_TEST_BENCH, bench);
    if (error != 0)
        odp_test::fail_with(error, "measuring accesses");
    return bench;
}

double measuring(const mirror_window &window, const rounds &what) {
    rounds empty = what;
    empty.op = ODP_TEST_BENCH_EMPTY;
    std::vector<std::uint64_t> cycles(empty.count);
    return static_cast<double>(run(window, empty, cycles).median);
}

} // namespace

double middle_round(const mirror_window &window, const rounds &what) {
    std::vector<std::uint64_t> cycles(what.count);
    const double middle = static_cast<double>(run(window, what, cycles).median);
    return middle - measuring(window, what);
}

double all_rounds(const mirror_window &window, const rounds &what) {
    std::vector<std::uint64_t> cycles(what.count);
    run(window, what, cycles);
    const auto sum = std::accumulate(cycles.begin(), cycles.end(), std::uint64_t{0});
    return static_cast<double>(sum) - what.count * measuring(window, what);
}

void touch(const mirror_window &window, const void *va, bool write) {
    std::array<std::uint8_t, 8> bytes{};
    const int error =
        write ? window.write(whole_iova(va), bytes) : window.read(whole_iova(va), bytes);
    if (error != 0)
        odp_test::fail_with(error, "touching memory");
}

} // namespace odp_bench
