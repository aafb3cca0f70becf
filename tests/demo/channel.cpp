// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// Connections and the implicit MR; see channel.hpp. An identifier that librdmacm makes without an
// event channel is synchronous: each call below returns when its step is complete.

#include "channel.hpp"

#include "error.hpp"

#include <poll.h>
#include <rdma/rdma_verbs.h>

#include <algorithm>
#include <chrono>
#include <format>
#include <stdexcept>
#include <utility>

namespace demo {

namespace {

constexpr std::size_t piece_length = 1 << 20;
constexpr std::uint32_t pieces_under_way = 8;
constexpr auto patience = std::chrono::milliseconds(5000);

struct address_deleter {
    void operator()(rdma_addrinfo *address) const noexcept { rdma_freeaddrinfo(address); }
};

std::unique_ptr<rdma_addrinfo, address_deleter> resolve(const std::string &address,
                                                        const std::string &port, int flags) {
    rdma_addrinfo hints{};
    hints.ai_flags = flags;
    hints.ai_port_space = RDMA_PS_TCP;
    rdma_addrinfo *found = nullptr;
    checked(rdma_getaddrinfo(address.c_str(), port.c_str(), &hints, &found),
            std::format("resolving {} port {}", address, port));
    return std::unique_ptr<rdma_addrinfo, address_deleter>(found);
}

id_handle make_id() {
    rdma_cm_id *id = nullptr;
    checked(rdma_create_id(nullptr, &id, nullptr, RDMA_PS_TCP),
            "creating a connection identifier (are ib_uverbs and rdma_ucm loaded?)");
    return id_handle(id);
}

void make_queue_pair(rdma_cm_id *id, ibv_pd *pd) {
    ibv_qp_init_attr attributes{};
    attributes.qp_type = IBV_QPT_RC;
    attributes.sq_sig_all = 1;
    attributes.cap.max_send_wr = pieces_under_way;
    attributes.cap.max_recv_wr = 2;
    attributes.cap.max_send_sge = 1;
    attributes.cap.max_recv_sge = 1;
    checked(rdma_create_qp(id, pd, &attributes), "creating a queue pair");
}

rdma_conn_param connection_parameters() {
    rdma_conn_param parameters{};
    parameters.responder_resources = pieces_under_way; // READs that may be under way at once
    parameters.initiator_depth = pieces_under_way;
    parameters.retry_count = 7;
    parameters.rnr_retry_count = 7;
    return parameters;
}

void check_status(const ibv_wc &completion, const char *doing) {
    if (completion.status != IBV_WC_SUCCESS)
        throw std::runtime_error(
            std::format("{}: {}", doing, ibv_wc_status_str(completion.status)));
}

} // namespace

whole_memory::whole_memory(ibv_context *device) : pd_(ibv_alloc_pd(device)) {
    if (!pd_)
        fail("allocating a protection domain");
    mr_.reset(ibv_reg_mr(pd_.get(), nullptr, SIZE_MAX,
                         IBV_ACCESS_ON_DEMAND | IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_READ |
                             IBV_ACCESS_REMOTE_WRITE));
    if (!mr_)
        fail(std::format("registering an implicit MR on {} (its driver may not support it)",
                         ibv_get_device_name(device->device)));
}

channel::channel(id_handle id, std::shared_ptr<const whole_memory> memory)
    : memory_(std::move(memory)), id_(std::move(id)) {}

channel channel::dial(const std::string &address, const std::string &port) {
    const auto remote = resolve(address, port, 0);
    id_handle id = make_id();
    const auto timeout = static_cast<int>(patience.count());
    checked(rdma_resolve_addr(id.get(), nullptr, remote->ai_dst_addr, timeout),
            std::format("finding the device that leads to {}", address));
    checked(rdma_resolve_route(id.get(), timeout), std::format("finding a route to {}", address));
    auto memory = std::make_shared<const whole_memory>(id->verbs);
    make_queue_pair(id.get(), memory->pd());
    auto parameters = connection_parameters();
    checked(rdma_connect(id.get(), &parameters),
            std::format("connecting to {} port {}", address, port));
    return channel(std::move(id), std::move(memory));
}

void channel::send(const void *message, std::size_t length) {
    checked(
        rdma_post_send(id_.get(), nullptr, const_cast<void *>(message), length, memory_->mr(), 0),
        "posting a send");
    wait_sent();
}

void channel::post_receive(void *message, std::size_t length) {
    checked(rdma_post_recv(id_.get(), nullptr, message, length, memory_->mr()),
            "posting a receive");
}

bool channel::wait_received() {
    // A peer that dies sends nothing, but the connection manager notices: wait for either.
    ibv_wc completion{};
    checked(ibv_req_notify_cq(id_->recv_cq, 0), "asking for receive events");
    while (ibv_poll_cq(id_->recv_cq, 1, &completion) == 0) {
        pollfd sources[] = {{.fd = id_->recv_cq_channel->fd, .events = POLLIN, .revents = 0},
                            {.fd = id_->channel->fd, .events = POLLIN, .revents = 0}};
        checked(poll(sources, 2, -1), "waiting for a message");
        if (sources[0].revents == 0)
            return false; // only a disconnect can come on an established connection
        ibv_cq *queue = nullptr;
        void *context = nullptr;
        checked(ibv_get_cq_event(id_->recv_cq_channel, &queue, &context), "taking a receive event");
        ibv_ack_cq_events(queue, 1);
        checked(ibv_req_notify_cq(id_->recv_cq, 0), "asking for receive events");
    }
    if (completion.status == IBV_WC_WR_FLUSH_ERR)
        return false;
    check_status(completion, "receiving a message");
    return true;
}

void channel::write(const void *local, std::uint64_t remote_va, std::uint32_t rkey,
                    std::size_t length) {
    // The common path below takes one type for both ways; a WRITE only reads its source.
    transfer(direction::write, static_cast<char *>(const_cast<void *>(local)), remote_va, rkey,
             length);
}

void channel::read(void *local, std::uint64_t remote_va, std::uint32_t rkey, std::size_t length) {
    transfer(direction::read, static_cast<char *>(local), remote_va, rkey, length);
}

void channel::transfer(direction way, char *local, std::uint64_t remote_va, std::uint32_t rkey,
                       std::size_t length) {
    const auto post = way == direction::write ? rdma_post_write : rdma_post_read;
    std::uint32_t under_way = 0;
    for (std::size_t start = 0; start < length; start += piece_length) {
        if (under_way == pieces_under_way) {
            wait_sent();
            --under_way;
        }
        checked(post(id_.get(), nullptr, local + start, std::min(piece_length, length - start),
                     memory_->mr(), 0, remote_va + start, rkey),
                way == direction::write ? "posting a write" : "posting a read");
        ++under_way;
    }
    for (; under_way > 0; --under_way)
        wait_sent();
}

void channel::wait_sent() {
    ibv_wc completion{};
    checked(rdma_get_send_comp(id_.get(), &completion), "waiting for a completion");
    check_status(completion, "the transfer failed");
}

listener::listener(const std::string &address, const std::string &port) : id_(make_id()) {
    const auto local = resolve(address, port, RAI_PASSIVE);
    checked(rdma_bind_addr(id_.get(), local->ai_src_addr),
            std::format("binding to {} port {}", address, port));
    if (id_->verbs == nullptr)
        throw std::runtime_error(std::format(
            "{} does not belong to one RDMA device; give that device's own address", address));
    memory_ = std::make_shared<const whole_memory>(id_->verbs);
    checked(rdma_listen(id_.get(), 1), std::format("listening on {} port {}", address, port));
}

id_handle listener::next_request() {
    rdma_cm_id *requested = nullptr;
    checked(rdma_get_request(id_.get(), &requested), "waiting for a connection");
    return id_handle(requested);
}

channel listener::accept(id_handle request, void *first_message, std::size_t length) {
    make_queue_pair(request.get(), memory_->pd());
    channel connected(std::move(request), memory_);
    connected.post_receive(first_message, length);
    auto parameters = connection_parameters();
    checked(rdma_accept(connected.id_.get(), &parameters), "accepting a connection");
    return connected;
}

} // namespace demo
