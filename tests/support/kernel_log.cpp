// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// Reads /dev/kmsg: one record per read(), "PRIORITY,SEQUENCE,TIME,FLAGS;TEXT", the low three bits
// of PRIORITY being the level. EAGAIN is the end; EPIPE says that records were overwritten, after
// which reading goes on with the oldest one left.
//
// KCSAN frames its reports by rules of "=". What is told apart here, lab/odplab/console.py tells
// apart on the console, by the same signs.

#include "kernel_log.hpp"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <string_view>

namespace odp_test {

namespace {

constexpr unsigned long warning_level = 4;
/// For the rest of a report that is being written.
constexpr int patience_ms = 1000;

std::string_view text_of(std::string_view record) {
    const auto semicolon = record.find(';');
    return semicolon == std::string_view::npos ? record : record.substr(semicolon + 1);
}

bool offends(const std::string &record) {
    const unsigned long level = std::strtoul(record.c_str(), nullptr, 10) & 7;
    const auto text = text_of(record);
    return level <= warning_level || text.contains("rxe") || text.contains("odp_mirror");
}

bool is_rule(std::string_view record) {
    return text_of(record).starts_with("==============================");
}

bool names_a_race(std::string_view record) {
    return text_of(record).starts_with("BUG: KCSAN: ");
}

/// A line of a trace ends with the module that the function is in.
bool is_ours(std::string_view record) {
    return record.contains("[odp_mirror") || record.contains("[rdma_rxe");
}

/// The report of a race that @records begin with, as far as it is there, or else the first alone.
std::span<const std::string> first_report(std::span<const std::string> records) {
    if (records.size() < 2 || !is_rule(records[0]) || !names_a_race(records[1]))
        return records.first(1);
    const auto body = records.subspan(2);
    const auto rule = std::ranges::find_if(body, is_rule);
    return rule == body.end() ? records
                              : records.first(static_cast<std::size_t>(rule - body.begin()) + 3);
}

bool breaks_the_rule(std::span<const std::string> report) {
    return report.size() == 1 ? offends(report.front()) : std::ranges::any_of(report, is_ours);
}

/// Whether the last report is still being written.
bool is_torn(std::span<const std::string> records) {
    while (!records.empty()) {
        const auto report = first_report(records);
        records = records.subspan(report.size());
        if (records.empty())
            return is_rule(report.front()) && (report.size() < 3 || !is_rule(report.back()));
    }
    return false;
}

} // namespace

std::vector<std::string> offending_records(std::span<const std::string> records) {
    std::vector<std::string> found;
    while (!records.empty()) {
        const auto report = first_report(records);
        if (breaks_the_rule(report))
            found.insert(found.end(), report.begin(), report.end());
        records = records.subspan(report.size());
    }
    return found;
}

kernel_log::kernel_log()
    : messages_(checked(open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC),
                        "opening the kernel log; the tests need root")) {
    checked(lseek(messages_.descriptor(), 0, SEEK_END), "seeking to the end of the kernel log");
}

void kernel_log::read_to_end(std::vector<std::string> &records) const {
    std::string record(8192, '\0');
    for (;;) {
        const auto length = ::read(messages_.descriptor(), record.data(), record.size());
        if (length > 0)
            records.push_back(record.substr(0, static_cast<std::size_t>(length)));
        else if (errno == EPIPE)
            records.emplace_back("4;(the log overflowed: some lines are lost)");
        else if (errno == EAGAIN)
            return;
        else
            fail_with_errno("reading the kernel log");
    }
}

bool kernel_log::gets_more() const {
    pollfd readable{.fd = messages_.descriptor(), .events = POLLIN, .revents = 0};
    return checked(poll(&readable, 1, patience_ms), "waiting for the kernel log") != 0;
}

std::vector<std::string> kernel_log::offending_lines() {
    std::vector<std::string> records;
    do
        read_to_end(records);
    while (is_torn(records) && gets_more());
    return offending_records(records);
}

} // namespace odp_test
