// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// Commands and methods are laid out by hand: the structures of both end in arrays without a length.

#include "uverbs.hpp"

#include <rdma/ib_user_ioctl_verbs.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <vector>

namespace odp_test {

int write_command(const device &device, ib_uverbs_write_cmds command,
                  std::span<const std::byte> request, std::span<std::byte> response) {
    std::vector<std::byte> bytes(sizeof(ib_uverbs_cmd_hdr) + request.size());
    const ib_uverbs_cmd_hdr header{.command = static_cast<std::uint32_t>(command),
                                   .in_words = static_cast<std::uint16_t>(bytes.size() / 4),
                                   .out_words = static_cast<std::uint16_t>(response.size() / 4)};
    std::memcpy(bytes.data(), &header, sizeof header);
    std::memcpy(bytes.data() + sizeof header, request.data(), request.size());
    const auto written = write(device.context()->cmd_fd, bytes.data(), bytes.size());
    return written == static_cast<ssize_t>(bytes.size()) ? 0 : errno;
}

int call_method(const device &device, std::uint16_t object, std::uint16_t method,
                std::span<const ib_uverbs_attr> attributes) {
    std::vector<std::byte> bytes(sizeof(ib_uverbs_ioctl_hdr) + attributes.size_bytes());
    ib_uverbs_ioctl_hdr header{};
    header.length = static_cast<std::uint16_t>(bytes.size());
    header.object_id = object;
    header.method_id = method;
    header.num_attrs = static_cast<std::uint16_t>(attributes.size());
    header.driver_id = RDMA_DRIVER_RXE; // the kernel compares it with the device's
    std::memcpy(bytes.data(), &header, sizeof header);
    if (!attributes.empty())
        std::memcpy(bytes.data() + sizeof header, attributes.data(), attributes.size_bytes());
    return ioctl(device.context()->cmd_fd, RDMA_VERBS_IOCTL, bytes.data()) == 0 ? 0 : errno;
}

ib_uverbs_attr method_input(std::uint16_t id, std::size_t length, std::uint64_t data) {
    ib_uverbs_attr result{};
    result.attr_id = id;
    result.len = static_cast<std::uint16_t>(length);
    result.flags = UVERBS_ATTR_F_MANDATORY;
    result.data = data;
    return result;
}

} // namespace odp_test
