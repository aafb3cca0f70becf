// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// A file, mapped shared for as long as the object lives. Nothing here knows of RDMA: the implicit
// MR covers the mapping because it covers everything.

#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace demo {

class mapped_file {
  public:
    /// An existing file, to read.
    static mapped_file open(const std::string &path);
    /// A new file of @length zero bytes, to write; an old one of that name is replaced.
    static mapped_file create(const std::string &path, std::size_t length);

    mapped_file(mapped_file &&other) noexcept;
    mapped_file &operator=(mapped_file &&other) = delete;
    ~mapped_file();

    std::byte *data() const { return bytes_.data(); }
    std::size_t size() const { return bytes_.size(); }
    std::span<const std::byte> bytes() const { return bytes_; }

    /// Returns when everything written through the mapping would survive a power cut.
    void make_durable() const;

  private:
    mapped_file(int descriptor, const std::string &path, int protection);

    int descriptor_;
    std::span<std::byte> bytes_;
};

/// The SHA-256 of @bytes in hexadecimal digits.
std::string sha256(std::span<const std::byte> bytes);

} // namespace demo
