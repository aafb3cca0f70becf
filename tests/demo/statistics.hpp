// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// What the mirror under this process's MR has counted so far.

#pragma once

#include "protocol.hpp"

namespace demo {

/// Everything not_counted where the kernel has no mirror statistics, or this process may not read
/// them: the copy works all the same.
mirror_statistics read_statistics();

/// What happened from @before to @after; gauges are those of @level.
mirror_statistics difference(const mirror_statistics &before, const mirror_statistics &level,
                             const mirror_statistics &after);

} // namespace demo
