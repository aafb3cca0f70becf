// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// The kinds of memory that an MR can lie over, each made the same way: a length goes in, a mapping
// (and for most a file behind it) comes out. A kind is verified when it is made: a file that should
// be on DAX and is not fails, so that no test passes on the wrong memory.

#pragma once

#include "error.hpp"

#include <cstddef>
#include <cstdint>
#include <iosfwd>
#include <span>
#include <string>
#include <utility>

namespace odp_test {

enum class memory_kind {
    anonymous,
    tmpfs,
    memfd,
    ext4,
    xfs,
    ext4_dax,
    xfs_dax,
    btrfs,
    hugetlb,    ///< a file of huge pages
    device_dax, ///< persistent memory without a file system; one area at a time, of zeros
};

/// Those of small pages that the guest has from its start.
inline constexpr memory_kind all_memory_kinds[] = {
    memory_kind::anonymous, memory_kind::tmpfs,    memory_kind::memfd,  memory_kind::ext4,
    memory_kind::xfs,       memory_kind::ext4_dax, memory_kind::xfs_dax};

/// "Ext4Dax", for test names.
std::string kind_name(memory_kind kind);

/// How GoogleTest prints it.
void PrintTo(memory_kind kind, std::ostream *out);

/// Whether there is a file behind it.
bool has_file(memory_kind kind);

std::size_t page_size();

/// The pages of the kind, in bytes: a length is a multiple of it, and what is mapped, unmapped or
/// protected.
std::size_t unit_size(memory_kind kind);

/// Where files of the kind are; for those that have a directory.
std::string directory_of(memory_kind kind);

/// A new address, far from where the kernel places mappings by itself, for mmap() to start at. What
/// a test unmaps there stays unmapped; elsewhere the next queue or buffer of the process takes its
/// place.
void *lonely_va();

/// An open file; -1 is none.
class file {
  public:
    file() = default;
    explicit file(int descriptor) : descriptor_(descriptor) {}
    file(file &&other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
    file &operator=(file &&other) noexcept {
        std::swap(descriptor_, other.descriptor_);
        return *this;
    }
    ~file();

    int descriptor() const { return descriptor_; }
    void truncate(std::size_t length) const;
    /// Frees the blocks of [start, start + length) and keeps the length.
    void punch_hole(std::size_t start, std::size_t length) const;
    /// Through the system call, past any mapping.
    void read(std::span<std::uint8_t> bytes, std::size_t start) const;
    void write(std::span<const std::uint8_t> bytes, std::size_t start) const;
    /// Leaves its content to the disk, none of it in the page cache; nobody may have it mapped.
    void leave_page_cache() const;

  private:
    bool is_in_page_cache() const;

    int descriptor_ = -1;
};

/// A new, empty, nameless file of the kind; for device_dax the device.
file make_file(memory_kind kind);

/// A mapping, unmapped at the end.
class mapping {
  public:
    mapping() = default;
    mapping(std::size_t length, int protection, int flags, int descriptor = -1,
            std::size_t offset = 0, void *at = nullptr);
    mapping(mapping &&other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}
    mapping &operator=(mapping &&other) noexcept {
        std::swap(bytes_, other.bytes_);
        return *this;
    }
    ~mapping() { unmap(); }

    std::uint8_t *data() const { return bytes_.data(); }
    std::size_t size() const { return bytes_.size(); }
    std::span<std::uint8_t> bytes() const { return bytes_; }
    std::span<std::uint8_t> bytes(std::size_t start, std::size_t length) const {
        return bytes_.subspan(start, length);
    }

    void unmap();
    void protect(int protection) const;
    void advise(int advice) const;
    /// MADV_FREE that really frees the pages lazily, wherever they were faulted in.
    void free_lazily() const;
    /// MADV_PAGEOUT that really takes the pages, wherever they were faulted in.
    void page_out() const;
    /// Maps another file over it, shared and writable, from the file's start.
    void replace_by(const file &other) const;
    /// Moves it to an address of the kernel's choice; the old range is left unmapped.
    void move();

  private:
    void advise_lists(int advice) const;

    std::span<std::uint8_t> bytes_;
};

/// A shared, writable mapping of new memory of the kind, and the file behind it if it has one.
struct memory {
    memory(memory_kind kind, std::size_t length);

    memory_kind kind;
    file backing;
    mapping map;
};

} // namespace odp_test
