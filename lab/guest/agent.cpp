// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// The guest's process 1 once init has set the guest up: runs the commands that the host asks for
// and carries their input, output and exit status over four virtio-serial ports.
//
// The port "control" carries messages from the host, each a decimal length, a newline, and that
// many bytes of NUL-terminated fields, and lines of text back:
//
//   run FLAGS ROWS COLUMNS TERM ARGV...
//       Start a command. FLAGS: i = give it the port "stdin" as input (else /dev/null), t = on a
//       terminal of its own.
//   window ROWS COLUMNS
//       The terminal's size changed.
//   dump
//       Write every process's kernel stack, blocked tasks and all CPUs' stacks to the console.
//
//   ready
//       The agent listens.
//   exit STATUS OUT ERR
//       The command ended with STATUS (128 + signal if killed), and the ports "stdout" and "stderr"
//       have carried OUT and ERR bytes since boot. The kernel log has a line before it, "odplab:
//       end of command N", which counts from 1.
//
// The byte counts are there because ports have no common order: the host knows from them when it
// has all output. The command gets pipes and not the ports themselves, because a port can be open
// only once and /dev/stdout would fail. When the command has ended, whatever it left running is
// killed before the exit is reported: so output is complete, and what process exit does to a mirror
// happens under watch.
//
// Static, so that it runs in any root. An error that leaves it without its ports ends process 1,
// which is a kernel panic, which the host reports.

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

namespace {

using clock_type = std::chrono::steady_clock;

constexpr std::size_t buffer_length = 32 * 1024;

[[noreturn]] void die(const std::string &what) {
    std::fprintf(stderr, "odplab agent: %s: %s\n", what.c_str(), std::strerror(errno));
    std::exit(1);
}

void set_nonblocking(int fd) {
    if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) != 0)
        die("cannot make a file descriptor non-blocking");
}

// Opens the virtio-serial port that the host gave this name.
int open_port(const std::string &name) {
    const std::string ports = "/sys/class/virtio-ports";
    DIR *directory = opendir(ports.c_str());
    if (!directory)
        die("cannot list " + ports);
    int fd = -1;
    while (const dirent *entry = readdir(directory)) {
        std::ifstream file(ports + "/" + entry->d_name + "/name");
        std::string found;
        if (std::getline(file, found) && found == name)
            fd = open(("/dev/" + std::string(entry->d_name)).c_str(),
                      O_RDWR | O_NONBLOCK | O_CLOEXEC);
    }
    closedir(directory);
    if (fd < 0)
        die("cannot open the virtio-serial port '" + name + "'");
    return fd;
}

// One direction of one stream. Holds at most one buffer: it reads only when the last one is written
// out.
class pump {
  public:
    void connect(int from, int to) {
        from_ = from;
        to_ = to;
        begin_ = end_ = 0;
    }

    bool done() const { return from_ < 0 && begin_ == end_; }
    std::uint64_t carried() const { return carried_; }

    // What to wait for: readable input or writable output.
    pollfd wanted() const {
        if (begin_ != end_)
            return {to_, POLLOUT, 0};
        return {from_, POLLIN, 0};
    }

    // Moves what can be moved now. False when the stream has ended: input at its end, or output
    // closed.
    bool move() {
        if (begin_ == end_) {
            const ssize_t got = read(from_, buffer_.data(), buffer_.size());
            if (got < 0 && (errno == EAGAIN || errno == EINTR))
                return true;
            // A terminal's master reads EIO once its last user is gone: that is its end of file.
            if (got <= 0)
                return stop();
            begin_ = 0;
            end_ = static_cast<std::size_t>(got);
        }
        const ssize_t put = write(to_, buffer_.data() + begin_, end_ - begin_);
        if (put < 0)
            return errno == EAGAIN || errno == EINTR ? true : stop();
        begin_ += static_cast<std::size_t>(put);
        carried_ += static_cast<std::uint64_t>(put);
        return true;
    }

  private:
    bool stop() {
        from_ = -1;
        begin_ = end_ = 0;
        return false;
    }

    int from_ = -1;
    int to_ = -1;
    std::array<char, buffer_length> buffer_;
    std::size_t begin_ = 0;
    std::size_t end_ = 0;
    std::uint64_t carried_ = 0;
};

// Messages from the host, taken apart into their fields.
class messages {
  public:
    void add(const char *data, std::size_t length) { text_.append(data, length); }

    bool next(std::vector<std::string> &fields) {
        const std::size_t newline = text_.find('\n');
        if (newline == std::string::npos)
            return false;
        const std::size_t length = std::strtoul(text_.c_str(), nullptr, 10);
        if (text_.size() < newline + 1 + length)
            return false;
        fields.clear();
        const std::string_view body(text_.data() + newline + 1, length);
        for (std::size_t start = 0; start < length;) {
            const std::size_t end = body.find('\0', start);
            fields.emplace_back(body.substr(start, end - start));
            start = end + 1;
        }
        text_.erase(0, newline + 1 + length);
        return true;
    }

  private:
    std::string text_;
};

class agent {
  public:
    agent()
        : control_(open_port("control")), stdin_port_(open_port("stdin")),
          stdout_port_(open_port("stdout")), stderr_port_(open_port("stderr")) {}

    [[noreturn]] void serve() {
        report("ready");
        for (;;) {
            wait_for_work();
            reap();
            if (child_ == 0 && running_)
                finish();
        }
    }

  private:
    void report(const std::string &line) {
        const std::string text = line + "\n";
        for (std::size_t sent = 0; sent < text.size();) {
            const ssize_t put = write(control_, text.data() + sent, text.size() - sent);
            if (put > 0)
                sent += static_cast<std::size_t>(put);
            else if (errno == EAGAIN)
                wait_for(control_, POLLOUT);
            else
                die("cannot write to the control port");
        }
    }

    static void wait_for(int fd, short events) {
        pollfd one{fd, events, 0};
        poll(&one, 1, -1);
    }

    // One round of poll(). Input is polled only while the command can take it.
    void wait_for_work() {
        std::array<pollfd, 4> waiting{
            {{control_, POLLIN, 0}, input_.wanted(), output_.wanted(), error_.wanted()}};
        // SIGCHLD is blocked except in here, so the end of a child cannot be missed between two
        // rounds.
        sigset_t none;
        sigemptyset(&none);
        if (ppoll(waiting.data(), waiting.size(), nullptr, &none) < 0)
            return;
        if (waiting[0].revents & POLLIN)
            take_messages();
        if (waiting[1].revents && !input_.done() && !input_.move())
            close_input();
        if (waiting[2].revents && !output_.done())
            output_.move();
        if (waiting[3].revents && !error_.done())
            error_.move();
    }

    void take_messages() {
        std::array<char, 4096> buffer;
        const ssize_t got = read(control_, buffer.data(), buffer.size());
        if (got > 0)
            inbox_.add(buffer.data(), static_cast<std::size_t>(got));
        std::vector<std::string> fields;
        while (inbox_.next(fields)) {
            if (fields[0] == "run")
                start(fields);
            else if (fields[0] == "window")
                resize(fields[1], fields[2]);
            else if (fields[0] == "dump")
                dump();
        }
    }

    // Where each process is in the kernel, then what sysrq knows of blocked tasks and busy CPUs.
    static void dump() {
        std::ofstream console("/dev/console");
        for (const auto &entry : std::filesystem::directory_iterator("/proc")) {
            std::ifstream stack(entry.path() / "stack");
            std::ifstream command(entry.path() / "cmdline");
            std::string name;
            const std::string pid = entry.path().filename().string();
            // Kernel threads have no command line, and the agent is not what is looked for.
            if (pid.find_first_not_of("0123456789") != std::string::npos || pid == "1" ||
                !std::getline(command, name, '\0') || name.empty())
                continue;
            console << "process " << pid << " (" << name << "):\n" << stack.rdbuf() << std::flush;
            console.clear();
        }
        for (const char request : {'w', 'l'})
            std::ofstream("/proc/sysrq-trigger") << request << std::flush;
    }

    void resize(const std::string &rows, const std::string &columns) const {
        winsize size{};
        size.ws_row = static_cast<unsigned short>(std::stoi(rows));
        size.ws_col = static_cast<unsigned short>(std::stoi(columns));
        if (master_ >= 0)
            ioctl(master_, TIOCSWINSZ, &size);
    }

    // fields: run FLAGS ROWS COLUMNS TERM ARGV...
    void start(const std::vector<std::string> &fields) {
        const bool terminal = fields[1].find('t') != std::string::npos;
        const bool input = fields[1].find('i') != std::string::npos;
        running_ = true;
        if (terminal)
            start_on_terminal(fields);
        else
            start_on_pipes(fields, input);
    }

    void start_on_terminal(const std::vector<std::string> &fields) {
        child_ = forkpty(&master_, nullptr, nullptr, nullptr);
        if (child_ < 0)
            die("cannot start a command on a terminal");
        if (child_ == 0)
            execute(fields);
        resize(fields[2], fields[3]);
        set_nonblocking(master_);
        input_.connect(stdin_port_, master_);
        output_.connect(master_, stdout_port_);
    }

    void start_on_pipes(const std::vector<std::string> &fields, bool input) {
        int in[2] = {-1, -1};
        int out[2];
        int error[2];
        if ((input && pipe2(in, O_CLOEXEC) != 0) || pipe2(out, O_CLOEXEC) != 0 ||
            pipe2(error, O_CLOEXEC) != 0)
            die("cannot make pipes for a command");
        if (!input)
            in[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
        child_ = fork();
        if (child_ < 0)
            die("cannot fork for a command");
        if (child_ == 0) {
            setsid();
            dup2(in[0], STDIN_FILENO);
            dup2(out[1], STDOUT_FILENO);
            dup2(error[1], STDERR_FILENO);
            execute(fields);
        }
        close(in[0]);
        close(out[1]);
        close(error[1]);
        set_nonblocking(out[0]);
        set_nonblocking(error[0]);
        pipes_ = {in[1], out[0], error[0]};
        if (input) {
            set_nonblocking(in[1]);
            input_.connect(stdin_port_, in[1]);
        }
        output_.connect(out[0], stdout_port_);
        error_.connect(error[0], stderr_port_);
    }

    [[noreturn]] static void execute(const std::vector<std::string> &fields) {
        std::vector<char *> argv;
        for (std::size_t i = 5; i < fields.size(); ++i)
            argv.push_back(const_cast<char *>(fields[i].c_str()));
        argv.push_back(nullptr);
        setenv("TERM", fields[4].c_str(), 1);
        // What the agent ignores or blocks would survive exec.
        signal(SIGPIPE, SIG_DFL);
        sigset_t none;
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, nullptr);
        execvp(argv[0], argv.data());
        const int why = errno;
        std::fprintf(stderr, "odplab: cannot run '%s' in the guest: %s\n", argv[0],
                     std::strerror(why));
        _exit(why == ENOENT ? 127 : 126);
    }

    void reap() {
        int how = 0;
        for (pid_t pid; (pid = waitpid(-1, &how, WNOHANG)) > 0;) {
            if (pid != child_)
                continue;
            child_ = 0;
            status_ = WIFEXITED(how) ? WEXITSTATUS(how) : 128 + WTERMSIG(how);
        }
    }

    // The command has ended: kill what it left, pass its last output on, and report.
    void finish() {
        kill(-1, SIGKILL);
        const auto limit = clock_type::now() + std::chrono::seconds(10);
        // A killed process that is stuck in the kernel must not hold up the report for ever.
        for (pid_t pid; clock_type::now() < limit && (pid = waitpid(-1, nullptr, WNOHANG)) >= 0;)
            if (pid == 0)
                usleep(1000);
        // Read without poll(): with every writer dead, what a pipe holds is there and its end
        // follows.
        drain(output_);
        drain(error_);
        input_.connect(-1, -1);
        close_input();
        for (int *fd : {&pipes_[1], &pipes_[2], &master_}) {
            if (*fd >= 0)
                close(*fd);
            *fd = -1;
        }
        running_ = false;
        // The kernel prints in its own time. When the host has seen this line on the console, it
        // has seen all that was said before. An emergency, so that no log level of the user's hides
        // it.
        std::ofstream("/dev/kmsg") << "<0>odplab: end of command " << ++commands_ << std::endl;
        report("exit " + std::to_string(status_) + " " + std::to_string(output_.carried()) + " " +
               std::to_string(error_.carried()));
    }

    static void drain(pump &stream) {
        const auto limit = clock_type::now() + std::chrono::seconds(10);
        while (!stream.done() && clock_type::now() < limit) {
            const pollfd wanted = stream.wanted();
            pollfd one = wanted;
            // Waiting for a slow host is not limited, waiting for a stuck writer is.
            poll(&one, 1, wanted.events == POLLOUT ? -1 : 100);
            if (one.revents)
                stream.move();
        }
        stream.connect(-1, -1);
    }

    void close_input() {
        if (pipes_[0] >= 0)
            close(pipes_[0]);
        pipes_[0] = -1;
    }

    int control_;
    int stdin_port_;
    int stdout_port_;
    int stderr_port_;
    int master_ = -1;
    std::array<int, 3> pipes_{-1, -1, -1};
    messages inbox_;
    pump input_;
    pump output_;
    pump error_;
    pid_t child_ = 0;
    bool running_ = false;
    int commands_ = 0;
    int status_ = 0;
};

} // namespace

int main() {
    signal(SIGPIPE, SIG_IGN);
    signal(SIGCHLD, [](int) {});
    sigset_t child;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    sigprocmask(SIG_BLOCK, &child, nullptr);
    agent().serve();
}
