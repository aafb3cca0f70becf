// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// Children and the flag that keeps parent and child in step; see child.hpp. The flag is a pipe: a
// byte in it is the raised state, so that waiting is poll() with a time-out.

#include "child.hpp"

#include "error.hpp"
#include "patience.hpp"

#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <exception>
#include <print>
#include <stdexcept>
#include <thread>

namespace odp_test {

child::child(const std::function<int()> &body) {
    std::fflush(nullptr); // or the child would print the parent's buffered output again
    pid_ = checked(fork(), "forking a child");
    if (pid_ != 0)
        return;
    int status = 99;
    try {
        status = body();
    } catch (const std::exception &error) {
        std::println(stderr, "in the child: {}", error.what());
    }
    std::fflush(nullptr);
    _exit(status);
}

child::~child() {
    if (pid_ == -1)
        return;
    try {
        kill();
    } catch (const std::exception &error) {
        std::println(stderr, "killing a child: {}", error.what());
    }
}

void child::kill() {
    checked(::kill(pid_, SIGKILL), "killing a child");
    wait();
}

int child::wait(std::chrono::seconds deadline) {
    const auto end = std::chrono::steady_clock::now() + patiently(deadline);
    for (;;) {
        if (const auto status = ended())
            return *status;
        if (std::chrono::steady_clock::now() >= end)
            throw std::runtime_error("a child process did not end in time");
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
}

std::optional<int> child::ended() {
    int status = 0;
    if (checked(waitpid(pid_, &status, WNOHANG), "waiting for a child") == 0)
        return std::nullopt;
    pid_ = -1;
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

shared_flag::shared_flag() {
    checked(pipe(pipe_), "creating a pipe");
}

shared_flag::~shared_flag() {
    close(pipe_[0]);
    close(pipe_[1]);
}

void shared_flag::raise() {
    checked(write(pipe_[1], "", 1), "writing to a pipe");
}

void shared_flag::await(std::chrono::seconds deadline) const {
    pollfd readable{.fd = pipe_[0], .events = POLLIN, .revents = 0};
    const auto timeout = patiently(deadline);
    if (checked(poll(&readable, 1, static_cast<int>(timeout.count())), "waiting for a flag") == 0)
        throw std::runtime_error("the other process did not get as far as it should in time");
}

} // namespace odp_test
