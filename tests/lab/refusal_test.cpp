// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// Bad input and machines that lack something: a sentence, exit status 2, nothing on stdout, nothing
// left behind. None of these boots a guest.

#include "process.hpp"
#include "scratch.hpp"

#include <gtest/gtest.h>

#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

namespace {

using namespace lab_test;

// A refusal is one or more sentences of the lab's, and names what is wrong.
void expect_refusal(const outcome &end, const std::string &word) {
    EXPECT_EQ(end.status, 2) << end.error;
    EXPECT_EQ(end.out, "");
    EXPECT_NE(end.error.find("odplab: "), std::string::npos) << end.error;
    EXPECT_NE(end.error.find(word), std::string::npos) << "no '" << word << "' in: " << end.error;
    EXPECT_EQ(end.error.find("Traceback"), std::string::npos) << end.error;
}

struct mistake {
    std::vector<std::string> arguments;
    std::string word;
};

class BadOptions : public testing::TestWithParam<mistake> {};

TEST_P(BadOptions, AreRefusedWithASentence) {
    expect_refusal(run_lab({.arguments = GetParam().arguments}), GetParam().word);
}

INSTANTIATE_TEST_SUITE_P(
    All, BadOptions,
    testing::Values(mistake{{}, "COMMAND"}, mistake{{"fly"}, "fly"},
                    mistake{{"run"}, "needs a command"}, mistake{{"run", "--"}, "needs a command"},
                    mistake{{"run", "--wings", "--", "true"}, "--wings"},
                    mistake{{"run", "--rxe", "none", "--", "true"}, "--rxe"},
                    mistake{{"run", "--kernel", "fast", "--", "true"}, "--kernel"},
                    mistake{{"test", "--kernel", "fast"}, "--kernel"},
                    mistake{{"run", "--provider", "ours", "--", "true"}, "provider"},
                    mistake{{"run", "--smp", "0", "--", "true"}, "--smp"},
                    mistake{{"run", "--smp", "two", "--", "true"}, "--smp"},
                    mistake{{"run", "--mem", "64M", "--", "true"}, "--mem"},
                    mistake{{"run", "--mem", "2", "--", "true"}, "--mem"},
                    mistake{{"run", "--mem", "-2G", "--", "true"}, "--mem"},
                    mistake{{"run", "--pmem", "100M", "--", "true"}, "--pmem"},
                    mistake{{"run", "--pmem", "513M", "--", "true"}, "--pmem"},
                    mistake{{"run", "--mtu", "68", "--", "true"}, "--mtu"},
                    mistake{{"run", "--timeout", "-1", "--", "true"}, "--timeout"},
                    mistake{{"run", "--share", "/no/such/directory", "--", "true"}, "--share"},
                    mistake{{"bench", "--samples", "0"}, "--samples"},
                    mistake{{"bench", "--json", "/no/such/directory/file"}, "--json"},
                    mistake{{"bench", "--sweep", "leaf"}, "--sweep"},
                    mistake{{"bench", "--sweep", "chunk", "--check"}, "--check"},
                    mistake{{"patches"}, "DIR"}, mistake{{"clean", "everything"}, "everything"}));

TEST(Refusal, WithoutRoot) {
    // The script alone, where anybody can read it: it must refuse before it looks at anything else.
    const scratch directory;
    const std::filesystem::path copy = directory / "odplab";
    std::filesystem::copy_file(std::getenv("ODPLAB"), copy);
    std::filesystem::permissions(directory.path(), std::filesystem::perms(0755));
    std::filesystem::permissions(copy, std::filesystem::perms(0755));
    const outcome end =
        run_lab({.arguments = {"run", "--", "true"}, .program = copy.string(), .prepare = [] {
                     if (setgid(65534) != 0 || setuid(65534) != 0)
                         _exit(98);
                 }});
    expect_refusal(end, "root");
}

// A PATH with what the script itself needs, and nothing else.
TEST(Refusal, WithoutApt) {
    const scratch directory;
    for (const std::string name : {"dirname", "readlink", "uname", "python3"})
        for (const std::string place : {"/usr/bin/", "/bin/"})
            if (std::filesystem::exists(place + name) &&
                !std::filesystem::is_symlink(directory / name))
                std::filesystem::create_symlink(place + name, directory / name);
    expect_refusal(run_lab({.arguments = {std::getenv("ODPLAB"), "run", "--", "true"},
                            .environment = {"PATH=" + directory.path().string()},
                            .program = "/bin/bash"}),
                   "apt-get");
}

// Set-up in a cache of the test's own, which must fail and leave no root.
class SetUp : public testing::Test {
  protected:
    outcome try_in(
        const std::filesystem::path &cache, std::vector<std::string> environment,
        std::function<void()> prepare = [] {}) {
        environment.push_back("XDG_CACHE_HOME=" + cache.string());
        return run_lab({.arguments = {"run", "--", "true"},
                        .environment = environment,
                        .prepare = std::move(prepare)});
    }

    bool has_root(const std::filesystem::path &cache) {
        for (const auto &entry : std::filesystem::recursive_directory_iterator(cache))
            if (entry.path().filename().string().starts_with("root-"))
                return true;
        return false;
    }
};

TEST_F(SetUp, WithoutADebianArchiveInAptsSourcesAsksForOne) {
    const scratch cache;
    write_file(cache / "apt.conf",
               "Dir::Etc::sourcelist \"/dev/null\";\nDir::Etc::sourceparts \"/dev/null\";\n");
    expect_refusal(
        try_in(cache.path(), {"APT_CONFIG=" + (cache / "apt.conf").string(), "ODPLAB_MIRROR="}),
        "ODPLAB_MIRROR");
    EXPECT_FALSE(has_root(cache.path()));
}

TEST_F(SetUp, WithAMirrorThatHasNothingSaysSo) {
    const scratch cache;
    expect_refusal(try_in(cache.path(), {"ODPLAB_MIRROR=file:" + (cache / "nothing").string()}),
                   "trixie-backports");
    EXPECT_FALSE(has_root(cache.path()));
}

TEST_F(SetUp, RemovesWhatAnInterruptedOneLeft) {
    const scratch cache;
    const std::filesystem::path leftover = cache / "odplab" / "root-0.unfinished" / "usr";
    std::filesystem::create_directories(leftover);
    expect_refusal(try_in(cache.path(), {"ODPLAB_MIRROR=file:" + (cache / "nothing").string()}),
                   "trixie-backports");
    EXPECT_FALSE(has_root(cache.path()));
}

// A kernel that was being built has the same rules as a root.
TEST_F(SetUp, RemovesAKernelThatAnInterruptedBuildLeft) {
    const scratch cache;
    const std::filesystem::path leftover = cache / "odplab" / "kernel-debug-0.unfinished";
    std::filesystem::create_directories(leftover / "source");
    expect_refusal(try_in(cache.path(), {"ODPLAB_MIRROR=file:" + (cache / "nothing").string()}),
                   "trixie-backports");
    EXPECT_FALSE(std::filesystem::exists(leftover));
}

// A file system of 64 MiB, seen by this one lab only.
TEST_F(SetUp, WithoutSpaceSaysHowMuchIsNeeded) {
    const scratch cache;
    const std::string target = cache.path().string();
    const outcome end = try_in(cache.path(), {}, [&target] {
        if (unshare(CLONE_NEWNS) != 0 ||
            mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
            mount("tmpfs", target.c_str(), "tmpfs", 0, "size=64m") != 0)
            _exit(98);
    });
    expect_refusal(end, "MiB free");
}

} // namespace
