// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// What client and server of odp_file_copy say to each other in SEND messages. A copy is four steps:
//
//   client                                   server
//   request{open, path, length}        ->    creates, sizes and maps the file
//                                      <-    reply{where the mapping is, and its rkey}
//   RDMA WRITE and READ, as many as it likes; the server's CPU takes no part
//   request{finish}                    ->    makes the file durable, unmaps it
//                                      <-    reply{what the mirror counted meanwhile}
//
// Both ends are built from this header for one kind of machine, so integers go as they are.

#pragma once

#include <array>
#include <cstdint>
#include <type_traits>

namespace demo {

enum class step : std::uint32_t { open = 1, finish = 2 };

struct request {
    step what{};
    std::uint32_t reserved = 0;
    std::uint64_t length = 0;     ///< open: bytes that the file shall have
    std::array<char, 240> path{}; ///< open: ends in a zero byte
};

/// What the mirror under the server's MR did between two points in time. A gauge is its level, not
/// a difference. All ones: this kernel does not count it.
struct mirror_statistics {
    std::uint64_t faults = 0;
    std::uint64_t invalidations = 0;
    std::uint64_t pages = 0;  ///< mapped into the mirror
    std::uint64_t chunks = 0; ///< gauge, while the file was mapped
};

inline constexpr std::uint64_t not_counted = ~std::uint64_t{0};

struct reply {
    std::int32_t error = 0; ///< errno value of what failed on the server, 0 if nothing did
    std::uint32_t rkey = 0;
    std::uint64_t va = 0; ///< where the file is mapped; an implicit MR's iova is the va
    mirror_statistics statistics{};
};

static_assert(sizeof(request) == 256 && std::is_trivially_copyable_v<request>);
static_assert(sizeof(reply) == 48 && std::is_trivially_copyable_v<reply>);

} // namespace demo
