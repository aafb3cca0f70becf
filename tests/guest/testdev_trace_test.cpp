// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// The tracepoints of the core: each step of a page's way is told once, with what one wants to know
// of it.

#include "fixture.hpp"
#include "testdev.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <format>
#include <fstream>
#include <initializer_list>
#include <string>
#include <vector>

namespace odp_test {

namespace {

/// A trace of its own, of the core's events alone.
class core_trace {
  public:
    core_trace() {
        std::filesystem::create_directory(place_);
        std::ofstream(place_ / "events/odp_mirror/enable") << 1;
    }
    core_trace(const core_trace &) = delete;
    core_trace &operator=(const core_trace &) = delete;
    ~core_trace() {
        std::ofstream(place_ / "events/odp_mirror/enable") << 0;
        std::filesystem::remove(place_);
    }

    /// What this process's mirrors did since the last call, a line each: "odp_publish: mirror=...".
    std::vector<std::string> take() const {
        const auto mine = std::format(" pid={} ", getpid());
        std::vector<std::string> lines;
        std::ifstream file(place_ / "trace");
        for (std::string line; std::getline(file, line);)
            if (const auto at = line.find("odp_"); line.contains(mine) && at != line.npos)
                lines.push_back(line.substr(at));
        std::ofstream(place_ / "trace") << "\n"; // opened for writing: it is empty now
        return lines;
    }

  private:
    const std::filesystem::path place_ = "/sys/kernel/tracing/instances/odp_test";
};

/// @lines are those that have the @wanted parts, in order.
::testing::AssertionResult tell(const std::vector<std::string> &lines,
                                std::initializer_list<std::vector<std::string>> wanted) {
    auto failure = ::testing::AssertionFailure();
    for (const auto &line : lines)
        failure << line << '\n';
    if (lines.size() != wanted.size())
        return failure << wanted.size() << " lines were expected";
    std::size_t i = 0;
    for (const auto &parts : wanted) {
        for (const auto &part : parts)
            if (!(lines[i] + ' ').contains(part + ' '))
                return failure << "no '" << part << "' in line " << i + 1;
        ++i;
    }
    return ::testing::AssertionSuccess();
}

class TestDeviceTrace : public device_test {
  protected:
    int touch(const mapping &map, bool write) const {
        std::array<std::uint8_t, 8> bytes{};
        return write ? window.write(whole_iova(map.data()), bytes)
                     : window.read(whole_iova(map.data()), bytes);
    }

    const mirror_window window{dev};
    const core_trace trace;
};

TEST_F(TestDeviceTrace, EachStepIsTold) {
    mapping map(page(2), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0, lonely_va());
    const auto first = std::format("first={:#x}", whole_iova(map.data()));

    fill_pattern(map.bytes(), seed);
    ASSERT_EQ(touch(map, false), 0);
    EXPECT_TRUE(tell(trace.take(), {{"odp_chunk_create:"},
                                    {"odp_fault_begin:", first, "write=0", "mode=quick"},
                                    {"odp_publish:", first, "usable=1", "huge=0"},
                                    {"odp_fault_end:", first, "class=present", "usable=1"}}));
    ASSERT_EQ(touch(map, false), 0);
    EXPECT_TRUE(tell(trace.take(), {})) << "a hit is no event";

    // The other page came along, and keeps the chunk.
    checked(madvise(map.data(), page(1), MADV_DONTNEED), "MADV_DONTNEED");
    EXPECT_TRUE(tell(trace.take(), {{"odp_invalidate:", "event=clear", "pages=1"}}));
    ASSERT_EQ(touch(map, true), 0);
    EXPECT_TRUE(tell(trace.take(), {{"odp_fault_begin:", first, "write=1", "mode=quick"},
                                    {"odp_publish:", first, "usable=1"},
                                    {"odp_fault_end:", first, "class=minor", "usable=1"}}));

    map.unmap();
    EXPECT_TRUE(becomes_true([] { return counter("chunks") == 0; }));
    EXPECT_TRUE(
        tell(trace.take(), {{"odp_invalidate:", "event=unmap", "pages=2"}, {"odp_chunk_free:"}}));
}

} // namespace

} // namespace odp_test
