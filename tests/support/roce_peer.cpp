// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// Frames by hand; see roce_peer.hpp. A frame is Ethernet, IPv4, UDP, the base transport header
// (BTH), extended headers, payload, padding to a multiple of 4, and the invariant CRC (IBTA annex
// A17.3.3): CRC-32 over 8 bytes of ones and all that follows the Ethernet header, in which the
// fields that a router may change are ones, too.

#include "roce_peer.hpp"

#include <arpa/inet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netpacket/packet.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <zlib.h>

#include <algorithm>
#include <concepts>
#include <cstring>
#include <format>
#include <fstream>
#include <stdexcept>

namespace odp_test {

namespace {

constexpr std::uint16_t roce_port = 4791;
constexpr std::uint16_t source_port = 49152;
constexpr std::uint8_t udp_protocol = 17;
constexpr std::size_t ethernet_length = 14;
constexpr std::size_t ip_length = 20;
constexpr std::size_t udp_length = 8;
constexpr std::size_t bth_length = 12;
constexpr std::size_t aeth_length = 4;
constexpr std::size_t icrc_length = 4;

// Appends in network byte order.
template <std::unsigned_integral value_type>
void put(wire_bytes &bytes, value_type value) {
    for (int shift = 8 * (static_cast<int>(sizeof value) - 1); shift >= 0; shift -= 8)
        bytes.push_back(static_cast<std::uint8_t>(value >> shift));
}

void put(wire_bytes &bytes, std::span<const std::uint8_t> more) {
    bytes.insert(bytes.end(), more.begin(), more.end());
}

std::uint32_t get24(std::span<const std::uint8_t> bytes) {
    return std::uint32_t{bytes[0]} << 16 | std::uint32_t{bytes[1]} << 8 | bytes[2];
}

std::string first_line(const std::string &path) {
    std::ifstream input(path);
    std::string line;
    if (!std::getline(input, line))
        throw std::runtime_error(path + " cannot be read");
    return line;
}

std::string interface_of(const device &device) {
    return first_line(std::format("/sys/class/infiniband/{}/ports/1/gid_attrs/ndevs/{}",
                                  device.name(), device.gid_index()));
}

// The other end of a veth pair.
std::string peer_of(const std::string &interface) {
    const std::string index = first_line(std::format("/sys/class/net/{}/iflink", interface));
    char name[IF_NAMESIZE];
    if (if_indextoname(static_cast<unsigned>(std::stoul(index)), name) == nullptr)
        fail_with_errno("finding the peer of " + interface);
    return name;
}

mac_address mac_of(const std::string &interface) {
    const file any(checked(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), "opening a socket"));
    ifreq request{};
    interface.copy(request.ifr_name, IF_NAMESIZE - 1);
    checked(ioctl(any.descriptor(), SIOCGIFHWADDR, &request), "asking for a MAC address");
    mac_address mac;
    std::memcpy(mac.data(), request.ifr_hwaddr.sa_data, mac.size());
    return mac;
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
        masked[8 + field] = 0xff;
    if (headers_twice)
        put(masked, std::span(packet).subspan(ip_length + udp_length));
    const auto crc = crc32_z(0, masked.data(), masked.size());
    for (int shift = 0; shift < 32; shift += 8) // the one field with its lowest byte first
        packet.push_back(static_cast<std::uint8_t>(crc >> shift));
}

wire_bytes transport(std::uint32_t queue_pair, const roce_request &request) {
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

bool has_aeth(rc_opcode opcode) {
    return opcode != rc_opcode::read_response_middle;
}

roce_answer parse(std::span<const std::uint8_t> bth, std::size_t length) {
    roce_answer answer{.opcode = static_cast<rc_opcode>(bth[0]),
                       .psn = get24(bth.subspan(9)),
                       .syndrome = 0,
                       .payload = {}};
    std::size_t header = bth_length;
    if (has_aeth(answer.opcode)) {
        answer.syndrome = bth[bth_length];
        header += aeth_length;
    }
    const std::size_t padding = bth[1] >> 4 & 3;
    if (length >= header + padding + icrc_length) {
        const auto payload = bth.subspan(header, length - header - padding - icrc_length);
        answer.payload.assign(payload.begin(), payload.end());
    }
    return answer;
}

} // namespace

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

roce_peer::roce_peer(const device &device)
    : target_interface_(interface_of(device)), own_interface_(peer_of(target_interface_)),
      target_mac_(mac_of(target_interface_)), own_mac_(mac_of(own_interface_)), gid_(device.gid()),
      socket_(checked(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, htons(ETH_P_IP)),
                      "opening a packet socket; the tests need root")) {
    std::copy_n(gid_.raw + 12, target_ip_.size(), target_ip_.begin());
    ++gid_.raw[15];
    std::copy_n(gid_.raw + 12, own_ip_.size(), own_ip_.begin());
    sockaddr_ll place{};
    place.sll_family = AF_PACKET;
    place.sll_protocol = htons(ETH_P_IP);
    place.sll_ifindex = static_cast<int>(if_nametoindex(own_interface_.c_str()));
    checked(bind(socket_.descriptor(), reinterpret_cast<sockaddr *>(&place), sizeof place),
            "binding a packet socket");
    set_neighbour(SIOCSARP);
}

roce_peer::~roce_peer() {
    set_neighbour(SIOCDARP);
}

// Nobody answers ARP for an address that no interface has.
void roce_peer::set_neighbour(unsigned long request) const {
    arpreq entry{};
    sockaddr_in address{};
    address.sin_family = AF_INET;
    std::memcpy(&address.sin_addr, own_ip_.data(), own_ip_.size());
    std::memcpy(&entry.arp_pa, &address, sizeof address);
    entry.arp_ha.sa_family = ARPHRD_ETHER;
    std::memcpy(entry.arp_ha.sa_data, own_mac_.data(), own_mac_.size());
    entry.arp_flags = ATF_COM | ATF_PERM;
    target_interface_.copy(entry.arp_dev, sizeof entry.arp_dev - 1);
    const file any(checked(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), "opening a socket"));
    checked(ioctl(any.descriptor(), request, &entry), "setting a neighbour's address");
}

void roce_peer::send(std::uint32_t to_queue_pair, const roce_request &request) const {
    const wire_bytes upper = transport(to_queue_pair, request);
    wire_bytes packet = ip_and_udp(own_ip_, target_ip_, upper.size() + icrc_length);
    put(packet, upper);
    append_icrc(packet, request.headers_twice);
    wire_bytes frame;
    put(frame, target_mac_);
    put(frame, own_mac_);
    put(frame, std::uint16_t{ETH_P_IP});
    put(frame, packet);
    checked(::send(socket_.descriptor(), frame.data(), frame.size(), 0), "sending a frame");
}

std::optional<roce_answer> roce_peer::receive(std::chrono::milliseconds deadline) const {
    constexpr std::size_t bth_start = ethernet_length + ip_length + udp_length;
    const auto end = std::chrono::steady_clock::now() + deadline;
    wire_bytes frame(16UZ * 1024);
    for (;;) {
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
            end - std::chrono::steady_clock::now());
        pollfd ready{.fd = socket_.descriptor(), .events = POLLIN, .revents = 0};
        if (left.count() <= 0 ||
            checked(poll(&ready, 1, static_cast<int>(left.count())), "waiting for a frame") == 0)
            return std::nullopt;
        const auto length = static_cast<std::size_t>(checked(
            recv(socket_.descriptor(), frame.data(), frame.size(), 0), "receiving a frame"));
        const auto bytes = std::span<const std::uint8_t>(frame).first(length);
        if (length < bth_start + bth_length + aeth_length ||
            bytes[ethernet_length + 9] != udp_protocol ||
            !std::ranges::equal(bytes.subspan(ethernet_length + 16, 4), own_ip_) ||
            get24(bytes.subspan(bth_start + 5)) != queue_pair)
            continue;
        return parse(bytes.subspan(bth_start), length - bth_start);
    }
}

} // namespace odp_test
