// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// Mapped queues; see work_ring.hpp. Which mappings there are is in /proc/self/maps: those of the
// device's file. A send queue is known by the size of its slots, which the driver rounds up to a
// power of two, and which of no other queue is the same.

#include "work_ring.hpp"

#include <rdma/ib_user_verbs.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstring>
#include <format>
#include <fstream>
#include <set>
#include <stdexcept>
#include <string>

namespace odp_test {

namespace {

std::set<std::uint64_t> mapped_queues(const device &device) {
    const std::string path = std::format("/dev/infiniband/{}", device.context()->device->dev_name);
    std::set<std::uint64_t> found;
    std::ifstream maps("/proc/self/maps");
    std::string line;
    while (std::getline(maps, line))
        if (line.ends_with(path))
            found.insert(std::stoull(line, nullptr, 16));
    return found;
}

work_ring only(const std::vector<work_ring> &rings,
               const std::function<bool(const work_ring &)> &fits) {
    if (std::ranges::count_if(rings, fits) != 1)
        throw std::runtime_error(std::format(
            "not exactly one of {} mapped queues is the one to write to", rings.size()));
    return *std::ranges::find_if(rings, fits);
}

} // namespace

work_ring::work_ring(std::uint64_t va) : queue_(std::bit_cast<rxe_queue_buf *>(va)) {}

std::size_t work_ring::slot_size() const {
    return std::size_t{1} << queue_->log2_elem_size;
}

std::uint32_t work_ring::producer() const {
    return std::atomic_ref(queue_->producer_index).load(std::memory_order_relaxed);
}

void *work_ring::slot(std::uint32_t index) const {
    return queue_->data + (index & queue_->index_mask) * slot_size();
}

void *work_ring::next() const {
    return slot(producer());
}

void *work_ring::newest() const {
    return slot(producer() - 1);
}

void work_ring::publish() const {
    // The driver reads the slot only after it has seen the index.
    std::atomic_ref(queue_->producer_index)
        .store((producer() + 1) & queue_->index_mask, std::memory_order_release);
}

std::vector<work_ring> rings_of(const device &device, const std::function<void()> &make) {
    const auto before = mapped_queues(device);
    make();
    std::vector<work_ring> rings;
    for (const auto va : mapped_queues(device))
        if (!before.contains(va))
            rings.emplace_back(va);
    return rings;
}

work_ring send_ring(const std::vector<work_ring> &rings) {
    constexpr std::size_t size =
        std::bit_ceil(sizeof(rxe_send_wqe) + queue_elements * sizeof(rxe_sge));
    return only(rings, [](const work_ring &ring) { return ring.slot_size() == size; });
}

work_ring receive_ring(const std::vector<work_ring> &rings, std::uint64_t wr_id) {
    return only(rings, [&](const work_ring &ring) {
        return static_cast<const rxe_recv_wqe *>(ring.newest())->wr_id == wr_id;
    });
}

rxe_sge *elements_of(rxe_dma_info &dma) {
    return dma.sge;
}

rxe_send_wqe &draft_write(const work_ring &ring, std::uint64_t wr_id, ibv_sge source,
                          remote_target to) {
    void *const slot = ring.next();
    std::memset(slot, 0, ring.slot_size());
    auto &request = *static_cast<rxe_send_wqe *>(slot);
    request.wr.wr_id = wr_id;
    request.wr.opcode = IBV_WR_RDMA_WRITE;
    request.wr.send_flags = IBV_SEND_SIGNALED;
    request.wr.wr.rdma.remote_addr = to.iova;
    request.wr.wr.rdma.rkey = to.rkey;
    request.iova = to.iova;
    request.dma.length = source.length;
    request.dma.resid = source.length;
    request.dma.num_sge = 1;
    *elements_of(request.dma) = {.addr = source.addr, .length = source.length, .lkey = source.lkey};
    return request;
}

void ring_doorbell(const ibv_qp &qp) {
    ib_uverbs_post_send_resp response{};
    struct {
        ib_uverbs_cmd_hdr header;
        std::uint64_t response;
        std::uint32_t qp_handle;
        std::uint32_t wr_count;
        std::uint32_t sge_count;
        std::uint32_t wqe_size;
    } command{};
    static_assert(sizeof command == sizeof(ib_uverbs_cmd_hdr) + sizeof(ib_uverbs_post_send));
    command.header = {.command = IB_USER_VERBS_CMD_POST_SEND,
                      .in_words = sizeof command / 4,
                      .out_words = sizeof response / 4};
    command.response = std::bit_cast<std::uintptr_t>(&response);
    command.qp_handle = qp.handle;
    command.wqe_size = sizeof(ib_uverbs_send_wr); // of none
    checked(write(qp.context->cmd_fd, &command, sizeof command), "ringing a doorbell");
}

} // namespace odp_test
