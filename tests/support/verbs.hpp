// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// The verbs objects that tests own, released in reverse order: a device with its protection domain,
// MRs that know their window, and RC queue pairs connected to each other inside one process. The
// raw ibv_* handle is always reachable. Whatever fails while setting up throws with the errno's
// text; what a test is about (a completion status, the errno of a registration) is returned
// instead.

#pragma once

#include "error.hpp"

#include <infiniband/verbs.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <span>
#include <string>

namespace odp_test {

template <auto destroy>
struct destroyer {
    template <class object_type>
    void operator()(object_type *object) const noexcept {
        destroy(object);
    }
};

using context_handle = std::unique_ptr<ibv_context, destroyer<ibv_close_device>>;
using pd_handle = std::unique_ptr<ibv_pd, destroyer<ibv_dealloc_pd>>;
using cq_handle = std::unique_ptr<ibv_cq, destroyer<ibv_destroy_cq>>;
using qp_handle = std::unique_ptr<ibv_qp, destroyer<ibv_destroy_qp>>;
using srq_handle = std::unique_ptr<ibv_srq, destroyer<ibv_destroy_srq>>;
using mw_handle = std::unique_ptr<ibv_mw, destroyer<ibv_dealloc_mw>>;
using ah_handle = std::unique_ptr<ibv_ah, destroyer<ibv_destroy_ah>>;
using mr_handle = std::unique_ptr<ibv_mr, destroyer<ibv_dereg_mr>>;

/// Every right that the tests need; flush rights are asked for where they are the subject.
inline constexpr int all_access = IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_READ |
                                  IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_ATOMIC;

/// The same, on demand.
inline constexpr int odp_access = all_access | IBV_ACCESS_ON_DEMAND;

/// The device under test (rxe0, or the one that ODP_TEST_DEVICE names) and one protection domain.
class device {
  public:
    device();
    /// Another one; a test that makes devices of its own.
    explicit device(std::string name);

    ibv_context *context() const { return context_.get(); }
    ibv_pd *pd() const { return pd_.get(); }
    const std::string &name() const { return name_; }
    const ibv_device_attr_ex &attributes() const { return attributes_; }

    /// The RoCE v2 GID of the port's IPv4 address, and its index.
    const ibv_gid &gid() const { return gid_; }
    std::uint8_t gid_index() const { return gid_index_; }

  private:
    void find_gid();

    std::string name_;
    context_handle context_;
    pd_handle pd_;
    ibv_device_attr_ex attributes_{};
    ibv_gid gid_{};
    std::uint8_t gid_index_ = 0;
};

/// Where a one-sided operation goes.
struct remote_target {
    std::uint64_t iova = 0;
    std::uint32_t rkey = 0;
};

/// An MR together with the arithmetic of its window: iova = va - va_base + iova_base.
class region {
  public:
    using result = std::expected<region, int>; ///< the error is an errno value

    /// [va, va + length), iova = va.
    static result over(const device &device, const void *va, std::size_t length, int access);
    /// [va, va + length) at another iova; its offset in the page must be va's.
    static result at_iova(const device &device, const void *va, std::size_t length,
                          std::uint64_t iova, int access);
    /// The whole address space: an implicit MR.
    static result implicit(const device &device, int access);

    ibv_mr *mr() const { return mr_.get(); }
    std::uint64_t iova(const void *va) const {
        return reinterpret_cast<std::uintptr_t>(va) - va_base_ + iova_base_;
    }
    remote_target target(const void *va) const { return {iova(va), mr_->rkey}; }
    remote_target target_at(std::uint64_t raw_iova) const { return {raw_iova, mr_->rkey}; }
    ibv_sge sge(const void *va, std::size_t length) const { return sge_at(iova(va), length); }
    ibv_sge sge_at(std::uint64_t raw_iova, std::size_t length) const {
        return {raw_iova, static_cast<std::uint32_t>(length), mr_->lkey};
    }

    /// Deregisters now and returns the errno value, 0 for success.
    int deregister();

  private:
    region(ibv_mr *mr, std::uint64_t va_base, std::uint64_t iova_base)
        : mr_(mr), va_base_(va_base), iova_base_(iova_base) {}

    mr_handle mr_;
    std::uint64_t va_base_;
    std::uint64_t iova_base_;
};

/// The region, or an exception: for registrations that are not what the test is about.
region must(region::result result);

/// One work request. The scatter/gather element may be absent (a flush has none).
struct operation {
    ibv_wr_opcode opcode;
    std::optional<ibv_sge> local;
    remote_target remote{};
    std::uint64_t compare_or_add = 0; ///< atomics
    std::uint64_t swap = 0;           ///< compare and swap
    std::uint64_t value = 0;          ///< atomic write
    std::uint32_t flush_length = 0;
    ibv_placement_type flush_type{};
    ibv_selectivity_level flush_level{};

    static operation write(ibv_sge source, remote_target to);
    static operation read(ibv_sge destination, remote_target from);
    static operation send(ibv_sge source);
    static operation fetch_add(ibv_sge result, remote_target at, std::uint64_t add);
    static operation compare_swap(ibv_sge result, remote_target at, std::uint64_t compare,
                                  std::uint64_t swap);
    static operation atomic_write(std::uint64_t value, remote_target at);
    static operation flush(remote_target at, std::uint32_t length, ibv_placement_type type,
                           ibv_selectivity_level level);
};

/// How long a completion may take before the test fails: far above any fault in a slow guest.
inline constexpr std::chrono::seconds completion_deadline{30};

/// What a queue pair is; by default what most tests need.
struct endpoint_kind {
    ibv_qp_type type = IBV_QPT_RC;         ///< or IBV_QPT_UC, IBV_QPT_UD
    ibv_srq *receives = nullptr;           ///< shared ones, instead of a receive queue of its own
    std::uint8_t responder_resources = 16; ///< for what a peer may have outstanding
    std::uint8_t requester_resources = 16; ///< the same at the peer
    std::uint32_t inline_bytes = 0;        ///< that a work request can have instead of elements
    std::uint32_t completions = 128;       ///< that its completion queue has a place for
};

/// Scatter/gather elements that a work request of an endpoint can have.
inline constexpr std::uint32_t queue_elements = 4;

/// One queue pair with its own completion queue.
class endpoint {
  public:
    explicit endpoint(const device &device, endpoint_kind kind = {});

    ibv_qp *qp() const { return qp_.get(); }
    void connect(const device &device, std::uint32_t peer_qp, ibv_mtu path_mtu);
    /// To a queue pair at another address than the device's own. @timeout: what a lost packet
    /// costs, as the exponent that verbs have. @retries: how many times it may.
    void connect(const device &device, const ibv_gid &peer, std::uint32_t peer_qp, ibv_mtu path_mtu,
                 std::uint8_t timeout = patient, std::uint8_t retries = for_ever);
    /// 0.5 s: an emulated CPU can be away for long without anything being lost.
    static constexpr std::uint8_t patient = 17;
    static constexpr std::uint8_t for_ever = 7; ///< to this driver

    /// What it was before connect() or open(). What was posted is gone, and has no completion.
    void reset();

    /// For datagrams: there is no peer, every message names its own.
    void open();
    static constexpr std::uint32_t datagram_key = 0x11111111;

    void post(const operation &work);
    /// One that operation has no words for; always signaled.
    void post(ibv_send_wr request);
    void post_receive(ibv_sge destination, std::uint64_t wr_id = 0);
    void post_receive(std::span<ibv_sge> destination, std::uint64_t wr_id);
    /// The next completion; throws when none comes before the deadline.
    ibv_wc wait(std::chrono::milliseconds deadline = completion_deadline);
    /// A completion if one is there.
    std::optional<ibv_wc> poll();
    /// post() and wait().
    ibv_wc run(const operation &work);
    /// The QP's state as the kernel has it.
    ibv_qp_state state() const;

  private:
    void post_extended(const operation &work);

    endpoint_kind kind_;
    cq_handle cq_;
    qp_handle qp_;
    bool extended_ = false; ///< flush and atomic write can be posted
};

/// As deep, and of as many elements, as an endpoint's own receive queue.
srq_handle make_shared_receives(const device &device);

/// Two queue pairs of one process, connected to each other over the device's own address.
class connection {
  public:
    explicit connection(const device &device, ibv_mtu path_mtu = IBV_MTU_1024,
                        std::uint8_t retries = endpoint::for_ever);

    endpoint requester;
    endpoint responder;
};

/// Whether the device has remote flush and atomic write, which not every kernel and provider does.
bool has_flush_and_atomic_write(const device &device);

/// "IBV_WC_SUCCESS" style names, for messages.
std::string status_name(ibv_wc_status status);

} // namespace odp_test
