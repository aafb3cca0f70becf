// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// The uverbs method ADVISE_MR as an ioctl: a header and one attribute for each argument. Small
// input attributes carry their value in the data field itself, larger ones a pointer.

#include "advise.hpp"

#include <rdma/ib_user_ioctl_cmds.h>
#include <rdma/rdma_user_ioctl_cmds.h>
#include <sys/ioctl.h>

#include <array>
#include <cstddef>
#include <cstring>
#include <new>

namespace odp_test {

namespace {

template <class value_type>
ib_uverbs_attr attribute(std::uint16_t id, std::size_t length, value_type data) {
    ib_uverbs_attr result{};
    result.attr_id = id;
    result.len = static_cast<std::uint16_t>(length);
    result.flags = UVERBS_ATTR_F_MANDATORY;
    result.data = static_cast<std::uint64_t>(data);
    return result;
}

} // namespace

int advise(const device &device, ib_uverbs_advise_mr_advice advice, std::uint32_t flags,
           std::span<const ibv_sge> pieces) {
    const std::array attributes{
        attribute(UVERBS_ATTR_ADVISE_MR_PD_HANDLE, 0, device.pd()->handle),
        attribute(UVERBS_ATTR_ADVISE_MR_ADVICE, sizeof(std::uint64_t),
                  static_cast<std::uint64_t>(advice)),
        attribute(UVERBS_ATTR_ADVISE_MR_FLAGS, sizeof flags, flags),
        attribute(UVERBS_ATTR_ADVISE_MR_SGE_LIST, pieces.size_bytes(),
                  reinterpret_cast<std::uintptr_t>(pieces.data())),
    };
    // The header ends in an array without a length, so the two are laid out by hand.
    alignas(ib_uverbs_ioctl_hdr) std::byte command[sizeof(ib_uverbs_ioctl_hdr) + sizeof attributes];
    auto *const header = new (command) ib_uverbs_ioctl_hdr{};
    header->length = sizeof command;
    header->object_id = UVERBS_OBJECT_MR;
    header->method_id = UVERBS_METHOD_ADVISE_MR;
    header->num_attrs = attributes.size();
    header->driver_id = RDMA_DRIVER_RXE; // the kernel compares it with the device's
    std::memcpy(command + sizeof *header, attributes.data(), sizeof attributes);
    return ioctl(device.context()->cmd_fd, RDMA_VERBS_IOCTL, command) == 0 ? 0 : errno;
}

} // namespace odp_test
