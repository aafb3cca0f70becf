// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// A page that is refused after a long time, as by a disk or a server that tried long. By then
// nobody may be waiting for it; who comes back for it hears what the answer was, instead of having
// the same tried again for ever.

#include "command.hpp"
#include "fixture.hpp"
#include "resources.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <string>
#include <utility>

namespace odp_test {

namespace {

/// A block device that the kernel makes of others.
class mapped_disk {
  public:
    mapped_disk(std::string name, const std::string &table) : name_(std::move(name)) {
        run_command("modprobe -a dm-mod dm-delay");
        run_command("dmsetup create --noudevsync " + name_ + " --table '" + table + "'");
        run_command("dmsetup mknodes " + name_);
    }
    mapped_disk(const mapped_disk &) = delete;
    mapped_disk &operator=(const mapped_disk &) = delete;
    ~mapped_disk() {
        static_cast<void>(output_of("dmsetup remove --noudevsync " + name_ + " 2>&1"));
    }

    file open() const {
        return file(checked(::open(("/dev/mapper/" + name_).c_str(), O_RDWR | O_CLOEXEC),
                            "opening a disk"));
    }

  private:
    std::string name_;
};

/// The kernel's log is not silent: the disk's errors are in it.
class SlowError : public ::testing::Test {
  protected:
    static constexpr std::size_t length = 3000;

    const device dev;
    const std::uint64_t seed = test_seed();
    // Every read fails, after far longer than an access waits in place.
    const mapped_disk broken_{"odp-broken", "0 2048 error"};
    const mapped_disk slow_{"odp-slow", "0 2048 delay /dev/mapper/odp-broken 0 300"};
    const file backing_ = slow_.open();
    const mapping map_{2 * page_size(), PROT_READ | PROT_WRITE, MAP_SHARED, backing_.descriptor()};
    const region mr_ = must(region::implicit(dev, odp_access));
    const pinned_buffer buffer_{dev, length};
    connection link_{dev};
};

TEST_F(SlowError, ReachesThePeer) {
    EXPECT_TRUE(
        completed_with(link_.requester.run(operation::read(
                           buffer_.mr.sge(buffer_.map.data(), length), mr_.target(map_.data()))),
                       IBV_WC_REM_ACCESS_ERR));
}

TEST_F(SlowError, ReachesTheRequester) {
    EXPECT_TRUE(
        completed_with(link_.requester.run(operation::write(mr_.sge(map_.data(), length),
                                                            buffer_.mr.target(buffer_.map.data()))),
                       IBV_WC_LOC_PROT_ERR));
}

// What else comes to lie there is not what was refused.
TEST_F(SlowError, IsNotOfTheNextMapping) {
    link_.requester.post(
        operation::read(buffer_.mr.sge(buffer_.map.data(), length), mr_.target(map_.data())));
    EXPECT_TRUE(becomes_true([] { return read_mirror_counters(getpid())["errors"] > 0; }));
    const memory other(memory_kind::ext4, map_.size());
    fill_pattern(other.map.bytes(), seed);
    map_.replace_by(other.backing);
    connection second(dev);
    const pinned_buffer into(dev, length);
    EXPECT_TRUE(completed_with(second.requester.run(operation::read(
                                   into.mr.sge(into.map.data(), length), mr_.target(map_.data()))),
                               IBV_WC_SUCCESS));
    EXPECT_TRUE(matches(compare_pattern(into.map.bytes(0, length), seed)));
}

} // namespace

} // namespace odp_test
