// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// The uverbs method ADVISE_MR: one attribute for each argument.

#include "advise.hpp"

#include "uverbs.hpp"

#include <rdma/ib_user_ioctl_cmds.h>

#include <array>

namespace odp_test {

int advise(const device &device, ib_uverbs_advise_mr_advice advice, std::uint32_t flags,
           std::span<const ibv_sge> pieces) {
    const std::array attributes{
        method_input(UVERBS_ATTR_ADVISE_MR_PD_HANDLE, 0, device.pd()->handle),
        method_input(UVERBS_ATTR_ADVISE_MR_ADVICE, sizeof(std::uint64_t),
                     static_cast<std::uint64_t>(advice)),
        method_input(UVERBS_ATTR_ADVISE_MR_FLAGS, sizeof flags, flags),
        method_input(UVERBS_ATTR_ADVISE_MR_SGE_LIST, pieces.size_bytes(),
                     reinterpret_cast<std::uintptr_t>(pieces.data())),
    };
    return call_method(device, UVERBS_OBJECT_MR, UVERBS_METHOD_ADVISE_MR, attributes);
}

} // namespace odp_test
