// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// See session.hpp.

#include "session.hpp"

#include "child.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <format>
#include <fstream>
#include <optional>
#include <sstream>
#include <thread>

namespace odp_test {

namespace {

using namespace std::chrono_literals;
using side = two_hosts::side;

// Far above what any of them takes in a slow guest on a busy machine.
constexpr auto program_deadline = 120s;
constexpr auto ready_deadline = 30s;
// A server whose client failed often waits for ever.
constexpr auto abandoned_deadline = 3s;

/// ibv_*_pingpong and perftest, as /proc/net/tcp writes it: port 18515, listening.
constexpr const char *listening = ":4853 00000000:0000 0A";
constexpr const char *listening6 = ":4853 00000000000000000000000000000000:0000 0A";

std::optional<two_hosts> hosts;

std::string content(const std::string &path) {
    std::ostringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
}

class program {
  public:
    program(side where, const std::string &line)
        : output_(std::format("/tmp/{}-{}", where == side::near ? "client" : "server", getpid())),
          child_([this, command = "exec " + two_hosts::command(where, line)] {
              const int file = open(output_.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
              dup2(file, STDOUT_FILENO);
              dup2(file, STDERR_FILENO);
              execl("/bin/sh", "sh", "-c", command.c_str(), nullptr);
              return 127;
          }) {}
    program(const program &) = delete;
    program &operator=(const program &) = delete;
    ~program() { std::filesystem::remove(output_); }

    bool runs() {
        if (!status_)
            status_ = child_.ended();
        return !status_;
    }
    bool listens() const {
        for (const char *table : {"tcp", "tcp6"}) {
            const auto sockets = content(std::format("/proc/{}/net/{}", child_.pid(), table));
            if (sockets.contains(listening) || sockets.contains(listening6))
                return true;
        }
        return false;
    }
    /// Waits for it; one that does not end is killed.
    ending end(std::chrono::seconds deadline = program_deadline) {
        const auto limit = std::chrono::steady_clock::now() + deadline;
        while (runs() && std::chrono::steady_clock::now() < limit)
            std::this_thread::sleep_for(2ms);
        if (status_)
            return {*status_, content(output_)};
        child_.kill();
        status_ = 137;
        return {*status_, content(output_) + "\nkilled, because it did not end in time"};
    }

  private:
    std::string output_;
    child child_;
    std::optional<int> status_;
};

ending run_client(const std::string &line) {
    return program(side::near, line).end();
}

} // namespace

session run_session(const std::string &server, const std::string &client, rendezvous how) {
    program far(side::far, server);
    const auto limit = std::chrono::steady_clock::now() + ready_deadline;
    while (how == rendezvous::tcp && far.runs() && !far.listens() &&
           std::chrono::steady_clock::now() < limit)
        std::this_thread::sleep_for(2ms);
    ending near = run_client(client);
    while (how == rendezvous::rdma_cm && near.status != 0 && far.runs() &&
           std::chrono::steady_clock::now() < limit) {
        std::this_thread::sleep_for(100ms);
        near = run_client(client);
    }
    return {near.status == 0 ? far.end() : far.end(abandoned_deadline), near};
}

::testing::AssertionResult succeeded(const session &both) {
    if (both.server.status == 0 && both.client.status == 0)
        return ::testing::AssertionSuccess();
    return ::testing::AssertionFailure()
           << std::format("server: status {}\n{}\nclient: status {}\n{}", both.server.status,
                          both.server.output, both.client.status, both.client.output);
}

void suite_test::SetUpTestSuite() {
    hosts.emplace(4200);
}

void suite_test::TearDownTestSuite() {
    hosts.reset();
}

void suite_test::TearDown() {
    for (const auto &line : log_.offending_lines())
        ADD_FAILURE() << "the kernel logged: " << line;
}

std::string suite_test::device_options(side where, const char *word) {
    const device &device = hosts->at(where);
    return std::format("-d {} {} {}", device.name(), word, device.gid_index());
}

} // namespace odp_test
