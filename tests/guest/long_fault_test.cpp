// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// Pages that take seconds to come, on either side of a transfer. It waits for them without a
// time-out, at hardly any cost, and is right in the end. ODP_TEST_LONG_SECONDS says how many
// seconds; by hand it has been a minute.

#include "fixture.hpp"
#include "frozen.hpp"
#include "resources.hpp"
#include "user_faults.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace odp_test {

namespace {

using namespace std::chrono_literals;
using clock = std::chrono::steady_clock;

/// What happens to the memory that is late, by which side's hands.
enum class use {
    received,      ///< the responder stores a SEND there
    written,       ///< the responder stores a WRITE
    read,          ///< the responder answers a READ
    added_to,      ///< the responder executes an atomic
    sent,          ///< the requester sends it
    written_from,  ///< the requester writes it to the peer
    read_into,     ///< the requester stores the answer to its READ
    atomic_result, ///< the requester stores the answer to its atomic
};

constexpr use stores[] = {use::received, use::written, use::added_to, use::read_into,
                          use::atomic_result};

std::string use_name(const ::testing::TestParamInfo<use> &test) {
    switch (test.param) {
    case use::received:
        return "Received";
    case use::written:
        return "Written";
    case use::read:
        return "Read";
    case use::added_to:
        return "AddedTo";
    case use::sent:
        return "Sent";
    case use::written_from:
        return "WrittenFrom";
    case use::read_into:
        return "ReadInto";
    case use::atomic_result:
        break;
    }
    return "AtomicResult";
}

std::chrono::seconds lateness() {
    const char *const chosen = std::getenv("ODP_TEST_LONG_SECONDS");
    return std::chrono::seconds(chosen != nullptr ? std::atoi(chosen) : 2);
}

std::uint64_t word_at(const std::uint8_t *bytes) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes, sizeof word);
    return word;
}

std::uint64_t pattern_word(std::uint64_t seed, std::uint64_t position) {
    std::uint8_t bytes[sizeof(std::uint64_t)];
    fill_pattern(bytes, seed, position);
    return word_at(bytes);
}

/// What a transfer that only waits raises by not more than so many.
struct limit {
    const char *counter;
    std::uint64_t most;
};
constexpr limit repetitions[] = {
    {"completer_retry_err", 0},
    {"retry_exceeded_err", 0},
    {"duplicate_request", 10}, // the message's packets, those that are not acknowledged yet
};

/// One transfer between memory that is late, with the pattern of the seed, and memory that is
/// there, with the next one's.
class LongFault : public verbs_test, public ::testing::WithParamInterface<use> {
  protected:
    static constexpr std::size_t npages = 4;
    static constexpr std::uint64_t added = 3;

    LongFault() { fill_pattern(buffer_.map.bytes(), seed + 1); }

    static bool is_atomic() {
        return GetParam() == use::added_to || GetParam() == use::atomic_result;
    }
    static bool is_stored_into() {
        for (const use one : stores)
            if (one == GetParam())
                return true;
        return false;
    }

    /// Posts the transfer. It begins in the middle of a page and ends in another one.
    void post(std::uint8_t *late) {
        late_ = late + offset;
        const std::size_t size = is_atomic() ? sizeof(std::uint64_t) : length;
        const ibv_sge late_sge = mr_.sge(late_, size);
        const ibv_sge here_sge = buffer_.mr.sge(here(), size);
        switch (GetParam()) {
        case use::received:
            link_.responder.post_receive(late_sge);
            link_.requester.post(operation::send(here_sge));
            break;
        case use::written:
            link_.requester.post(operation::write(here_sge, mr_.target(late_)));
            break;
        case use::read:
            link_.requester.post(operation::read(here_sge, mr_.target(late_)));
            break;
        case use::added_to:
            link_.requester.post(operation::fetch_add(here_sge, mr_.target(late_), added));
            break;
        case use::sent:
            link_.responder.post_receive(here_sge);
            link_.requester.post(operation::send(late_sge));
            break;
        case use::written_from:
            link_.requester.post(operation::write(late_sge, buffer_.mr.target(here())));
            break;
        case use::read_into:
            link_.requester.post(operation::read(late_sge, buffer_.mr.target(here())));
            break;
        case use::atomic_result:
            link_.requester.post(operation::fetch_add(late_sge, buffer_.mr.target(here()), added));
            break;
        }
    }

    /// For as long as the page takes, nothing completes and nothing is tried often.
    void expect_patience() {
        const std::uint64_t tries = read_mirror_counters(getpid())["busy"];
        std::this_thread::sleep_for(lateness());
        ASSERT_FALSE(link_.requester.poll()) << "completed without the page";
        const std::uint64_t more = read_mirror_counters(getpid())["busy"] - tries;
        EXPECT_GE(more, 3U) << "nobody looked for the page";
        EXPECT_LE(more, 12U + 12U * static_cast<unsigned>(lateness().count()));
    }

    /// After the page has come.
    void expect_success() {
        EXPECT_TRUE(completed_with(link_.requester.wait(), IBV_WC_SUCCESS));
        if (GetParam() == use::received || GetParam() == use::sent) {
            EXPECT_TRUE(completed_with(link_.responder.wait(), IBV_WC_SUCCESS));
        }
        expect_data();
        for (const auto &[name, most] : repetitions)
            EXPECT_LE(device_counter(dev.name(), name), before_.at(name) + most) << name;
    }

    static constexpr std::size_t offset = 800;
    static constexpr std::size_t length = 10000; // of more than one packet on each page

  private:
    std::uint8_t *here() const { return buffer_.map.data() + offset; }

    void expect_data() const {
        if (GetParam() == use::added_to) {
            EXPECT_EQ(word_at(here()), pattern_word(seed, offset));
            EXPECT_EQ(word_at(late_), pattern_word(seed, offset) + added);
        } else if (GetParam() == use::atomic_result) {
            EXPECT_EQ(word_at(late_), pattern_word(seed + 1, offset));
            EXPECT_EQ(word_at(here()), pattern_word(seed + 1, offset) + added);
        } else if (is_stored_into()) {
            EXPECT_TRUE(matches(compare_pattern({late_, length}, seed + 1, offset)));
        } else {
            EXPECT_TRUE(matches(compare_pattern({here(), length}, seed, offset)));
        }
    }

    std::map<std::string, std::uint64_t> count() const {
        std::map<std::string, std::uint64_t> counts;
        for (const auto &[name, most] : repetitions)
            counts[name] = device_counter(dev.name(), name);
        return counts;
    }

    const region mr_ = must(region::implicit(dev, odp_access));
    const pinned_buffer buffer_{dev, npages *page_size()};
    connection link_{dev, IBV_MTU_1024, 1}; // two time-outs would end it
    std::map<std::string, std::uint64_t> before_ = count();
    std::uint8_t *late_ = nullptr;
};

/// A handler in user space takes its time over the page in the middle, or the only one.
class SlowHandler : public LongFault {
  protected:
    void provide(std::size_t page) const {
        const std::size_t start = page * page_size();
        const mapping content(page_size(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
        fill_pattern(content.bytes(), seed, start);
        faults_.provide(reinterpret_cast<std::uintptr_t>(map_.data()) + start, content.data());
    }

    const mapping map_{npages * page_size(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS};
    const user_faults faults_{map_};
};

TEST_P(SlowHandler, IsWaitedFor) {
    if (!is_atomic())
        provide(0);
    post(map_.data());
    faults_.next();
    expect_patience();
    for (std::size_t page = is_atomic() ? 0 : 1; page < npages; ++page)
        provide(page);
    expect_success();
}

INSTANTIATE_TEST_SUITE_P(Of, SlowHandler,
                         ::testing::Values(use::received, use::written, use::read, use::added_to,
                                           use::sent, use::written_from, use::read_into,
                                           use::atomic_result),
                         use_name);

/// A file that is there and clean, and whose file system may not be written to.
class FrozenFile : public LongFault {
  protected:
    FrozenFile() : area_(memory_kind::ext4, npages * page_size()) {
        fill_pattern(area_.map.bytes(), seed);
        checked(msync(area_.map.data(), area_.map.size(), MS_SYNC), "msync");
    }

    const memory area_;
};

TEST_P(FrozenFile, IsWaitedFor) {
    frozen filesystem(memory_kind::ext4);
    post(area_.map.data());
    std::this_thread::sleep_for(100ms); // longer than anybody waits in place
    expect_patience();
    filesystem.thaw();
    expect_success();
}

/// Many queue pairs whose pages do not come, on either side of their transfers.
class StuckQueuePairs : public verbs_test {
  protected:
    static constexpr std::size_t nlinks = 24;
    static constexpr std::size_t batch = 16;
    static constexpr std::size_t attempts = 3;

    /// Writes of another queue pair in a tenth of a second, when least disturbed by who else uses
    /// the machine.
    std::size_t rate() {
        std::size_t best = 0;
        for (int window = 0; window < 15; ++window) {
            std::size_t count = 0;
            const auto end = clock::now() + 100ms;
            for (; clock::now() < end; count += batch)
                write_batch();
            best = std::max(best, count);
        }
        return best;
    }
    void write_batch() {
        for (std::size_t n = 0; n < batch; ++n)
            other_.requester.post(operation::write(from_.mr.sge(from_.map.data(), page_size()),
                                                   to_.mr.target(to_.map.data())));
        for (std::size_t n = 0; n < batch; ++n)
            EXPECT_TRUE(completed_with(other_.requester.wait(), IBV_WC_SUCCESS));
    }
    std::uint8_t *page(std::size_t attempt, std::size_t n) const {
        return map_.data() + (attempt * nlinks + n) * page_size();
    }
    void get_stuck(std::size_t attempt) {
        for (std::size_t n = 0; n < nlinks; ++n) {
            std::uint8_t *const page = this->page(attempt, n);
            const bool is_remote = n % 2 == 0;
            links_.push_back(std::make_unique<connection>(dev));
            links_.back()->requester.post(
                is_remote ? operation::write(from_.mr.sge(from_.map.data(), 100), mr_.target(page))
                          : operation::write(mr_.sge(page, 100), to_.mr.target(to_.map.data())));
            faults_.next();
        }
    }
    /// A process has 32 faults in flight at most, so that the next attempt needs these to end.
    void release(std::size_t attempt) const {
        for (std::size_t n = 0; n < nlinks; ++n)
            faults_.provide(reinterpret_cast<std::uintptr_t>(page(attempt, n)), from_.map.data());
    }

    const mapping map_{attempts * nlinks * page_size(), PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS};
    const user_faults faults_{map_};
    const region mr_ = must(region::implicit(dev, odp_access));
    const pinned_buffer from_{dev, page_size()};
    const pinned_buffer to_{dev, page_size()};
    connection other_{dev};
    std::vector<std::unique_ptr<connection>> links_;
};

TEST_F(StuckQueuePairs, TakeLittleFromOthers) {
    // 9 of 10 on the instruction clock. Here, other work on the machine is in the figures; what the
    // stuck ones take, they take at each attempt.
    for (std::size_t attempt = 0; attempt < attempts; ++attempt) {
        const std::size_t before = rate();
        get_stuck(attempt);
        std::this_thread::sleep_for(1s); // once they know that it takes long
        const std::size_t meanwhile = rate();
        EXPECT_TRUE(is_prompt([this] { links_.clear(); }));
        std::printf("%zu writes in 100 ms, meanwhile %zu\n", before, meanwhile);
        if (10 * meanwhile >= 7 * before)
            return;
        release(attempt);
    }
    ADD_FAILURE() << "others keep less than 7 of 10 of their rate";
}

INSTANTIATE_TEST_SUITE_P(Of, FrozenFile, ::testing::ValuesIn(stores), use_name);

} // namespace

} // namespace odp_test
