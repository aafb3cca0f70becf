// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// A peer that speaks RoCE v2 without a driver: it puts frames of its own making on the wire that a
// device is on, and takes the answers from there. For what no verb sends. The device's interface
// must be one end of a veth pair; the peer sits at the other end, under the IPv4 address after the
// device's, which nobody else has.

#pragma once

#include "memory.hpp"
#include "verbs.hpp"

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace odp_test {

using wire_bytes = std::vector<std::uint8_t>;
using mac_address = std::array<std::uint8_t, 6>;
using ipv4_address = std::array<std::uint8_t, 4>;

/// Opcodes of the reliable connection (IBTA volume 1, 9.2.1).
enum class rc_opcode : std::uint8_t {
    write_first = 0x06,
    write_middle = 0x07,
    write_last = 0x08,
    write_only = 0x0a,
    read_request = 0x0c,
    read_response_first = 0x0d,
    read_response_middle = 0x0e,
    read_response_last = 0x0f,
    read_response_only = 0x10,
    acknowledge = 0x11,
    atomic_acknowledge = 0x12,
    compare_swap = 0x13,
    fetch_add = 0x14,
    flush = 0x1c,
};

/// Extended transport headers, as they are on the wire.
wire_bytes rdma_header(remote_target at, std::uint32_t length);
wire_bytes atomic_header(remote_target at, std::uint64_t swap_or_add, std::uint64_t compare);
/// @level is not an ibv_selectivity_level: the reserved ones can be sent, too.
wire_bytes flush_header(ibv_placement_type type, unsigned level, remote_target at,
                        std::uint32_t length);

/// A request, which always asks for an acknowledgement.
struct roce_request {
    rc_opcode opcode;
    std::uint32_t psn = 0;
    wire_bytes header{};  ///< extended transport headers
    wire_bytes payload{}; ///< without padding
    /// The CRC is over all from the BTH on once more, as the unmodified rxe has it for a FLUSH.
    bool headers_twice = false;
};

/// Acknowledgement syndromes (9.7.5.2): the upper bits of a positive one are 0.
inline constexpr std::uint8_t syndrome_class = 0xe0;
inline constexpr std::uint8_t rnr_nak = 0x20; ///< of that class; the rest is a time
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
    /// The next frame that is an answer to this peer, if one comes.
    std::optional<roce_answer>
    receive(std::chrono::milliseconds deadline = std::chrono::seconds(5)) const;

  private:
    void set_neighbour(unsigned long request) const;

    std::string target_interface_;
    std::string own_interface_;
    mac_address target_mac_;
    mac_address own_mac_;
    ipv4_address target_ip_{};
    ipv4_address own_ip_{};
    ibv_gid gid_{};
    file socket_;
};

} // namespace odp_test
