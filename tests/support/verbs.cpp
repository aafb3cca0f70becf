// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// Devices, regions and queue pairs; see verbs.hpp. Queue pairs are created through the extended
// verb because flush and atomic write can only be posted on such a one; everything else goes
// through ibv_post_send(), which every provider has.

#include "verbs.hpp"

#include "diagnosis.hpp"
#include "patience.hpp"

#include <sched.h>

#include <cstdint>
#include <cstdlib>
#include <format>
#include <limits>
#include <stdexcept>
#include <thread>
#include <utility>

namespace odp_test {

namespace {

constexpr std::uint8_t port_number = 1;
constexpr std::uint32_t queue_depth = 64;
constexpr std::uint64_t flush_and_atomic_write_caps = IB_UVERBS_DEVICE_FLUSH_GLOBAL |
                                                      IB_UVERBS_DEVICE_FLUSH_PERSISTENT |
                                                      IB_UVERBS_DEVICE_ATOMIC_WRITE;

context_handle open_device(const std::string &name) {
    int count = 0;
    const std::unique_ptr<ibv_device *, destroyer<ibv_free_device_list>> list(
        ibv_get_device_list(&count));
    if (!list)
        fail_with_errno("listing RDMA devices");
    for (ibv_device *const candidate : std::span(list.get(), static_cast<std::size_t>(count))) {
        if (name != ibv_get_device_name(candidate))
            continue;
        context_handle context(ibv_open_device(candidate));
        if (!context)
            fail_with_errno("opening RDMA device " + name);
        return context;
    }
    throw std::runtime_error(std::format(
        "there is no RDMA device {} among the {} of this machine; run the tests in the lab's guest "
        "or name another in ODP_TEST_DEVICE",
        name, count));
}

// ::ffff:a.b.c.d, the form in which RoCE v2 carries an IPv4 address.
bool is_ipv4(const ibv_gid &gid) {
    for (int i = 0; i < 10; ++i)
        if (gid.raw[i] != 0)
            return false;
    return gid.raw[10] == 0xff && gid.raw[11] == 0xff;
}

region::result errno_error() {
    return std::unexpected(errno);
}

std::string name_of_device_under_test() {
    const char *const chosen = std::getenv("ODP_TEST_DEVICE");
    return chosen != nullptr ? chosen : "rxe0";
}

} // namespace

device::device() : device(name_of_device_under_test()) {}

device::device(std::string name) : name_(std::move(name)) {
    context_ = open_device(name_);
    if (const int error = ibv_query_device_ex(context_.get(), nullptr, &attributes_))
        fail_with(error, "querying RDMA device " + name_);
    pd_.reset(ibv_alloc_pd(context_.get()));
    if (!pd_)
        fail_with_errno("allocating a protection domain");
    find_gid();
}

void device::find_gid() {
    ibv_port_attr port{};
    if (const int error = ibv_query_port(context_.get(), port_number, &port))
        fail_with(error, "querying port 1 of " + name_);
    for (int index = 0; index < port.gid_tbl_len && index <= UINT8_MAX; ++index) {
        ibv_gid_entry entry{};
        if (ibv_query_gid_ex(context_.get(), port_number, static_cast<std::uint32_t>(index), &entry,
                             0) != 0)
            continue; // an empty slot
        if (entry.gid_type != IBV_GID_TYPE_ROCE_V2 || !is_ipv4(entry.gid))
            continue;
        gid_ = entry.gid;
        gid_index_ = static_cast<std::uint8_t>(index);
        return;
    }
    throw std::runtime_error(name_ + " has no RoCE v2 GID of an IPv4 address; give its network "
                                     "interface an address and bring it up");
}

region::result region::over(const device &device, const void *va, std::size_t length, int access) {
    // Parentheses: the function itself. The macro of its name only chooses between it and a variant
    // for optional access flags, of which there are none here.
    ibv_mr *const mr = (ibv_reg_mr)(device.pd(), const_cast<void *>(va), length, access);
    if (mr == nullptr)
        return errno_error();
    const auto base = reinterpret_cast<std::uintptr_t>(va);
    return region(mr, base, base);
}

region::result region::at_iova(const device &device, const void *va, std::size_t length,
                               std::uint64_t iova, int access) {
    ibv_mr *const mr = (ibv_reg_mr_iova)(device.pd(), const_cast<void *>(va), length, iova, access);
    if (mr == nullptr)
        return errno_error();
    return region(mr, reinterpret_cast<std::uintptr_t>(va), iova);
}

region::result region::implicit(const device &device, int access) {
    ibv_mr *const mr = (ibv_reg_mr)(device.pd(), nullptr, SIZE_MAX, access);
    if (mr == nullptr)
        return errno_error();
    return region(mr, 0, 0);
}

int region::deregister() {
    const int error = ibv_dereg_mr(mr_.get());
    if (error == 0)
        static_cast<void>(mr_.release()); // only a failed one needs the destructor's attempt
    return error;
}

region must(region::result result) {
    if (!result)
        fail_with(result.error(), "registering memory");
    return std::move(*result);
}

operation operation::write(ibv_sge source, remote_target to) {
    return {.opcode = IBV_WR_RDMA_WRITE, .local = source, .remote = to};
}

operation operation::read(ibv_sge destination, remote_target from) {
    return {.opcode = IBV_WR_RDMA_READ, .local = destination, .remote = from};
}

operation operation::send(ibv_sge source) {
    return {.opcode = IBV_WR_SEND, .local = source};
}

operation operation::fetch_add(ibv_sge result, remote_target at, std::uint64_t add) {
    return {.opcode = IBV_WR_ATOMIC_FETCH_AND_ADD,
            .local = result,
            .remote = at,
            .compare_or_add = add};
}

operation operation::compare_swap(ibv_sge result, remote_target at, std::uint64_t compare,
                                  std::uint64_t swap) {
    return {.opcode = IBV_WR_ATOMIC_CMP_AND_SWP,
            .local = result,
            .remote = at,
            .compare_or_add = compare,
            .swap = swap};
}

operation operation::atomic_write(std::uint64_t value, remote_target at) {
    return {.opcode = IBV_WR_ATOMIC_WRITE, .local = std::nullopt, .remote = at, .value = value};
}

operation operation::flush(remote_target at, std::uint32_t length, ibv_placement_type type,
                           ibv_selectivity_level level) {
    return {.opcode = IBV_WR_FLUSH,
            .local = std::nullopt,
            .remote = at,
            .flush_length = length,
            .flush_type = type,
            .flush_level = level};
}

endpoint::endpoint(const device &device, endpoint_kind kind)
    : kind_(kind), extended_(kind.type == IBV_QPT_RC && has_flush_and_atomic_write(device)) {
    cq_.reset(
        ibv_create_cq(device.context(), static_cast<int>(kind.completions), nullptr, nullptr, 0));
    if (!cq_)
        fail_with_errno("creating a completion queue");
    ibv_qp_init_attr_ex attributes{};
    attributes.send_cq = cq_.get();
    attributes.recv_cq = cq_.get();
    attributes.cap = {.max_send_wr = queue_depth,
                      .max_recv_wr = kind.receives != nullptr ? 0 : queue_depth,
                      .max_send_sge = queue_elements,
                      .max_recv_sge = kind.receives != nullptr ? 0 : queue_elements,
                      .max_inline_data = kind.inline_bytes};
    attributes.srq = kind.receives;
    attributes.qp_type = kind.type;
    attributes.sq_sig_all = 1;
    attributes.comp_mask = IBV_QP_INIT_ATTR_PD;
    attributes.pd = device.pd();
    if (extended_) {
        attributes.comp_mask |= IBV_QP_INIT_ATTR_SEND_OPS_FLAGS;
        attributes.send_ops_flags = std::uint64_t{IBV_QP_EX_WITH_FLUSH} |
                                    std::uint64_t{IBV_QP_EX_WITH_ATOMIC_WRITE} |
                                    std::uint64_t{IBV_QP_EX_WITH_ATOMIC_CMP_AND_SWP} |
                                    std::uint64_t{IBV_QP_EX_WITH_ATOMIC_FETCH_AND_ADD};
    }
    qp_.reset(ibv_create_qp_ex(device.context(), &attributes));
    if (!qp_)
        fail_with_errno("creating a queue pair");
}

void endpoint::connect(const device &device, std::uint32_t peer_qp, ibv_mtu path_mtu) {
    connect(device, device.gid(), peer_qp, path_mtu);
}

void endpoint::connect(const device &device, const ibv_gid &peer, std::uint32_t peer_qp,
                       ibv_mtu path_mtu, std::uint8_t timeout, std::uint8_t retries) {
    ibv_qp_attr init{};
    init.qp_state = IBV_QPS_INIT;
    init.port_num = port_number;
    init.qp_access_flags = static_cast<unsigned>(all_access);
    if (extended_)
        init.qp_access_flags |= IBV_ACCESS_FLUSH_GLOBAL | IBV_ACCESS_FLUSH_PERSISTENT;
    if (const int error = ibv_modify_qp(
            qp_.get(), &init, IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_ACCESS_FLAGS))
        fail_with(error, "moving a queue pair to INIT");

    ibv_qp_attr receive{};
    receive.qp_state = IBV_QPS_RTR;
    receive.path_mtu = path_mtu;
    receive.dest_qp_num = peer_qp;
    receive.max_dest_rd_atomic = kind_.responder_resources;
    receive.min_rnr_timer = 1; // 0.01 ms: a fault that asks for a retry is asked again soon
    receive.ah_attr.is_global = 1;
    receive.ah_attr.port_num = port_number;
    receive.ah_attr.grh.dgid = peer;
    receive.ah_attr.grh.sgid_index = device.gid_index();
    receive.ah_attr.grh.hop_limit = 64;
    const bool is_reliable = kind_.type == IBV_QPT_RC;
    const int receive_extra = is_reliable ? IBV_QP_MAX_DEST_RD_ATOMIC | IBV_QP_MIN_RNR_TIMER : 0;
    if (const int error = ibv_modify_qp(qp_.get(), &receive,
                                        IBV_QP_STATE | IBV_QP_AV | IBV_QP_PATH_MTU |
                                            IBV_QP_DEST_QPN | IBV_QP_RQ_PSN | receive_extra))
        fail_with(error, "moving a queue pair to RTR");

    ibv_qp_attr send{};
    send.qp_state = IBV_QPS_RTS;
    send.timeout = timeout;
    send.retry_cnt = retries;
    send.rnr_retry = 7; // for ever; the test's own deadline ends it
    send.max_rd_atomic = kind_.requester_resources;
    const int send_extra =
        is_reliable ? IBV_QP_TIMEOUT | IBV_QP_RETRY_CNT | IBV_QP_RNR_RETRY | IBV_QP_MAX_QP_RD_ATOMIC
                    : 0;
    if (const int error =
            ibv_modify_qp(qp_.get(), &send, IBV_QP_STATE | IBV_QP_SQ_PSN | send_extra))
        fail_with(error, "moving a queue pair to RTS");
}

void endpoint::reset() {
    ibv_qp_attr attributes{};
    attributes.qp_state = IBV_QPS_RESET;
    if (const int error = ibv_modify_qp(qp_.get(), &attributes, IBV_QP_STATE))
        fail_with(error, "moving a queue pair to RESET");
    while (poll())
        ; // of before
}

void endpoint::open() {
    ibv_qp_attr attributes{};
    attributes.qp_state = IBV_QPS_INIT;
    attributes.port_num = port_number;
    attributes.qkey = datagram_key;
    if (const int error = ibv_modify_qp(
            qp_.get(), &attributes, IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_QKEY))
        fail_with(error, "moving a queue pair to INIT");
    attributes.qp_state = IBV_QPS_RTR;
    if (const int error = ibv_modify_qp(qp_.get(), &attributes, IBV_QP_STATE))
        fail_with(error, "moving a queue pair to RTR");
    attributes.qp_state = IBV_QPS_RTS;
    if (const int error = ibv_modify_qp(qp_.get(), &attributes, IBV_QP_STATE | IBV_QP_SQ_PSN))
        fail_with(error, "moving a queue pair to RTS");
}

void endpoint::post(ibv_send_wr request) {
    request.send_flags |= IBV_SEND_SIGNALED;
    ibv_send_wr *bad = nullptr;
    if (const int error = ibv_post_send(qp_.get(), &request, &bad))
        fail_with(error, "posting a work request");
}

void endpoint::post(const operation &work) {
    const bool is_atomic =
        work.opcode == IBV_WR_ATOMIC_FETCH_AND_ADD || work.opcode == IBV_WR_ATOMIC_CMP_AND_SWP;
    // ibv_post_send() refuses a misaligned atomic itself; what the other side does with one is only
    // seen by posting it the other way.
    const bool is_misaligned = is_atomic && work.remote.iova % 8 != 0;
    if (work.opcode == IBV_WR_FLUSH || work.opcode == IBV_WR_ATOMIC_WRITE || is_misaligned) {
        post_extended(work);
        return;
    }
    ibv_sge element = work.local.value_or(ibv_sge{});
    ibv_send_wr request{};
    request.opcode = work.opcode;
    request.sg_list = &element;
    request.num_sge = work.local ? 1 : 0;
    if (is_atomic) {
        request.wr.atomic = {.remote_addr = work.remote.iova,
                             .compare_add = work.compare_or_add,
                             .swap = work.swap,
                             .rkey = work.remote.rkey};
    } else {
        request.wr.rdma = {.remote_addr = work.remote.iova, .rkey = work.remote.rkey};
    }
    post(request);
}

void endpoint::post_extended(const operation &work) {
    ibv_qp_ex *const qp = ibv_qp_to_qp_ex(qp_.get());
    if (!extended_ || qp == nullptr)
        throw std::runtime_error("this provider or kernel has no flush and atomic write");
    ibv_wr_start(qp);
    qp->wr_id = 0;
    qp->wr_flags = IBV_SEND_SIGNALED;
    switch (work.opcode) {
    case IBV_WR_FLUSH:
        ibv_wr_flush(qp, work.remote.rkey, work.remote.iova, work.flush_length,
                     static_cast<std::uint8_t>(work.flush_type),
                     static_cast<std::uint8_t>(work.flush_level));
        break;
    case IBV_WR_ATOMIC_WRITE:
        ibv_wr_atomic_write(qp, work.remote.rkey, work.remote.iova, &work.value);
        break;
    case IBV_WR_ATOMIC_FETCH_AND_ADD:
        ibv_wr_atomic_fetch_add(qp, work.remote.rkey, work.remote.iova, work.compare_or_add);
        break;
    case IBV_WR_ATOMIC_CMP_AND_SWP:
        ibv_wr_atomic_cmp_swp(qp, work.remote.rkey, work.remote.iova, work.compare_or_add,
                              work.swap);
        break;
    default:
        throw std::logic_error("this operation is not posted by the extended verbs");
    }
    if (work.local)
        ibv_wr_set_sge(qp, work.local->lkey, work.local->addr, work.local->length);
    if (const int error = ibv_wr_complete(qp))
        fail_with(error, "posting a work request by the extended verbs");
}

void endpoint::post_receive(ibv_sge destination, std::uint64_t wr_id) {
    post_receive({&destination, 1}, wr_id);
}

void endpoint::post_receive(std::span<ibv_sge> destination, std::uint64_t wr_id) {
    ibv_recv_wr request{};
    request.wr_id = wr_id;
    request.sg_list = destination.data();
    request.num_sge = static_cast<int>(destination.size());
    ibv_recv_wr *bad = nullptr;
    const int error = kind_.receives != nullptr ? ibv_post_srq_recv(kind_.receives, &request, &bad)
                                                : ibv_post_recv(qp_.get(), &request, &bad);
    if (error != 0)
        fail_with(error, "posting a receive");
}

std::optional<ibv_wc> endpoint::poll() {
    ibv_wc completion{};
    const int count = ibv_poll_cq(cq_.get(), 1, &completion);
    if (count < 0)
        throw std::runtime_error("polling a completion queue failed");
    if (count == 0)
        return std::nullopt;
    return completion;
}

ibv_wc endpoint::wait(std::chrono::milliseconds deadline) {
    const auto begun = std::chrono::steady_clock::now();
    const auto end = begun + patiently(deadline);
    const auto patience = begun + std::chrono::milliseconds(2);
    for (;;) {
        if (const auto completion = poll())
            return *completion;
        if (std::chrono::steady_clock::now() >= end)
            throw std::runtime_error(
                std::format("no completion within {} ms; the operation hangs or was lost; {}",
                            patiently(deadline).count(),
                            state_of_device(ibv_get_device_name(qp_->context->device))));
        // The driver works in kernel threads that may need this CPU; and others the emulated one,
        // if it takes long.
        if (std::chrono::steady_clock::now() < patience)
            sched_yield();
        else
            std::this_thread::sleep_for(std::chrono::microseconds(100));
    }
}

ibv_wc endpoint::run(const operation &work) {
    post(work);
    return wait();
}

ibv_qp_state endpoint::state() const {
    ibv_qp_attr attributes{};
    ibv_qp_init_attr initial{};
    if (const int error = ibv_query_qp(qp_.get(), &attributes, IBV_QP_STATE, &initial))
        fail_with(error, "querying a queue pair");
    return attributes.qp_state;
}

srq_handle make_shared_receives(const device &device) {
    ibv_srq_init_attr attributes{};
    attributes.attr = {.max_wr = queue_depth, .max_sge = queue_elements, .srq_limit = 0};
    srq_handle srq(ibv_create_srq(device.pd(), &attributes));
    if (!srq)
        fail_with_errno("creating a shared receive queue");
    return srq;
}

connection::connection(const device &device, ibv_mtu path_mtu, std::uint8_t retries)
    : requester(device), responder(device) {
    requester.connect(device, device.gid(), responder.qp()->qp_num, path_mtu, endpoint::patient,
                      retries);
    responder.connect(device, device.gid(), requester.qp()->qp_num, path_mtu, endpoint::patient,
                      retries);
}

bool has_flush_and_atomic_write(const device &device) {
    return (device.attributes().device_cap_flags_ex & flush_and_atomic_write_caps) ==
           flush_and_atomic_write_caps;
}

std::string status_name(ibv_wc_status status) {
    return std::format("{} ({})", static_cast<int>(status), ibv_wc_status_str(status));
}

} // namespace odp_test
