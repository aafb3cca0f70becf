// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// A reliable connection made by librdmacm, and the one memory region that everything goes through.
//
// The memory region is implicit: it is registered with no address and the largest length, takes no
// time, pins nothing, and covers whatever the process maps before or after. That is all there is to
// on-demand paging from an application's side: no registration per buffer, no cache of them, and
// files on DAX, which cannot be pinned, work like any other memory.

#pragma once

#include <rdma/rdma_cma.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace demo {

/// Calls @release on what it owns; the raw pointer is always at hand through get().
template <auto release>
struct releaser {
    template <class object_type>
    void operator()(object_type *object) const noexcept {
        release(object);
    }
};

/// Ends a connection's identifier together with its queue pair.
inline void release_id(rdma_cm_id *id) {
    if (id->qp != nullptr)
        rdma_destroy_qp(id);
    rdma_destroy_id(id);
}

using id_handle = std::unique_ptr<rdma_cm_id, releaser<release_id>>;
using pd_handle = std::unique_ptr<ibv_pd, releaser<ibv_dealloc_pd>>;
using mr_handle = std::unique_ptr<ibv_mr, releaser<ibv_dereg_mr>>;

/// A protection domain and one implicit on-demand MR in it: register once, before anything is
/// mapped.
class whole_memory {
  public:
    explicit whole_memory(ibv_context *device);

    ibv_pd *pd() const { return pd_.get(); }
    ibv_mr *mr() const { return mr_.get(); }

  private:
    pd_handle pd_;
    mr_handle mr_;
};

/// One connected queue pair.
class channel {
  public:
    /// Dials a server. The MR can only be made once librdmacm has chosen the device, so it is made
    /// here.
    static channel dial(const std::string &address, const std::string &port);

    void send(const void *message, std::size_t length);
    /// Must be called before the other side sends; wait_received() then tells that @message is
    /// filled.
    void post_receive(void *message, std::size_t length);
    /// False when the other side has gone.
    bool wait_received();

    /// RDMA WRITE or READ of [local, local + length), in pieces of which several are under way at
    /// once.
    void write(const void *local, std::uint64_t remote_va, std::uint32_t rkey, std::size_t length);
    void read(void *local, std::uint64_t remote_va, std::uint32_t rkey, std::size_t length);

  private:
    friend class listener;
    enum class direction { write, read };

    channel(id_handle id, std::shared_ptr<const whole_memory> memory);
    void transfer(direction way, char *local, std::uint64_t remote_va, std::uint32_t rkey,
                  std::size_t length);
    void wait_sent();

    // The order matters: the queue pair goes before the MR and the protection domain that it uses.
    std::shared_ptr<const whole_memory> memory_;
    id_handle id_;
};

/// Waits for connections on one address. All of them share one MR.
class listener {
  public:
    listener(const std::string &address, const std::string &port);

    /// Waits for a client to ask for a connection. An exception means that there will be no more,
    /// for example because the device was removed.
    id_handle next_request();
    /// Accepts it, with a receive for its first message in place before it can send one.
    channel accept(id_handle request, void *first_message, std::size_t length);
    std::uint32_t rkey() const { return memory_->mr()->rkey; }

  private:
    id_handle id_;
    std::shared_ptr<const whole_memory> memory_;
};

} // namespace demo
