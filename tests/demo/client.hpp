// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// The side that has something to store.

#pragma once

#include <span>
#include <string>

namespace demo {

/// Copies @source to each of @destinations on the server, reads each back, and prints one line of
/// fields per destination. True when everything that was read back equals the source.
bool copy(const std::string &address, const std::string &port, const std::string &source,
          std::span<const std::string> destinations);

} // namespace demo
