// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// The work queues of rxe as what they are: memory that user space shares with the driver and can
// write at any time. A test writes work requests into it that no provider would, past the provider,
// and rings the doorbell by the system call that a provider uses.

#pragma once

#include "verbs.hpp"

#include <rdma/rdma_user_rxe.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

namespace odp_test {

/// A queue that the provider has mapped.
class work_ring {
  public:
    explicit work_ring(std::uint64_t va);

    std::size_t slot_size() const;
    /// The slot that a producer writes next.
    void *next() const;
    /// The slot that was written last.
    void *newest() const;
    /// Makes the next slot part of the queue.
    void publish() const;

  private:
    std::uint32_t producer() const;
    void *slot(std::uint32_t index) const;

    rxe_queue_buf *queue_;
};

/// The queues that the provider maps while @make runs.
std::vector<work_ring> rings_of(const device &device, const std::function<void()> &make);

/// The one of @rings with slots for an endpoint's send requests. Throws when it is not exactly one.
work_ring send_ring(const std::vector<work_ring> &rings);

/// The one of @rings in which the newest is a receive request of that name. Throws in the same way.
work_ring receive_ring(const std::vector<work_ring> &rings, std::uint64_t wr_id);

/// The elements of a work request in a queue.
rxe_sge *elements_of(rxe_dma_info &dma);

/// A WRITE that the provider might have written, into the next slot; not published.
rxe_send_wqe &draft_write(const work_ring &ring, std::uint64_t wr_id, ibv_sge source,
                          remote_target to);

/// Tells the driver to look at the send queue.
void ring_doorbell(const ibv_qp &qp);

} // namespace odp_test
