// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// Prefetch advice for an MR, by the kernel's own interface: the distribution's provider does not
// have ibv_advise_mr(), and what the kernel does with a bad lkey must not depend on a provider.

#pragma once

#include "verbs.hpp"

#include <rdma/ib_user_ioctl_verbs.h>

#include <span>

namespace odp_test {

/// Returns the errno value, 0 for success. @flags: IB_UVERBS_ADVISE_MR_FLAG_FLUSH waits for it.
int advise(const device &device, ib_uverbs_advise_mr_advice advice, std::uint32_t flags,
           std::span<const ibv_sge> pieces);

} // namespace odp_test
