// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// What to look at when something that had to happen did not. The guest is gone when the failure is
// read, so the failure has to bring it along.

#pragma once

#include <string>

namespace odp_test {

/// For an operation that did not complete in time: the device's counters and queue pairs, the
/// mirrors, and where in the mirror and rxe each task is. Tells who waits from who is only slow.
std::string state_of_device(const std::string &device_name);

/// What the kernel logged about programs that were killed and memory that it did not have.
std::string obituaries();

} // namespace odp_test
