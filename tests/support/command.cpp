// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// See command.hpp.

#include "command.hpp"

#include <sys/wait.h>

#include <cstdlib>
#include <format>
#include <stdexcept>

namespace odp_test {

void run_command(const std::string &command) {
    const int status = std::system((command + " >/dev/null").c_str());
    if (status == -1 || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
        throw std::runtime_error(std::format("'{}' failed with status {:#x}", command, status));
}

} // namespace odp_test
