// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// The peer's side of a veth pair, by a packet socket; see roce_peer.hpp.

#include "roce_peer.hpp"

#include <arpa/inet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netpacket/packet.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <format>
#include <fstream>
#include <stdexcept>

namespace odp_test {

namespace {

constexpr std::size_t aeth_length = 4;

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

roce_peer::roce_peer(const device &device)
    : target_interface_(interface_of(device)), own_interface_(peer_of(target_interface_)),
      ends_{.target_mac = mac_of(target_interface_), .own_mac = mac_of(own_interface_)},
      gid_(device.gid()),
      socket_(checked(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, htons(ETH_P_IP)),
                      "opening a packet socket; the tests need root")) {
    std::copy_n(gid_.raw + 12, ends_.target_ip.size(), ends_.target_ip.begin());
    ++gid_.raw[15];
    std::copy_n(gid_.raw + 12, ends_.own_ip.size(), ends_.own_ip.begin());
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
    std::memcpy(&address.sin_addr, ends_.own_ip.data(), ends_.own_ip.size());
    std::memcpy(&entry.arp_pa, &address, sizeof address);
    entry.arp_ha.sa_family = ARPHRD_ETHER;
    std::memcpy(entry.arp_ha.sa_data, ends_.own_mac.data(), ends_.own_mac.size());
    entry.arp_flags = ATF_COM | ATF_PERM;
    target_interface_.copy(entry.arp_dev, sizeof entry.arp_dev - 1);
    const file any(checked(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), "opening a socket"));
    checked(ioctl(any.descriptor(), request, &entry), "setting a neighbour's address");
}

void roce_peer::send(std::uint32_t to_queue_pair, const roce_request &request) const {
    send_frame(roce_frame(ends_, roce_transport(to_queue_pair, request), request.headers_twice));
}

void roce_peer::send_frame(std::span<const std::uint8_t> frame) const {
    checked(::send(socket_.descriptor(), frame.data(), frame.size(), 0), "sending a frame");
}

std::optional<roce_answer> roce_peer::receive(std::chrono::milliseconds deadline) const {
    constexpr std::size_t bth_start = ethernet_length + ip_length + udp_length;
    const auto end = std::chrono::steady_clock::now() + deadline;
    wire_bytes frame(16UZ * 1024);
    for (;;) {
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
            end - std::chrono::steady_clock::now());
        const int patience = static_cast<int>(std::max<std::int64_t>(left.count(), 0));
        pollfd ready{.fd = socket_.descriptor(), .events = POLLIN, .revents = 0};
        if (checked(poll(&ready, 1, patience), "waiting for a frame") == 0)
            return std::nullopt;
        const auto length = static_cast<std::size_t>(checked(
            recv(socket_.descriptor(), frame.data(), frame.size(), 0), "receiving a frame"));
        const auto bytes = std::span<const std::uint8_t>(frame).first(length);
        if (length < bth_start + bth_length + aeth_length ||
            bytes[ethernet_length + 9] != udp_protocol ||
            !std::ranges::equal(bytes.subspan(ethernet_length + 16, 4), ends_.own_ip) ||
            get24(bytes.subspan(bth_start + 5)) != queue_pair)
            continue;
        return parse(bytes.subspan(bth_start), length - bth_start);
    }
}

} // namespace odp_test
