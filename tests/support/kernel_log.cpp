// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// Reads /dev/kmsg: one record per read(), "PRIORITY,SEQUENCE,TIME,FLAGS;TEXT", the low three bits
// of PRIORITY being the level. EAGAIN is the end; EPIPE says that records were overwritten, after
// which reading goes on with the oldest one left.

#include "kernel_log.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>

namespace odp_test {

namespace {

constexpr unsigned long warning_level = 4;

bool offends(const std::string &record) {
    const unsigned long level = std::strtoul(record.c_str(), nullptr, 10) & 7;
    const auto text = record.find(';');
    return level <= warning_level || record.find("rxe", text) != std::string::npos ||
           record.find("odp_mirror", text) != std::string::npos;
}

} // namespace

kernel_log::kernel_log()
    : messages_(checked(open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC),
                        "opening the kernel log; the tests need root")) {
    checked(lseek(messages_.descriptor(), 0, SEEK_END), "seeking to the end of the kernel log");
}

std::vector<std::string> kernel_log::offending_lines() {
    std::vector<std::string> lines;
    std::string record(8192, '\0');
    for (;;) {
        const auto length = ::read(messages_.descriptor(), record.data(), record.size());
        if (length > 0) {
            std::string line = record.substr(0, static_cast<std::size_t>(length));
            if (offends(line))
                lines.push_back(std::move(line));
        } else if (errno == EPIPE) {
            lines.emplace_back("(the log overflowed: some lines are lost)");
        } else if (errno == EAGAIN) {
            return lines;
        } else {
            fail_with_errno("reading the kernel log");
        }
    }
}

} // namespace odp_test
