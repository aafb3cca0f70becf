// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// The list of all rows, and the taking of samples in children.

#include "row.hpp"

#include "error.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <exception>
#include <print>
#include <stdexcept>

namespace odp_bench {

namespace {

using odp_test::checked;

// The child's number comes through a pipe; a child that fails says why on stderr and sends none.
[[noreturn]] void run_child(const measure &take, int answer) {
    int status = 1;
    try {
        const double figure = take();
        if (write(answer, &figure, sizeof figure) == sizeof figure)
            status = 0;
    } catch (const std::exception &error) {
        std::println(stderr, "odp_bench: {}", error.what());
    }
    std::fflush(nullptr);
    _exit(status);
}

double in_child(const measure &take) {
    int ends[2];
    checked(pipe(ends), "making a pipe");
    std::fflush(nullptr);
    const pid_t pid = checked(fork(), "forking");
    if (pid == 0) {
        close(ends[0]);
        run_child(take, ends[1]);
    }
    close(ends[1]);
    double figure = 0;
    const bool answered = read(ends[0], &figure, sizeof figure) == sizeof figure;
    close(ends[0]);
    int status = 0;
    checked(waitpid(pid, &status, 0), "waiting for a child");
    if (!answered || status != 0)
        throw std::runtime_error("a sample could not be taken");
    return figure;
}

} // namespace

std::vector<row> all_rows() {
    std::vector<row> all;
    for (const auto &family :
         {registration_rows(), memory_rows(), unmap_rows(), untouched_rows(), invalidate_rows(),
          hit_rows(), fault_rows(), huge_rows(), scan_rows(), sparse_rows(), returned_rows(),
          scaling_rows(), collision_rows()})
        all.insert(all.end(), family.begin(), family.end());
    return all;
}

void take_samples(const measure &side, samples &taken, const measure &other, samples &other_taken,
                  int count) {
    for (int i = 0; i <= count; ++i) {
        for (const auto &[take, into] :
             {std::pair(&side, &taken), std::pair(&other, &other_taken)}) {
            if (!*take)
                continue;
            const double figure = in_child(*take);
            if (i > 0)
                into->push_back(figure);
        }
    }
}

} // namespace odp_bench
