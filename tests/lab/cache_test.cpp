// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// The cache and what needs no guest: clean, --dry-run, --help.

#include "process.hpp"
#include "scratch.hpp"

#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <filesystem>
#include <regex>
#include <string>
#include <vector>

namespace {

using namespace lab_test;

// A cache as the lab leaves it, with something of somebody else's in it.
class Clean : public testing::Test {
  protected:
    void SetUp() override {
        for (const std::string name :
             {"root-1", "root-2.unfinished", "kernel-debug-1/modules", "kernel-kcsan-2.unfinished",
              "build-1/user", "ccache", "log"})
            std::filesystem::create_directories(odplab / name);
        write_file(odplab / "use.lock", "");
        write_file(odplab / "accelerator.json", "{}");
        write_file(odplab / "root-1/file", "content");
    }

    outcome clean() const {
        return run_lab(
            {.arguments = {"clean"}, .environment = {"XDG_CACHE_HOME=" + cache.path().string()}});
    }

    scratch cache;
    std::filesystem::path odplab = cache / "odplab";
};

TEST_F(Clean, RemovesEverythingAndTheDirectory) {
    EXPECT_EQ(clean().status, 0);
    EXPECT_FALSE(std::filesystem::exists(odplab));
    EXPECT_EQ(clean().status, 0) << "with nothing to remove";
}

TEST_F(Clean, LeavesWhatIsNotTheLabs) {
    write_file(odplab / "mine", "mine");
    EXPECT_EQ(clean().status, 0);
    EXPECT_EQ(read_file(odplab / "mine"), "mine");
    EXPECT_FALSE(std::filesystem::exists(odplab / "root-1"));
}

TEST_F(Clean, RefusesWhileARunUsesTheCache) {
    const int lock = open((odplab / "use.lock").c_str(), O_RDWR | O_CLOEXEC);
    ASSERT_GE(lock, 0);
    ASSERT_EQ(flock(lock, LOCK_SH | LOCK_NB), 0);
    const outcome end = clean();
    close(lock);
    EXPECT_EQ(end.status, 2);
    EXPECT_NE(end.error.find("odplab: "), std::string::npos) << end.error;
    EXPECT_TRUE(std::filesystem::exists(odplab / "root-1/file"));
}

TEST(DryRun, PrintsQemusCommandAndBootsNothing) {
    const outcome end = run_lab({.arguments = {"run", "--dry-run", "--icount", "--mem", "4G",
                                               "--pmem", "1G", "--", "true"}});
    EXPECT_EQ(end.status, 0) << end.error;
    EXPECT_TRUE(end.out.starts_with("qemu-system-x86_64 ")) << end.out;
    EXPECT_EQ(end.out.find('\n'), end.out.size() - 1) << "more than one line: " << end.out;
    for (const std::string word :
         {"-icount shift=0,sleep=off", "-smp 1", "-m 6464M",
          "memmap=1024M!4096M memmap=1024M!5120M memmap=320M!", "max-ram-below-4g=2147483648"})
        EXPECT_NE(end.out.find(word), std::string::npos) << "no '" << word << "' in: " << end.out;
}

std::string kernel_of(const std::vector<std::string> &options) {
    std::vector<std::string> arguments = {"run", "--dry-run"};
    arguments.insert(arguments.end(), options.begin(), options.end());
    const outcome end = run_lab({.arguments = arguments});
    EXPECT_EQ(end.status, 0) << end.error;
    std::smatch match;
    const std::regex kernel("-kernel /usr/lib/modules/([^/ ]+)/vmlinux ");
    EXPECT_TRUE(std::regex_search(end.out, match, kernel)) << end.out;
    return match[1];
}

// Each is of the stock kernel's version and has a name of its own. Nothing is built for it.
TEST(DryRun, NamesTheKernelThatWasAskedFor) {
    const std::string stock = kernel_of({});
    const std::string version = stock.substr(0, stock.find('+'));
    EXPECT_EQ(kernel_of({"--kernel", "stock"}), stock);
    for (const std::string kind : {"debug", "kcsan"}) {
        const std::string release = kernel_of({"--kernel", kind});
        EXPECT_TRUE(std::regex_match(release, std::regex(version + "-" + kind + "-[0-9a-f]{12}")))
            << release;
    }
}

TEST(Help, NamesEveryCommandAndOption) {
    const outcome top = run_lab({.arguments = {"--help"}});
    EXPECT_EQ(top.status, 0) << top.error;
    for (const std::string word : {"demo", "test", "run", "shell", "patches", "clean"})
        EXPECT_NE(top.out.find(word), std::string::npos) << top.out;
    const outcome run = run_lab({.arguments = {"run", "--help"}});
    EXPECT_EQ(run.status, 0) << run.error;
    for (const std::string word : {"--rxe", "--provider", "--kernel", "--smp", "--mem", "--pmem",
                                   "--icount", "--share", "--timeout", "--mtu", "--dry-run"})
        EXPECT_NE(run.out.find(word), std::string::npos) << run.out;
}

} // namespace
