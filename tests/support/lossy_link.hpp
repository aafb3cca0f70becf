// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// Two devices of this process with a wire between them that loses packets. rxe carries what goes to
// the same device, or the same network namespace, past every interface, so each device is in a
// namespace of its own, on one end of a veth pair whose two queues drop at random. The name of an
// rxe device made in a namespace is known everywhere; only connecting a queue pair, which looks
// addresses up, has to take place in the namespace of its device.

#pragma once

#include "memory.hpp"
#include "verbs.hpp"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

namespace odp_test {

class lossy_link {
  public:
    /// Loses @percent of the packets of each direction; which ones depends on @seed.
    lossy_link(double percent, std::uint64_t seed);
    lossy_link(const lossy_link &) = delete;
    lossy_link &operator=(const lossy_link &) = delete;
    ~lossy_link();

    const device &near() const { return *near_; }
    const device &far() const { return *far_; }

    /// A requester at the near end and a responder at the far one.
    void connect(endpoint &requester, endpoint &responder, ibv_mtu path_mtu) const;

    /// Packets that both queues dropped.
    std::uint64_t lost() const;

  private:
    void remove() noexcept;

    std::optional<device> near_;
    std::optional<device> far_;
};

} // namespace odp_test
