// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// What two processors do in the time in which one does the same work: 2 is perfect. In one address
// space and one mirror, on parts of it that are far from each other or near. Time, not
// instructions, on a machine that may have other things to do: so the bar is on the ratio to work
// that shares nothing of ours, in the same guest by turns. 0.9 of that is 1.8 where two processors
// are really there.

#include "arena.hpp"
#include "contention.hpp"
#include "meter.hpp"
#include "pair.hpp"
#include "row.hpp"

namespace odp_bench {

namespace {

using odp_test::mirror_window;

constexpr std::uint32_t hits = ODP_TEST_ROUNDS_MAX;
constexpr std::uint32_t faults = 4096;

struct work {
    rounds shape;
    std::size_t distance;
    bool cold;
};

class two_parts {
  public:
    explicit two_parts(const work &what) : what_(what), map_(arena(2 * gib)), window_(opened_) {
        make_ready();
    }

    double alone() {
        make_ready();
        return run_alone([&] { run(0); });
    }
    double together() {
        make_ready();
        return run_pair([&] { run(0); }, [&] { run(what_.distance); });
    }

  private:
    // Chunks stay: the first page of each part is there.
    void make_ready() {
        if (what_.cold)
            map_.advise(MADV_DONTNEED);
        touch(window_, map_.data(), true);
        touch(window_, map_.data() + what_.distance, true);
    }
    void run(std::size_t part) {
        rounds shape = what_.shape;
        shape.va = map_.data() + part + (what_.cold ? page : 0);
        all_rounds(window_, shape);
    }

    work what_;
    odp_test::test_device opened_;
    odp_test::mapping map_;
    mirror_window window_;
};

double scaling(const work &what) {
    two_parts parts(what);
    const double alone = parts.alone();
    return 2 * alone / parts.together();
}

double contentions(const work &what) {
    two_parts parts(what);
    const contention_count waits;
    parts.together();
    return static_cast<double>(waits.count()) / (2.0 * what.shape.count);
}

constexpr std::size_t far = gib;
constexpr std::size_t near = 32 * mib;

work hit_work(odp_test_bench_op op, std::size_t distance) {
    return {{.op = op, .count = hits, .length = page}, distance, false};
}

work fault_work(odp_test_bench_op op, std::size_t distance) {
    return {{.op = op, .stride = page, .count = faults}, distance, true};
}

row scaling_row(const char *name, const char *text, const work &what, const work &other,
                bar limit) {
    const char *const alone =
        other.shape.op == ODP_TEST_BENCH_COPY ? "the copy alone" : "bare hmm_range_fault()";
    return {.about = {name, text, "times", alone, limit},
            .where = place::processors,
            .ours = [=] { return scaling(what); },
            .beside = [=] { return scaling(other); }};
}

} // namespace

std::vector<row> scaling_rows() {
    const auto hit = hit_work(ODP_TEST_BENCH_READ, far);
    const auto hit_near = hit_work(ODP_TEST_BENCH_READ, near);
    const auto copy = hit_work(ODP_TEST_BENCH_COPY, far);
    const auto cold = fault_work(ODP_TEST_BENCH_WRITE, far);
    const auto cold_near = fault_work(ODP_TEST_BENCH_WRITE, near);
    const auto bare = fault_work(ODP_TEST_BENCH_BARE_WRITE, far);
    const auto most = bar::ratio_at_least(0.9);
    return {
        scaling_row("scaling-hits", "hits of 4 KiB on two processors, disjoint chunks", hit, copy,
                    most),
        scaling_row("scaling-faults", "faults on two processors, disjoint chunks", cold, bare,
                    most),
        scaling_row("scaling-hits-near", "hits of 4 KiB on two processors, 32 MiB apart", hit_near,
                    copy, {}),
        scaling_row("scaling-faults-near", "faults on two processors, 32 MiB apart", cold_near,
                    bare, {}),
        {.about = {"contention-hits", "waits for a lock per hit, disjoint chunks", "waits", "",
                   bar::at_most(0.001)},
         .where = place::processors,
         .ours = [=] { return contentions(hit); }},
        {.about = {"contention-faults",
                   "waits for a lock per fault, disjoint chunks",
                   "waits",
                   "bare hmm_range_fault()",
                   {}},
         .where = place::processors,
         .ours = [=] { return contentions(cold); },
         .beside = [=] { return contentions(bare); }},
    };
}

} // namespace odp_bench
