// SPDX-License-Identifier: GPL-2.0 OR MIT

#include "process.hpp"

#include "scratch.hpp"

#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <stdexcept>
#include <thread>

namespace lab_test {

namespace {

using namespace std::chrono_literals;
using clock_type = std::chrono::steady_clock;

constexpr auto longest_run = 300s;

[[noreturn]] void fail(const std::string &what) {
    throw std::runtime_error(what + ": " + std::strerror(errno));
}

std::string program_of(const how_to_run &how) {
    if (!how.program.empty())
        return how.program;
    const char *lab = std::getenv("ODPLAB");
    if (lab == nullptr)
        throw std::runtime_error("ODPLAB is not set; run these tests by ./odplab test, or set it "
                                 "to the path of ./odplab");
    return lab;
}

// In the child: never returns.
[[noreturn]] void execute(const how_to_run &how, const std::string &program) {
    std::vector<char *> argv{const_cast<char *>(program.c_str())};
    for (const std::string &argument : how.arguments)
        argv.push_back(const_cast<char *>(argument.c_str()));
    argv.push_back(nullptr);
    for (const std::string &setting : how.environment)
        putenv(const_cast<char *>(setting.c_str()));
    how.prepare();
    execv(program.c_str(), argv.data());
    _exit(99);
}

int status_of(int how) {
    return WIFEXITED(how) ? WEXITSTATUS(how) : 128 + WTERMSIG(how);
}

int wait_until_gone(pid_t pid, clock_type::time_point deadline) {
    for (int how = 0;;) {
        if (waitpid(pid, &how, WNOHANG) == pid)
            return status_of(how);
        if (clock_type::now() > deadline)
            throw std::runtime_error("the lab did not end within its deadline");
        std::this_thread::sleep_for(5ms);
    }
}

struct pipe_ends {
    std::array<int, 2> ends;
    pipe_ends() {
        if (pipe2(ends.data(), O_CLOEXEC) != 0)
            fail("cannot make a pipe");
    }
};

// Reads what is there; false at the end.
bool take(int fd, std::string &text) {
    std::array<char, 65536> buffer;
    const ssize_t got = read(fd, buffer.data(), buffer.size());
    if (got > 0)
        text.append(buffer.data(), static_cast<std::size_t>(got));
    return got > 0;
}

// Feeds input and collects both outputs until both have ended.
void converse(int in, int out, int error, const how_to_run &how, outcome &result) {
    std::size_t fed = 0;
    const auto deadline = clock_type::now() + longest_run;
    while (out >= 0 || error >= 0) {
        if (in >= 0 && fed == how.input.size()) {
            close(in);
            in = -1;
        }
        std::array<pollfd, 3> waiting{{{in, POLLOUT, 0}, {out, POLLIN, 0}, {error, POLLIN, 0}}};
        poll(waiting.data(), waiting.size(), 1000);
        if (clock_type::now() > deadline)
            throw std::runtime_error("the lab did not end within its deadline");
        if (waiting[0].revents != 0) {
            const ssize_t put = write(in, how.input.data() + fed, how.input.size() - fed);
            fed = put < 0 ? how.input.size() : fed + static_cast<std::size_t>(put);
        }
        if (waiting[1].revents != 0 && !take(out, result.out))
            out = -1;
        if (waiting[2].revents != 0 && !take(error, result.error))
            error = -1;
    }
    if (in >= 0)
        close(in);
}

std::map<pid_t, pid_t> parents() {
    std::map<pid_t, pid_t> found;
    for (const auto &entry : std::filesystem::directory_iterator("/proc")) {
        std::ifstream file(entry.path() / "stat");
        std::string line;
        if (!std::getline(file, line))
            continue;
        // PID (NAME) STATE PARENT; the name may have anything in it.
        const std::size_t name_end = line.rfind(')');
        found[std::atoi(line.c_str())] = std::atoi(line.c_str() + name_end + 4);
    }
    return found;
}

} // namespace

bool runs(pid_t pid) {
    const std::string stat = read_file("/proc/" + std::to_string(pid) + "/stat");
    const std::size_t name_end = stat.rfind(')');
    return name_end != std::string::npos && stat.at(name_end + 2) != 'Z';
}

running_lab::running_lab(const how_to_run &how) {
    const std::string program = program_of(how);
    pid_ = fork();
    if (pid_ < 0)
        fail("cannot fork");
    if (pid_ == 0) {
        setpgid(0, 0);
        const int nothing = open("/dev/null", O_RDWR);
        for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
            dup2(nothing, fd);
        execute(how, program);
    }
    setpgid(pid_, pid_);
}

running_lab::~running_lab() {
    if (pid_ > 0) {
        kill(pid_, SIGKILL);
        waitpid(pid_, nullptr, 0);
    }
}

std::vector<pid_t> running_lab::family() const {
    const auto parent_of = parents();
    std::vector<pid_t> members{pid_};
    for (std::size_t i = 0; i < members.size(); ++i)
        for (const auto &[pid, parent] : parent_of)
            if (parent == members[i])
                members.push_back(pid);
    return members;
}

void running_lab::await_program(const std::string &word, std::chrono::seconds deadline) const {
    for (const auto end = clock_type::now() + deadline; clock_type::now() < end;) {
        for (const pid_t pid : family()) {
            const std::string line = read_file("/proc/" + std::to_string(pid) + "/cmdline");
            if (line.find(word) != std::string::npos)
                return;
        }
        std::this_thread::sleep_for(20ms);
    }
    throw std::runtime_error("the lab did not start " + word + " within the deadline");
}

int running_lab::wait(std::chrono::milliseconds deadline) {
    const int status = wait_until_gone(pid_, clock_type::now() + deadline);
    pid_ = -1;
    return status;
}

outcome run_lab(const how_to_run &how) {
    const std::string program = program_of(how);
    signal(SIGPIPE, SIG_IGN);
    const pipe_ends in;
    const pipe_ends out;
    const pipe_ends error;
    const pid_t pid = fork();
    if (pid < 0)
        fail("cannot fork");
    if (pid == 0) {
        dup2(in.ends[0], STDIN_FILENO);
        dup2(out.ends[1], STDOUT_FILENO);
        dup2(error.ends[1], STDERR_FILENO);
        execute(how, program);
    }
    close(in.ends[0]);
    close(out.ends[1]);
    close(error.ends[1]);
    outcome result{};
    converse(in.ends[1], out.ends[0], error.ends[0], how, result);
    close(out.ends[0]);
    close(error.ends[0]);
    result.status = wait_until_gone(pid, clock_type::now() + 10s);
    return result;
}

outcome run_lab_on_terminal(const how_to_run &how, unsigned short rows, unsigned short columns) {
    const std::string program = program_of(how);
    winsize size{};
    size.ws_row = rows;
    size.ws_col = columns;
    int master = -1;
    const pid_t pid = forkpty(&master, nullptr, nullptr, &size);
    if (pid < 0)
        fail("cannot make a terminal");
    if (pid == 0)
        execute(how, program);
    outcome result{};
    if (write(master, how.input.data(), how.input.size()) < 0)
        fail("cannot write to the terminal");
    // The other side may still be used when this one has been read to its end: EIO says it is not.
    while (take(master, result.out)) {
    }
    result.status = wait_until_gone(pid, clock_type::now() + 10s);
    close(master);
    return result;
}

std::vector<std::string> guest_script(std::vector<std::string> options, const std::string &script) {
    options.insert(options.begin(), "run");
    options.insert(options.end(), {"--", "/bin/sh", "-c", script});
    return options;
}

} // namespace lab_test
