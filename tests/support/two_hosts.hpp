// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// Two hosts in one guest, with a wire between them that may treat packets badly. rxe carries what
// goes to the same device, or the same network namespace, past every interface, so each device is
// in a namespace of its own, on one end of a veth pair whose two queues drop, repeat or delay at
// random. The name of an rxe device made in a namespace is known everywhere; only what looks
// addresses up, such as connecting a queue pair, has to take place in the namespace of its device.

#pragma once

#include "memory.hpp"
#include "verbs.hpp"

#include <cstdint>
#include <optional>
#include <string>

namespace odp_test {

/// What the wire does to the packets of each direction, in percent of them.
struct disturbance {
    double loss = 0;
    double duplicate = 0;
    /// Held up for 2 ms, so that others overtake them.
    double reorder = 0;
};

class two_hosts {
  public:
    enum class side { near, far };

    /// @mtu: of the interfaces.
    explicit two_hosts(int mtu);
    two_hosts(const two_hosts &) = delete;
    two_hosts &operator=(const two_hosts &) = delete;
    ~two_hosts();

    const device &near() const { return *near_; }
    const device &far() const { return *far_; }
    const device &at(side where) const { return where == side::near ? near() : far(); }

    /// "10.11.0.1"
    static std::string address(side where);
    /// The shell command that runs a program there.
    static std::string command(side where, const std::string &program);

    /// From now on; which packets are hit depends on @seed.
    void disturb(const disturbance &how, std::uint64_t seed) const;

    /// A requester at the near end and a responder at the far one.
    void connect(endpoint &requester, endpoint &responder, ibv_mtu path_mtu) const;

    /// Packets that both queues dropped since they were last told how to treat them.
    std::uint64_t lost() const;

  private:
    static void make_end(side where, int mtu);
    void remove() noexcept;

    std::optional<device> near_;
    std::optional<device> far_;
};

} // namespace odp_test
