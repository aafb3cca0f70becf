// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// The client maps its source file, asks the server for a place, WRITEs straight from one mapping
// into the other, and READs the result back into fresh memory to compare. Its own side goes through
// an implicit MR too: neither the source mapping nor the buffers were ever registered by
// themselves.

#include "client.hpp"

#include "channel.hpp"
#include "error.hpp"
#include "mapped_file.hpp"
#include "protocol.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <format>
#include <memory>
#include <print>
#include <stdexcept>

namespace demo {

namespace {

reply ask(channel &server, const request &question, const std::string &doing) {
    reply answer;
    server.post_receive(&answer, sizeof answer);
    server.send(&question, sizeof question);
    if (!server.wait_received())
        throw std::runtime_error("the server went away while " + doing);
    if (answer.error != 0)
        fail("the server failed " + doing, answer.error);
    return answer;
}

request open_request(const std::string &path, std::size_t length) {
    request question{.what = step::open, .length = length};
    if (path.size() >= question.path.size())
        throw std::runtime_error(
            std::format("the path {} is longer than {} bytes", path, question.path.size() - 1));
    std::ranges::copy(path, question.path.begin());
    return question;
}

/// Bytes per microsecond, which is 10^6 bytes per second, of what @action moves.
template <class action_type>
double timed(std::size_t length, action_type action) {
    const auto start = std::chrono::steady_clock::now();
    action();
    const std::chrono::duration<double, std::micro> taken =
        std::chrono::steady_clock::now() - start;
    return static_cast<double>(length) / taken.count();
}

std::string counted(std::uint64_t value) {
    return value == not_counted ? "-" : std::to_string(value);
}

} // namespace

bool copy(const std::string &address, const std::string &port, const std::string &source,
          std::span<const std::string> destinations) {
    channel server = channel::dial(address, port);
    const mapped_file file = mapped_file::open(source); // an empty file cannot be mapped
    const std::string source_hash = sha256(file.bytes());
    const std::size_t length = file.size();
    bool all_equal = true;

    std::println("destination\tbytes\twrite_MB/s\tread_MB/s\tfaults\tinvalidations\tpages\tchunks\t"
                 "source_sha256\tread_back_sha256");
    for (const auto &path : destinations) {
        const auto place = ask(server, open_request(path, length), "opening " + path);
        const double write_rate =
            timed(length, [&] { server.write(file.data(), place.va, place.rkey, length); });
        const auto buffer = std::make_unique_for_overwrite<std::byte[]>(length);
        const double read_rate =
            timed(length, [&] { server.read(buffer.get(), place.va, place.rkey, length); });
        const auto counts = ask(server, {.what = step::finish}, "finishing " + path).statistics;

        const std::string read_back_hash = sha256({buffer.get(), length});
        all_equal = all_equal && read_back_hash == source_hash;
        std::println("{}\t{}\t{:.1f}\t{:.1f}\t{}\t{}\t{}\t{}\t{}\t{}", path, length, write_rate,
                     read_rate, counted(counts.faults), counted(counts.invalidations),
                     counted(counts.pages), counted(counts.chunks), source_hash, read_back_hash);
        std::fflush(stdout);
    }
    return all_equal;
}

} // namespace demo
