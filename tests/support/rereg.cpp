// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// The command REREG_MR, written to the device's file.

#include "rereg.hpp"

#include <rdma/ib_user_verbs.h>
#include <unistd.h>

#include <array>
#include <bit>
#include <cerrno>
#include <cstddef>
#include <cstring>

namespace odp_test {

int reregister(const device &device, const region &mr, const registration_change &change) {
    ib_uverbs_rereg_mr_resp response{};
    ib_uverbs_rereg_mr request{};
    request.response = std::bit_cast<std::uintptr_t>(&response);
    request.mr_handle = mr.mr()->handle;
    if (change.protection_domain != nullptr) {
        request.flags |= IBV_REREG_MR_CHANGE_PD;
        request.pd_handle = change.protection_domain->handle;
    }
    if (change.access) {
        request.flags |= IBV_REREG_MR_CHANGE_ACCESS;
        request.access_flags = static_cast<std::uint32_t>(*change.access);
    }
    if (change.memory) {
        request.flags |= IBV_REREG_MR_CHANGE_TRANSLATION;
        request.start = std::bit_cast<std::uintptr_t>(change.memory->data());
        request.hca_va = request.start;
        request.length = change.memory->size();
    }
    // The request ends in an array without a length, so the two are laid out by hand.
    std::array<std::byte, sizeof(ib_uverbs_cmd_hdr) + sizeof request> command;
    const ib_uverbs_cmd_hdr header{.command = IB_USER_VERBS_CMD_REREG_MR,
                                   .in_words = command.size() / 4,
                                   .out_words = sizeof response / 4};
    std::memcpy(command.data(), &header, sizeof header);
    std::memcpy(command.data() + sizeof header, &request, sizeof request);
    const auto written = write(device.context()->cmd_fd, command.data(), command.size());
    return written == static_cast<ssize_t>(command.size()) ? 0 : errno;
}

} // namespace odp_test
