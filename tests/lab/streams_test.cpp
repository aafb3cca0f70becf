// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// What a command in the guest shares with its caller: status, stdin, stdout, stderr, a terminal,
// and the directory given with --share. Each boot takes seconds, so each test asks one boot for all
// that it can show at once.

#include "process.hpp"
#include "scratch.hpp"

#include <gtest/gtest.h>

#include <unistd.h>

#include <chrono>
#include <string>
#include <thread>

namespace {

using namespace lab_test;
using namespace std::chrono_literals;

// Every byte value, in an order that shows a lost or doubled block.
std::string every_byte(std::size_t length) {
    std::string data(length, '\0');
    for (std::size_t i = 0; i < length; ++i)
        data[i] = static_cast<char>(i ^ (i >> 8) ^ (i >> 16));
    return data;
}

TEST(Streams, AreSeparateAndBinaryCleanAndStatusIsTheCommands) {
    const std::string data = every_byte(std::size_t{1024} * 1024);
    const outcome end =
        run_lab({.arguments =
                     guest_script({}, "cat; echo to-stderr >&2; echo by-name >/dev/stderr; exit 3"),
                 .input = data});
    EXPECT_EQ(end.status, 3) << end.error;
    EXPECT_TRUE(end.out == data) << "stdout has " << end.out.size() << " bytes of " << data.size();
    EXPECT_NE(end.error.find("to-stderr\nby-name\n"), std::string::npos) << end.error;
}

// The output of what a command leaves behind does not hold up its end, and its own is complete.
TEST(Streams, DeathBySignalIs128PlusTheSignalAndOutputBeforeItIsKept) {
    const outcome end =
        run_lab({.arguments = guest_script({}, "sleep 1000 & seq 20000; kill -USR1 $$; sleep 10")});
    EXPECT_EQ(end.status, 128 + 10) << end.error;
    EXPECT_EQ(end.out.substr(0, 4), "1\n2\n");
    ASSERT_GE(end.out.size(), 6U);
    EXPECT_EQ(end.out.substr(end.out.size() - 6), "20000\n");
}

TEST(Streams, ClosedStdoutEndsTheRun) {
    const scratch directory;
    const std::string lab = std::getenv("ODPLAB");
    write_file(directory / "pipe", "\"$1\" run -- yes | head -n 2\nexit \"${PIPESTATUS[0]}\"\n");
    const outcome end =
        run_lab({.arguments = {(directory / "pipe").string(), lab}, .program = "/bin/bash"});
    EXPECT_EQ(end.out, "y\ny\n");
    EXPECT_EQ(end.status, 128 + 13) << end.error;
}

TEST(Streams, ShellHasTheTerminalsSizeAndPassesItsStatus) {
    const outcome end =
        run_lab_on_terminal({.arguments = {"shell"}, .input = "stty size; tty; exit 7\n"}, 33, 99);
    EXPECT_EQ(end.status, 7) << end.out;
    EXPECT_NE(end.out.find("33 99"), std::string::npos) << end.out;
    EXPECT_NE(end.out.find("/dev/pts/"), std::string::npos) << end.out;
}

TEST(Streams, ShareIsWritableAndBothSidesSeeChangesAtOnce) {
    const scratch directory;
    write_file(directory / "from-host", "host\n");
    // The guest looks for a file before it exists, which must not make it believe that it never
    // will.
    const std::string script =
        "cat /share/from-host; ls /share/later 2>/dev/null; "
        "echo guest >/share/from-guest; "
        "for i in $(seq 100); do [ -e /share/later ] && break; sleep 0.1; done; "
        "cat /share/later";
    std::jthread host([&] {
        for (int i = 0; i < 3000 && read_file(directory / "from-guest") != "guest\n"; ++i)
            std::this_thread::sleep_for(20ms);
        write_file(directory / "later.new", "later\n");
        std::filesystem::rename(directory / "later.new", directory / "later");
    });
    const outcome end =
        run_lab({.arguments = guest_script({"--share", directory.path().string()}, script)});
    host.join();
    EXPECT_EQ(end.status, 0) << end.error;
    EXPECT_EQ(end.out, "host\nlater\n");
    EXPECT_EQ(read_file(directory / "from-guest"), "guest\n");
}

} // namespace
