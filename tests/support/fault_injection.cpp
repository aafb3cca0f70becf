// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// The kernel's files for it: /proc/PID/task/TID/fail-nth, and a directory in debugfs for each kind.
// Whatever accesses them counts as well: reading fail-nth copies to user space, which may be what
// fails.
//
// A kind's count of what could fail goes on while the interval is more than 1; it is never reset
// and cannot be read. What has its turn when the count is a multiple of the interval fails. So the
// interval is always kept above the count here, and after a failure the two are equal: with an
// interval that is larger by n, the nth from there fails. It stays where it is for the next
// process.

#include "fault_injection.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <format>
#include <fstream>
#include <set>
#include <sstream>
#include <stdexcept>

namespace odp_test {

namespace {

namespace fs = std::filesystem;

constexpr std::array kinds{"failslab", "fail_page_alloc", "fail_usercopy"};

fs::path directory(const std::string &kind) {
    return fs::path("/sys/kernel/debug") / kind;
}

void set(const fs::path &path, const std::string &value) {
    std::ofstream stream(path);
    stream << value << std::flush;
    if (!stream)
        throw std::runtime_error(std::format("cannot write {} to {}", value, path.string()));
}

std::string get(const fs::path &path) {
    std::ifstream stream(path);
    std::string value;
    stream >> value;
    if (!stream)
        throw std::runtime_error("cannot read " + path.string());
    return value;
}

constexpr kernel_code anybody{0, ~std::uint64_t{0}};

void set_callers(const std::string &kind, const kernel_code &callers) {
    set(directory(kind) / "require-start", std::format("{:#x}", callers.start));
    set(directory(kind) / "require-end", std::format("{:#x}", callers.end));
}

} // namespace

// Modules lie close to each other, so the end is where the next function of another one is.
kernel_code code_of_module(const std::string &name) {
    std::ifstream symbols("/proc/kallsyms");
    std::set<std::uint64_t> own;
    std::set<std::uint64_t> others;
    for (std::string line; std::getline(symbols, line);) {
        std::istringstream words(line);
        std::uint64_t va = 0;
        char type = 0;
        std::string symbol;
        std::string module;
        if (words >> std::hex >> va >> type >> symbol >> module && (type == 't' || type == 'T'))
            (module == "[" + name + "]" ? own : others).insert(va);
    }
    if (own.empty() || *own.begin() == 0)
        throw std::runtime_error("/proc/kallsyms does not say where the functions of " + name +
                                 " are");
    const auto next = others.upper_bound(*own.rbegin());
    const std::uint64_t most = *own.rbegin() + page_size();
    return {*own.begin(), next == others.end() ? most : std::min(*next, most)};
}

bool fault_injection::is_there() {
    return fs::exists(directory("failslab")) && fs::exists("/proc/thread-self/fail-nth");
}

fault_injection::fault_injection()
    : nth_(checked(open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC), "opening fail-nth")) {
    for (const auto *const kind : kinds) {
        set(directory(kind) / "probability", "0");
        set(directory(kind) / "verbose", "0");
        set(directory(kind) / "task-filter", "N");
        set(directory(kind) / "times", "-1"); // fail-nth has its own count
        set(directory(kind) / "stacktrace-depth", "32");
        set_callers(kind, anybody);
    }
    set(directory("failslab") / "ignore-gfp-wait", "N");
    set(directory("fail_page_alloc") / "ignore-gfp-wait", "N");
    set(directory("fail_page_alloc") / "ignore-gfp-highmem", "N");
    set(directory("fail_page_alloc") / "min-order", "0");
}

fault_injection::~fault_injection() {
    for (const auto *const kind : kinds)
        std::ofstream(directory(kind) / "probability") << "0";
}

bool fault_injection::fail_nth(unsigned nth, const std::function<void()> &work) const {
    std::array<char, 16> text{};
    const auto end = std::format_to_n(text.data(), text.size(), "{}", nth);
    checked(pwrite(nth_.descriptor(), text.data(), static_cast<std::size_t>(end.size), 0),
            "arming fail-nth");
    work();
    text = {};
    // EFAULT: the reading itself was the next to fail, so the work was not.
    const auto count = pread(nth_.descriptor(), text.data(), text.size() - 1, 0);
    const bool failed = count > 0 && std::atoi(text.data()) == 0;
    while (pwrite(nth_.descriptor(), "0", 1, 0) != 1)
        if (errno != EFAULT && errno != ENOMEM)
            fail_with_errno("disarming fail-nth");
    return failed;
}

bool fault_injection::fail_once(const kernel_code &callers, const std::string &kind,
                                const std::function<void()> &work) {
    set_callers(kind, callers);
    set(directory(kind) / "interval", std::to_string(next_.at(kind)));
    set(directory(kind) / "times", "1");
    set(directory(kind) / "probability", "100");
    work();
    set(directory(kind) / "probability", "0");
    const bool failed = get(directory(kind) / "times") == "0";
    set(directory(kind) / "times", "-1");
    set_callers(kind, anybody);
    if (failed)
        aligned_.insert(kind);
    else
        aligned_.erase(kind);
    return failed;
}

bool fault_injection::align(const kernel_code &callers, const std::string &kind,
                            const std::function<void()> &work) {
    if (aligned_.contains(kind))
        return true;
    if (!next_.contains(kind))
        next_[kind] = std::stoull(get(directory(kind) / "interval")) + 1;
    return fail_once(callers, kind, work);
}

bool fault_injection::fail_below(const kernel_code &callers, const std::string &kind, unsigned nth,
                                 const std::function<void()> &work) {
    if (!aligned_.contains(kind))
        throw std::logic_error("fault injection counts from an unknown place");
    next_.at(kind) += nth;
    return fail_once(callers, kind, work);
}

} // namespace odp_test
