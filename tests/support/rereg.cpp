// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// The command REREG_MR, written to the device's file.

#include "rereg.hpp"

#include "uverbs.hpp"

#include <bit>
#include <cstdint>

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
    return write_command(device, IB_USER_VERBS_CMD_REREG_MR, as_bytes(request),
                         as_writable_bytes(response));
}

} // namespace odp_test
