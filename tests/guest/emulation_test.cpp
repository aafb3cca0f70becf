// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// What all other tests stand on: the program that runs is the one in the file. An emulator keeps
// what it has translated from a page until it sees the page change, and what virtiofsd stores there
// it does not see; see kernel_command_line() in lab/odplab/qemu.py.

#include "memory.hpp"

#include <dlfcn.h>
#include <fcntl.h>
#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <stdexcept>
#include <string>

namespace odp_test {

namespace {

/// code_page.cpp, with NUMBER from 0 on.
constexpr std::array libraries{ODP_CODE_PAGES};

struct unloader {
    void operator()(void *library) const noexcept { dlclose(library); }
};

/// What the code in @path returns, run from pages that are free again afterwards.
int run_once(const char *path) {
    const std::unique_ptr<void, unloader> library(dlopen(path, RTLD_NOW | RTLD_LOCAL));
    if (!library)
        throw std::runtime_error(dlerror());
    const auto number = reinterpret_cast<int (*)()>(dlsym(library.get(), "code_page_number"));
    if (number == nullptr)
        throw std::runtime_error(dlerror());
    return number();
}

void drop_pages(const char *path) {
    const file library(checked(open(path, O_RDONLY | O_CLOEXEC), path));
    if (const int error = posix_fadvise(library.descriptor(), 0, 0, POSIX_FADV_DONTNEED))
        fail_with(error, "dropping a file's pages");
}

TEST(Emulation, CodeInAReusedPageIsTheNewFiles) {
    constexpr int rounds = 10;
    for (int round = 0; round < rounds; ++round)
        for (std::size_t i = 0; i < libraries.size(); ++i) {
            EXPECT_EQ(run_once(libraries[i]), static_cast<int>(i)) << "in round " << round;
            drop_pages(libraries[i]);
        }
}

} // namespace

} // namespace odp_test
