// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// Provoking the defects; see defects.hpp. Where the case is not about the copy itself, the transfer
// is one packet at the start of a page, which even the unmodified driver copies right.

#include "defects.hpp"

#include "advise.hpp"
#include "memory.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <stdexcept>

namespace odp_test {

namespace {

constexpr std::uint64_t data_seed = 7;
constexpr std::size_t gib = std::size_t{1} << 30;
constexpr std::size_t one_packet = 1024;

mapping anonymous(std::size_t length, int flags = 0) {
    return mapping(length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | flags);
}

void run_well(const device &device, const operation &work) {
    connection link(device);
    const ibv_wc completion = link.requester.run(work);
    if (completion.status != IBV_WC_SUCCESS)
        throw std::runtime_error("the transfer ended with " + status_name(completion.status));
}

int errno_of(const region::result &result) {
    return result ? 0 : result.error();
}

// RDMA-writes one packet to the start of @map, whose first page is present, writable and clean; has
// the kernel page it out; compares what is there then.
mismatch write_and_page_out(const device &device, const mapping &map) {
    const auto target = must(region::over(device, map.data(), map.size(), odp_access));
    const mapping source = anonymous(one_packet);
    fill_pattern(source.bytes(), data_seed);
    const auto source_mr = must(region::over(device, source.data(), one_packet, all_access));
    run_well(device,
             operation::write(source_mr.sge(source.data(), one_packet), target.target(map.data())));
    map.page_out();
    return compare_pattern(map.bytes(0, one_packet), data_seed);
}

} // namespace

mismatch write_of_many_packets(const device &device) {
    constexpr std::size_t length = 16UZ * 1024;
    const mapping source = anonymous(length);
    const mapping map = anonymous(length);
    fill_pattern(source.bytes(), data_seed);
    const auto source_mr = must(region::over(device, source.data(), length, all_access));
    const auto target = must(region::over(device, map.data(), length, odp_access));
    run_well(device,
             operation::write(source_mr.sge(source.data(), length), target.target(map.data())));
    return compare_pattern(map.bytes(), data_seed);
}

mismatch read_of_many_packets(const device &device) {
    constexpr std::size_t length = 16UZ * 1024;
    const mapping destination = anonymous(length);
    const mapping map = anonymous(length);
    fill_pattern(map.bytes(), data_seed);
    const auto destination_mr = must(region::over(device, destination.data(), length, all_access));
    const auto target = must(region::over(device, map.data(), length, odp_access));
    run_well(device, operation::read(destination_mr.sge(destination.data(), length),
                                     target.target(map.data())));
    return compare_pattern(destination.bytes(), data_seed);
}

mismatch write_into_lazily_freed_page(const device &device) {
    const mapping map = anonymous(page_size());
    fill_pattern(map.bytes(), data_seed + 1);
    map.free_lazily();
    return write_and_page_out(device, map);
}

mismatch write_into_clean_tmpfs_page(const device &device) {
    const memory area(memory_kind::tmpfs, page_size());
    const volatile std::uint8_t *const first = area.map.data();
    [[maybe_unused]] const std::uint8_t zero = *first;
    return write_and_page_out(device, area.map);
}

large_registrations register_large(const device &device) {
    const mapping map = anonymous(64 * gib, MAP_NORESERVE);
    return {.of_4_gib = errno_of(region::over(device, map.data(), 4 * gib, odp_access)),
            .of_16_gib = errno_of(region::over(device, map.data(), 16 * gib, odp_access)),
            .of_64_gib = errno_of(region::over(device, map.data(), 64 * gib, odp_access))};
}

double cost_of_registering_1_gib(const device &device) {
    const mapping map = anonymous(gib, MAP_NORESERVE);
    const auto median_cost = [&](std::size_t length) {
        std::array<std::chrono::steady_clock::duration, 9> taken{};
        for (auto &one : taken) {
            const auto start = std::chrono::steady_clock::now();
            const auto mr = must(region::over(device, map.data(), length, odp_access));
            one = std::chrono::steady_clock::now() - start;
        }
        std::ranges::sort(taken);
        return static_cast<double>(taken[taken.size() / 2].count());
    };
    const double small = median_cost(page_size());
    return median_cost(gib) / small;
}

ibv_wc_status flush_whole_large_mr(const device &device) {
    constexpr int access = odp_access | IBV_ACCESS_FLUSH_PERSISTENT;
    const file backing = make_file(memory_kind::ext4_dax);
    backing.truncate(page_size());
    mapping range(4 * gib + page_size(), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE);
    const mapping first(page_size(), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
                        backing.descriptor(), 0, range.data());
    fill_pattern(first.bytes(), data_seed);
    const auto target = must(region::over(device, range.data(), range.size(), access));
    // The first page by itself can be flushed: what is tested below is the rest.
    run_well(device,
             operation::flush(target.target(first.data()), static_cast<std::uint32_t>(page_size()),
                              IBV_FLUSH_PERSISTENT, IBV_FLUSH_RANGE));
    connection link(device);
    return link.requester
        .run(operation::flush(target.target(first.data()), 0, IBV_FLUSH_PERSISTENT, IBV_FLUSH_MR))
        .status;
}

ibv_wc_status write_beyond_a_memory_window(const device &device) {
    const mapping source = anonymous(one_packet);
    const mapping map = anonymous(2 * page_size());
    const auto source_mr = must(region::over(device, source.data(), one_packet, all_access));
    const auto mr =
        must(region::over(device, map.data(), map.size(), odp_access | IBV_ACCESS_MW_BIND));
    connection link(device);
    const mw_handle window(ibv_alloc_mw(device.pd(), IBV_MW_TYPE_2));
    if (!window)
        fail_with_errno("allocating a memory window");
    const std::uint32_t key = ibv_inc_rkey(window->rkey);
    ibv_send_wr bind{};
    bind.opcode = IBV_WR_BIND_MW;
    bind.bind_mw = {.mw = window.get(),
                    .rkey = key,
                    .bind_info = {.mr = mr.mr(),
                                  .addr = mr.iova(map.data()),
                                  .length = page_size(),
                                  .mw_access_flags = IBV_ACCESS_REMOTE_WRITE}};
    link.responder.post(bind);
    if (link.responder.wait().status != IBV_WC_SUCCESS)
        throw std::runtime_error("binding a memory window failed");
    const auto status = link.requester
                            .run(operation::write(source_mr.sge(source.data(), one_packet),
                                                  {mr.iova(map.data() + page_size()), key}))
                            .status;
    // Free again, so that the unmodified driver does not wait for it when the queue pair goes.
    ibv_send_wr invalidate{};
    invalidate.opcode = IBV_WR_LOCAL_INV;
    invalidate.invalidate_rkey = key;
    link.responder.post(invalidate);
    link.responder.wait();
    return status;
}

ibv_wc_status flush_anonymous_memory(const device &device) {
    const mapping map = anonymous(page_size());
    fill_pattern(map.bytes(), data_seed);
    const auto mr = must(
        region::over(device, map.data(), page_size(), odp_access | IBV_ACCESS_FLUSH_PERSISTENT));
    connection link(device);
    return link.requester
        .run(operation::flush(mr.target(map.data()), 64, IBV_FLUSH_PERSISTENT, IBV_FLUSH_RANGE))
        .status;
}

int prefetch_read_only(const device &device) {
    const mapping map = anonymous(page_size());
    const auto mr = must(region::over(device, map.data(), page_size(),
                                      IBV_ACCESS_ON_DEMAND | IBV_ACCESS_REMOTE_READ));
    return advise(device, IB_UVERBS_ADVISE_MR_ADVICE_PREFETCH, IB_UVERBS_ADVISE_MR_FLAG_FLUSH,
                  std::array{mr.sge(map.data(), page_size())});
}

int register_implicit(const device &device) {
    return errno_of(region::implicit(device, odp_access));
}

} // namespace odp_test
