// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// Frames by hand; see roce_frame.hpp. The CRC is CRC-32 over 8 bytes of ones and all that follows
// the Ethernet header, in which the fields that a router may change are ones, too.

#include "roce_frame.hpp"

#include <net/ethernet.h>
#include <zlib.h>

#include <concepts>

namespace odp_test {

namespace {

constexpr std::uint16_t roce_port = 4791;
constexpr std::uint16_t source_port = 49152;
// Appends in network byte order.
template <std::unsigned_integral value_type>
void put(wire_bytes &bytes, value_type value) {
    for (int shift = 8 * (static_cast<int>(sizeof value) - 1); shift >= 0; shift -= 8)
        bytes.push_back(static_cast<std::uint8_t>(value >> shift));
}

void put(wire_bytes &bytes, std::span<const std::uint8_t> more) {
    bytes.insert(bytes.end(), more.begin(), more.end());
}

// The Internet checksum: the ones' complement of the ones' complement sum of 16-bit words.
std::uint16_t checksum(std::span<const std::uint8_t> bytes) {
    std::uint32_t sum = 0;
    for (std::size_t i = 0; i + 1 < bytes.size(); i += 2)
        sum += std::uint32_t{bytes[i]} << 8 | bytes[i + 1];
    while (sum > 0xffff)
        sum = (sum & 0xffff) + (sum >> 16);
    return static_cast<std::uint16_t>(~sum);
}

wire_bytes ip_and_udp(const ipv4_address &from, const ipv4_address &to, std::size_t length) {
    wire_bytes bytes;
    put(bytes, std::uint16_t{0x4500}); // version 4, five words
    put(bytes, static_cast<std::uint16_t>(ip_length + udp_length + length));
    put(bytes, std::uint32_t{0x00004000}); // not to be fragmented
    put(bytes, std::uint8_t{64});
    put(bytes, udp_protocol);
    put(bytes, std::uint16_t{0}); // the checksum's place
    put(bytes, from);
    put(bytes, to);
    const std::uint16_t sum = checksum(bytes);
    bytes[10] = static_cast<std::uint8_t>(sum >> 8);
    bytes[11] = static_cast<std::uint8_t>(sum);
    put(bytes, source_port);
    put(bytes, roce_port);
    put(bytes, static_cast<std::uint16_t>(udp_length + length));
    put(bytes, std::uint16_t{0}); // no UDP checksum
    return bytes;
}

// @packet starts with the IPv4 header and ends where the CRC is to be appended.
void append_icrc(wire_bytes &packet, bool headers_twice) {
    wire_bytes masked(8, 0xff);
    put(masked, packet);
    // Type of service, time to live, both checksums, the BTH's reserved byte.
    for (const std::size_t field : {1, 8, 10, 11, 26, 27, 32})
        if (field < packet.size()) // it may be cut short
            masked[8 + field] = 0xff;
    if (headers_twice)
        put(masked, std::span(packet).subspan(ip_length + udp_length));
    const auto crc = crc32_z(0, masked.data(), masked.size());
    for (int shift = 0; shift < 32; shift += 8) // the one field with its lowest byte first
        packet.push_back(static_cast<std::uint8_t>(crc >> shift));
}

} // namespace

wire_bytes roce_transport(std::uint32_t queue_pair, const roce_request &request) {
    const auto padding = static_cast<unsigned>(-request.payload.size() & 3);
    wire_bytes bytes;
    put(bytes, static_cast<std::uint8_t>(request.opcode));
    put(bytes, static_cast<std::uint8_t>(0x40 | padding << 4)); // may migrate, as every RC packet
    put(bytes, std::uint16_t{0xffff});                          // the default partition
    put(bytes, queue_pair);
    put(bytes, std::uint32_t{1} << 31 | request.psn); // asking for an acknowledgement
    put(bytes, request.header);
    put(bytes, request.payload);
    bytes.resize(bytes.size() + padding);
    return bytes;
}

wire_bytes roce_frame(const roce_ends &ends, std::span<const std::uint8_t> transport,
                      bool headers_twice) {
    wire_bytes packet = ip_and_udp(ends.own_ip, ends.target_ip, transport.size() + icrc_length);
    put(packet, transport);
    append_icrc(packet, headers_twice);
    wire_bytes frame;
    put(frame, ends.target_mac);
    put(frame, ends.own_mac);
    put(frame, std::uint16_t{ETH_P_IP});
    put(frame, packet);
    return frame;
}

wire_bytes rdma_header(remote_target at, std::uint32_t length) {
    wire_bytes bytes;
    put(bytes, at.iova);
    put(bytes, at.rkey);
    put(bytes, length);
    return bytes;
}

wire_bytes atomic_header(remote_target at, std::uint64_t swap_or_add, std::uint64_t compare) {
    wire_bytes bytes;
    put(bytes, at.iova);
    put(bytes, at.rkey);
    put(bytes, swap_or_add);
    put(bytes, compare);
    return bytes;
}

wire_bytes flush_header(ibv_placement_type type, unsigned level, remote_target at,
                        std::uint32_t length) {
    wire_bytes bytes;
    put(bytes, level << 4 | static_cast<std::uint32_t>(type));
    put(bytes, rdma_header(at, length));
    return bytes;
}

} // namespace odp_test
