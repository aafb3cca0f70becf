// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// Two hosts between which packets get lost.

#pragma once

#include "two_hosts.hpp"

namespace odp_test {

class lossy_link : public two_hosts {
  public:
    /// Loses @percent of the packets of each direction; which ones depends on @seed.
    lossy_link(double percent, std::uint64_t seed) : two_hosts(1500) {
        disturb({.loss = percent}, seed);
    }
};

} // namespace odp_test
