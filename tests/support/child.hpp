// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// A forked child that runs one function, for tests about fork, exit and kill. The child leaves by
// _exit(), so that it runs none of the parent's destructors, and never returns into GoogleTest.

#pragma once

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <optional>

namespace odp_test {

class child {
  public:
    /// What the function returns becomes the exit status; an exception is printed and becomes 99.
    explicit child(const std::function<int()> &body);
    child(const child &) = delete;
    child &operator=(const child &) = delete;
    /// Kills it if it still runs; one that the kernel does not let go of is left behind.
    ~child();

    pid_t pid() const { return pid_; }
    /// SIGKILL, and waits until it is gone; throws if it does not go.
    void kill();
    /// Waits for it to leave by itself; the exit status, or 128 plus the signal.
    int wait(std::chrono::seconds deadline = std::chrono::seconds(30));
    /// The same if it has left already.
    std::optional<int> ended();

  private:
    pid_t pid_ = -1;
};

/// A one-way signal between two processes, in memory that a fork shares.
class shared_flag {
  public:
    shared_flag();
    shared_flag(const shared_flag &) = delete;
    shared_flag &operator=(const shared_flag &) = delete;
    ~shared_flag();

    void raise();
    /// Throws if nobody raises it in time.
    void await(std::chrono::seconds deadline = std::chrono::seconds(30)) const;

  private:
    int pipe_[2];
};

} // namespace odp_test
