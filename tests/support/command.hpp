// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// Programs that set up what a test needs, where the kernel's own interface would take more code
// than the test: mkfs, mount, ndctl.

#pragma once

#include <string>

namespace odp_test {

/// By the shell; throws unless it succeeds. What it prints to stdout is dropped.
void run_command(const std::string &command);

} // namespace odp_test
