// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// One access to this process's memory by a device, whichever user of the mirror core it goes
// through: so that a test about memory is written once and holds for both.

#pragma once

#include "memory.hpp"

#include <cstdint>
#include <iosfwd>
#include <memory>
#include <span>
#include <string>

namespace odp_test {

enum class access_path {
    test_device, ///< /dev/odp_mirror_test, a window over the whole address space
    rxe,         ///< RDMA READ and WRITE over a queue pair, an implicit MR
};

/// "Device" or "Rxe", for test names.
std::string path_name(access_path path);

/// How GoogleTest prints it.
void PrintTo(access_path path, std::ostream *out);

/// How an access ended. Anything else throws.
enum class access_result { done, refused };

void PrintTo(access_result result, std::ostream *out);

class memory_access {
  public:
    virtual ~memory_access() = default;

    virtual access_result write(const std::uint8_t *va, std::span<const std::uint8_t> bytes) = 0;
    virtual access_result read(const std::uint8_t *va, std::span<std::uint8_t> bytes) = 0;

    /// The most that one access takes.
    static constexpr std::size_t longest = std::size_t{2} << 20;
};

std::unique_ptr<memory_access> make_access(access_path path);

} // namespace odp_test
