// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// Files and their hashes; see mapped_file.hpp.

#include "mapped_file.hpp"

#include "error.hpp"

#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <format>
#include <stdexcept>
#include <utility>

namespace demo {

mapped_file mapped_file::open(const std::string &path) {
    const int descriptor = checked(::open(path.c_str(), O_RDONLY | O_CLOEXEC), "opening " + path);
    return mapped_file(descriptor, path, PROT_READ);
}

mapped_file mapped_file::create(const std::string &path, std::size_t length) {
    const int descriptor = checked(
        ::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644), "creating " + path);
    if (ftruncate(descriptor, static_cast<off_t>(length)) == -1) {
        const int error = errno;
        close(descriptor);
        fail(std::format("giving {} a length of {} bytes", path, length), error);
    }
    return mapped_file(descriptor, path, PROT_READ | PROT_WRITE);
}

mapped_file::mapped_file(int descriptor, const std::string &path, int protection)
    : descriptor_(descriptor) {
    struct stat status{};
    void *address = MAP_FAILED;
    if (fstat(descriptor, &status) == 0)
        address = mmap(nullptr, static_cast<std::size_t>(status.st_size), protection, MAP_SHARED,
                       descriptor, 0);
    if (address == MAP_FAILED) {
        const int error = errno;
        close(descriptor);
        fail(std::format("mapping {}, {} bytes", path, status.st_size), error);
    }
    bytes_ = {static_cast<std::byte *>(address), static_cast<std::size_t>(status.st_size)};
}

mapped_file::mapped_file(mapped_file &&other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)), bytes_(std::exchange(other.bytes_, {})) {}

mapped_file::~mapped_file() {
    if (descriptor_ == -1)
        return;
    munmap(bytes_.data(), bytes_.size());
    close(descriptor_);
}

void mapped_file::make_durable() const {
    checked(msync(bytes_.data(), bytes_.size(), MS_SYNC), "writing a mapping back");
    checked(fsync(descriptor_), "making a file durable");
}

std::string sha256(std::span<const std::byte> bytes) {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned length = 0;
    if (EVP_Digest(bytes.data(), bytes.size(), digest.data(), &length, EVP_sha256(), nullptr) != 1)
        throw std::runtime_error("computing a SHA-256 failed");
    std::string digits;
    for (const unsigned char byte : std::span(digest).first(length))
        digits += std::format("{:02x}", byte);
    return digits;
}

} // namespace demo
