// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// A peer that speaks RoCE v2 without a driver: it puts frames of its own making on the wire that a
// device is on, and takes the answers from there. For what no verb sends. The device's interface
// must be one end of a veth pair; the peer sits at the other end, under the IPv4 address after the
// device's, which nobody else has.

#pragma once

#include "memory.hpp"
#include "roce_frame.hpp"
#include "verbs.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

namespace odp_test {

/// Acknowledgement syndromes (9.7.5.2): the upper bits of a positive one are 0.
inline constexpr std::uint8_t syndrome_class = 0xe0;
inline constexpr std::uint8_t rnr_nak = 0x20; ///< of that class; the rest is a time
inline constexpr std::uint8_t nak_sequence_error = 0x60;
inline constexpr std::uint8_t nak_invalid_request = 0x61;
inline constexpr std::uint8_t nak_remote_access_error = 0x62;

struct roce_answer {
    rc_opcode opcode;
    std::uint32_t psn;
    std::uint8_t syndrome; ///< all answers but the middle of a READ response have one
    wire_bytes payload;    ///< of READ responses

    bool is_positive() const { return syndrome < 0x20; }
};

class roce_peer {
  public:
    explicit roce_peer(const device &device);
    roce_peer(const roce_peer &) = delete;
    roce_peer &operator=(const roce_peer &) = delete;
    ~roce_peer();

    /// What a queue pair of the device is to be connected to.
    const ibv_gid &gid() const { return gid_; }
    static constexpr std::uint32_t queue_pair = 0x4d2;

    void send(std::uint32_t to_queue_pair, const roce_request &request) const;
    /// Whatever it is.
    void send_frame(std::span<const std::uint8_t> frame) const;
    const roce_ends &ends() const { return ends_; }
    /// The next frame that is an answer to this peer, if one comes.
    std::optional<roce_answer>
    receive(std::chrono::milliseconds deadline = std::chrono::seconds(5)) const;

  private:
    void set_neighbour(unsigned long request) const;

    std::string target_interface_;
    std::string own_interface_;
    roce_ends ends_;
    ibv_gid gid_{};
    file socket_;
};

} // namespace odp_test
