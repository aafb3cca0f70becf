// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// RoCE v2 frames, made byte by byte: for what no verb sends. A frame is Ethernet, IPv4, UDP, the
// base transport header (BTH), extended headers, payload, padding to a multiple of 4, and the
// invariant CRC (IBTA annex A17.3.3).

#pragma once

#include "verbs.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace odp_test {

using wire_bytes = std::vector<std::uint8_t>;
using mac_address = std::array<std::uint8_t, 6>;
using ipv4_address = std::array<std::uint8_t, 4>;

/// What a frame is made of, in this order.
inline constexpr std::size_t ethernet_length = 14;
inline constexpr std::size_t ip_length = 20;
inline constexpr std::size_t udp_length = 8;
inline constexpr std::size_t bth_length = 12;
inline constexpr std::size_t icrc_length = 4;

inline constexpr std::uint8_t udp_protocol = 17;

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
    atomic_write = 0x1d,
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

/// Who a frame is from, and for whom.
struct roce_ends {
    mac_address target_mac{};
    mac_address own_mac{};
    ipv4_address target_ip{};
    ipv4_address own_ip{};
};

/// From the BTH to the padding.
wire_bytes roce_transport(std::uint32_t queue_pair, const roce_request &request);

/// @transport in a frame with a CRC that fits. @headers_twice: see roce_request.
wire_bytes roce_frame(const roce_ends &ends, std::span<const std::uint8_t> transport,
                      bool headers_twice = false);

} // namespace odp_test
