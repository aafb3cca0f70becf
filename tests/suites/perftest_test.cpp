// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// perftest between two hosts. It looks at no byte of what it moves, so where a file is its buffer
// (--mmap) the file is looked at here: perftest fills it with random data, and what has been moved
// is the same on both sides. The figures are not looked at.

#include "memory.hpp"
#include "pattern.hpp"
#include "session.hpp"

#include <fcntl.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <format>
#include <ostream>
#include <tuple>
#include <vector>

namespace odp_test {

namespace {

using side = two_hosts::side;

constexpr const char *all_programs[] = {"ib_read_bw",   "ib_read_lat",  "ib_write_bw",
                                        "ib_write_lat", "ib_send_bw",   "ib_send_lat",
                                        "ib_atomic_bw", "ib_atomic_lat"};
// Those whose messages have a length.
constexpr const char *bandwidth_programs[] = {"ib_read_bw", "ib_write_bw", "ib_send_bw"};
constexpr const char *latency_programs[] = {"ib_read_lat", "ib_write_lat", "ib_send_lat"};

/// "IbReadBw"
std::string test_name(const std::string &words) {
    std::string name;
    bool upper = true;
    for (const char letter : words) {
        if (std::isalnum(static_cast<unsigned char>(letter)) != 0)
            name += upper ? static_cast<char>(std::toupper(letter)) : letter;
        upper = letter == '_' || letter == ' ' || letter == '-';
    }
    return name;
}

class perftest : public suite_test {
  protected:
    /// -F: an emulated CPU has no frequency to warn about.
    static session play(const std::string &program, const std::string &options,
                        const std::string &server_options = "",
                        const std::string &client_options = "") {
        const auto line = [&](side where, const std::string &more) {
            return std::format("{} -F {} {} {}", program, device_options(where, "-x"), options,
                               more);
        };
        const bool by_cm = options.contains("-R");
        return run_session(
            line(side::far, server_options),
            std::format("{} {}", line(side::near, client_options), two_hosts::address(side::far)),
            by_cm ? rendezvous::rdma_cm : rendezvous::tcp);
    }
};

class Perftest : public perftest,
                 public ::testing::WithParamInterface<std::tuple<const char *, const char *>> {};

TEST_P(Perftest, Completes) {
    const auto [program, options] = GetParam();
    EXPECT_TRUE(succeeded(play(program, options)));
}

const auto by_program = [](const auto &test) {
    return test_name(std::get<0>(test.param)) + test_name(std::get<1>(test.param));
};

INSTANTIATE_TEST_SUITE_P(Every, Perftest,
                         ::testing::Combine(::testing::ValuesIn(all_programs),
                                            ::testing::Values("-n 20", "-n 20 --odp",
                                                              "-n 20 --odp -R")),
                         by_program);

// 2 bytes to 8 MiB.
INSTANTIATE_TEST_SUITE_P(AllSizes, Perftest,
                         ::testing::Combine(::testing::ValuesIn(bandwidth_programs),
                                            ::testing::Values("-n 5 -a --odp")),
                         by_program);
INSTANTIATE_TEST_SUITE_P(Extended, Perftest,
                         ::testing::Combine(::testing::ValuesIn(latency_programs),
                                            ::testing::Values("-n 5 -a --odp", "-n 5 -a --odp -R")),
                         by_program);

// perftest itself has no ODP over UC, whatever the device says.
INSTANTIATE_TEST_SUITE_P(Unreliable, Perftest,
                         ::testing::Combine(::testing::Values("ib_send_bw", "ib_send_lat"),
                                            ::testing::Values("-n 20 -c UC",
                                                              "-n 20 --odp -s 4096 -c UD")),
                         by_program);

/// A file that both sides can name.
class named_file {
  public:
    named_file(memory_kind kind, const char *name) : path_(directory_of(kind) + "/" + name) {
        const file made(checked(open(path_.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600),
                                "creating " + path_));
        made.truncate(length);
    }
    named_file(const named_file &) = delete;
    named_file &operator=(const named_file &) = delete;
    ~named_file() { std::filesystem::remove(path_); }

    const std::string &path() const { return path_; }
    /// A part of it, past any mapping.
    std::vector<std::uint8_t> bytes(std::size_t start, std::size_t count) const {
        const file opened(checked(open(path_.c_str(), O_RDONLY | O_CLOEXEC), "opening " + path_));
        std::vector<std::uint8_t> content(count);
        opened.read(content, start);
        return content;
    }

    static constexpr std::size_t length = 1UZ << 20;

  private:
    std::string path_;
};

class PerftestOnFile : public perftest,
                       public ::testing::WithParamInterface<std::tuple<const char *, memory_kind>> {
  protected:
    static constexpr std::size_t message = 16384;
};

// Each side's file has the side's own data first and what comes from or goes to the peer behind it.
// A read takes what is at the peer's second place, the other two put there what is at our first.
TEST_P(PerftestOnFile, BothFilesHaveTheSame) {
    const auto [program, kind] = GetParam();
    const named_file server(kind, "perftest-server");
    const named_file client(kind, "perftest-client");
    const session both = play(program, std::format("-n 20 --odp -s {}", message),
                              "--mmap=" + server.path(), "--mmap=" + client.path());
    ASSERT_TRUE(succeeded(both));
    const bool reads = std::string(program).contains("read");
    const auto source = reads ? server.bytes(message, message) : client.bytes(0, message);
    const auto arrived = reads ? client.bytes(0, message) : server.bytes(message, message);
    EXPECT_TRUE(std::ranges::any_of(source, [](std::uint8_t byte) { return byte != 0; }))
        << "perftest did not fill the file";
    const auto result = compare_bytes(arrived, source);
    EXPECT_EQ(result.wrong, 0U) << result.describe();
}

INSTANTIATE_TEST_SUITE_P(Over, PerftestOnFile,
                         ::testing::Combine(::testing::ValuesIn(bandwidth_programs),
                                            ::testing::Values(memory_kind::ext4, memory_kind::xfs,
                                                              memory_kind::ext4_dax,
                                                              memory_kind::xfs_dax)),
                         [](const auto &test) {
                             return test_name(std::get<0>(test.param)) +
                                    kind_name(std::get<1>(test.param));
                         });

} // namespace

} // namespace odp_test
