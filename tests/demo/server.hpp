// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// The side that owns the files.

#pragma once

#include <string>

namespace demo {

/// Serves one client after another; returns only by an exception.
[[noreturn]] void serve(const std::string &address, const std::string &port);

} // namespace demo
