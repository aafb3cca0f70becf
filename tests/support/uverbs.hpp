// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// The kernel's own interface to verbs, for calls that no provider makes: a command written to the
// device's file (<rdma/ib_user_verbs.h>), or a method called by ioctl
// (<rdma/rdma_user_ioctl_cmds.h>).

#pragma once

#include "verbs.hpp"

#include <rdma/ib_user_verbs.h>
#include <rdma/rdma_user_ioctl_cmds.h>

#include <cstddef>
#include <cstdint>
#include <span>

namespace odp_test {

/// Both return the errno value, 0 for success. Sizes are multiples of 4. A command that has an
/// answer begins with the address of @response.
int write_command(const device &device, ib_uverbs_write_cmds command,
                  std::span<const std::byte> request, std::span<std::byte> response);
int call_method(const device &device, std::uint16_t object, std::uint16_t method,
                std::span<const ib_uverbs_attr> attributes);

/// An argument of a method: @data is the value itself if @length is at most 8, or its address.
/// Handles have length 0.
ib_uverbs_attr method_input(std::uint16_t id, std::size_t length, std::uint64_t data);

/// The structures of <rdma/ib_user_verbs.h> end in arrays without a length, so that std::span does
/// not take them.
template <class object_type>
std::span<const std::byte> as_bytes(const object_type &object) {
    return {reinterpret_cast<const std::byte *>(&object), sizeof object};
}
template <class object_type>
std::span<std::byte> as_writable_bytes(object_type &object) {
    return {reinterpret_cast<std::byte *>(&object), sizeof object};
}

} // namespace odp_test
