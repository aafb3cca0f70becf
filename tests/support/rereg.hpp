// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// ibv_rereg_mr(3) as the kernel has it: not every provider does.

#pragma once

#include "verbs.hpp"

namespace odp_test {

/// What is to change: each that has a value.
struct registration_change {
    ibv_pd *protection_domain = nullptr; ///< of the same process's same opening of the device
    std::optional<int> access{};
    std::optional<std::span<const std::uint8_t>> memory{};
};

/// 0 or the errno value. The keys stay what they are.
int reregister(const device &device, const region &mr, const registration_change &change);

} // namespace odp_test
