// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// A user of the mirror core for the stress test, whose region and queue pairs can be replaced while
// an access is under way.

#pragma once

#include "memory_access.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <span>

namespace odp_test {

/// What a prefetch may do.
enum class prefetch_mode { read, write, present };

class stress_user {
  public:
    virtual ~stress_user() = default;

    /// An access that another thread can run and repeat, with as many bytes as it was made for, and
    /// that stays with the region and the queue pair of now. One at a time: it has to end before
    /// the next is made.
    using access = std::function<access_result(std::span<std::uint8_t>)>;
    virtual access writing(std::uint8_t *va, std::size_t length) = 0;
    virtual access reading(std::uint8_t *va, std::size_t length) = 0;
    /// After an access that was refused; does nothing for a user that goes on by itself.
    virtual void recover() = 0;
    /// Returns the errno value.
    virtual int prefetch(std::uint8_t *va, std::size_t length, prefetch_mode mode, bool wait) = 0;

    /// Destroys the region and makes another: of the whole address space, or of [va, va + length)
    /// with an iova that depends on @shift.
    virtual void replace_region_by_whole() = 0;
    virtual void replace_region(std::uint8_t *va, std::size_t length, std::uint64_t shift) = 0;
    /// Starts writing and takes the queue pair, or else the region, away while that runs. The bytes
    /// may arrive or not.
    virtual void write_and_destroy(std::uint8_t *va, std::span<std::uint8_t> bytes) = 0;
};

/// @longest: bytes of an access.
std::unique_ptr<stress_user> make_stress_user(access_path path, std::size_t longest);

} // namespace odp_test
