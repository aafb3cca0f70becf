// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// ./odplab as a child process: started with given arguments, input and environment, watched,
// signalled, and waited for with a deadline. The program to run is named by the environment
// variable ODPLAB.

#pragma once

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <string>
#include <vector>

namespace lab_test {

/// How a process ended. status is the exit status, or 128 plus the signal.
struct outcome {
    int status;
    std::string out;
    std::string error;
};

struct how_to_run {
    std::vector<std::string> arguments;
    std::string input = {};
    /// NAME=VALUE, on top of this process's environment.
    std::vector<std::string> environment = {};
    /// Another program than $ODPLAB.
    std::string program = {};
    /// Runs in the child before exec, such as to give up privileges. Must not throw.
    std::function<void()> prepare = [] {};
};

/// A lab that runs in the background, in a process group of its own.
class running_lab {
  public:
    /// Its output goes to /dev/null, so that nothing waits for a reader.
    explicit running_lab(const how_to_run &how);
    running_lab(const running_lab &) = delete;
    running_lab &operator=(const running_lab &) = delete;
    /// Kills it if it still runs.
    ~running_lab();

    pid_t pid() const { return pid_; }
    /// All processes below it, itself included.
    std::vector<pid_t> family() const;
    /// Waits until a process below it has this word in its command line; throws after the deadline.
    void await_program(const std::string &word, std::chrono::seconds deadline) const;
    /// Waits for its end; throws after the deadline.
    int wait(std::chrono::milliseconds deadline);

  private:
    pid_t pid_ = -1;
};

/// Runs the lab to its end, which must come within five minutes.
outcome run_lab(const how_to_run &how);

/// The same with a terminal of this size as its stdin, stdout and stderr; all output is in out.
outcome run_lab_on_terminal(const how_to_run &how, unsigned short rows, unsigned short columns);

/// `run OPTIONS -- /bin/sh -c SCRIPT`.
std::vector<std::string> guest_script(std::vector<std::string> options, const std::string &script);

/// Whether there is such a process and it is not dead: when the lab is killed, its inner process is
/// left for process 1 to collect, which may take its time.
bool runs(pid_t pid);

} // namespace lab_test
