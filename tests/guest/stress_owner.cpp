// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// The steps of the stress test; see stress_owner.hpp.

#include "stress_owner.hpp"

#include "child.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <exception>
#include <format>
#include <future>
#include <stdexcept>
#include <thread>
#include <utility>

namespace odp_test {

namespace {

using namespace std::chrono_literals;

/// Whole pages around it.
extent pages_of(extent where) {
    const std::size_t start = where.start / page_size() * page_size();
    const std::size_t end = where.start + where.length;
    return {start, (end + page_size() - 1) / page_size() * page_size() - start};
}

void write_word(const char *path, const char *word) {
    const file control(open(path, O_WRONLY | O_CLOEXEC));
    // EBUSY and the like: it is only asked for.
    static_cast<void>(::write(control.descriptor(), word, std::strlen(word)));
}

void advise_part(const territory &land, extent pages, int advice) {
    // ENOMEM: not mapped now; EINVAL, EAGAIN: not for this memory, not now.
    static_cast<void>(madvise(land.va(pages.start), pages.length, advice));
}

/// @acting is false afterwards, whatever happens.
void act_and_stop(const std::function<void()> &act, std::uint64_t times,
                  std::chrono::microseconds delay, std::atomic<bool> &acting) {
    const struct stopper {
        std::atomic<bool> &flag;
        ~stopper() { flag = false; }
    } stop_at_the_end{acting};
    for (std::uint64_t i = 0; i < times; ++i) {
        std::this_thread::sleep_for(delay);
        act();
    }
}

} // namespace

void disturb_memory(const territory &land, random_source &random) {
    const extent pages = territory::pick_pages(random, stress_owner::longest);
    const auto choice = random.between(0, 199);
    if (choice == 0)
        write_word("/proc/sys/vm/compact_memory", "1");
    else if (choice < 3)
        write_word("/proc/sys/vm/drop_caches", "2"); // shrinkers, the mirror's too
    else if (choice < 6)
        write_word("/proc/self/clear_refs", "4"); // soft-dirty
    else if (choice < 14)
        advise_part(land, {0, territory::size / 2}, MADV_COLLAPSE);
    else if (choice < 20)
        advise_part(land, {0, territory::size}, choice % 2 == 0 ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
    else if (choice < 60)
        advise_part(land, pages, MADV_COLD);
    else if (choice < 80) // writeback; of private memory there is none
        static_cast<void>(msync(land.va(pages.start), pages.length, MS_SYNC));
    else if (choice < 110)
        advise_part(land, pages, MADV_POPULATE_READ);
    else
        advise_part(land, pages, MADV_PAGEOUT);
}

stress_owner::stress_owner(memory_kind kind, std::uint64_t seed)
    : seed_(seed), land_(kind, named_seed(seed, "contents")),
      users_{make_stress_user(access_path::test_device, longest),
             make_stress_user(access_path::rxe, longest)},
      random_(seed) {}

const stress_owner::action stress_owner::actions[] = {
    {"write", 10, &stress_owner::write_some},
    {"read", 6, &stress_owner::read_some},
    {"store by the CPU", 6, &stress_owner::store_some},
    {"prefetch", 6, &stress_owner::prefetch_some},
    {"disturb", 20, &stress_owner::disturb},
    {"discard", 10, &stress_owner::discard},
    {"collide", 10, &stress_owner::collide},
    {"free lazily", 6, &stress_owner::free_lazily},
    {"protect", 12, &stress_owner::protect},
    {"unmap and map", 4, &stress_owner::unmap},
    {"truncate", 6, &stress_owner::truncate},
    {"move", 4, &stress_owner::move},
    {"fork", 3, &stress_owner::fork},
    {"change the region", 5, &stress_owner::change_region},
    {"destroy under way", 3, &stress_owner::destroy_users},
    {"verify", 1, &stress_owner::verify_all},
};

const stress_owner::action &stress_owner::choose() {
    unsigned sum = 0;
    for (const auto &candidate : actions)
        sum += candidate.weight;
    auto left = random_.between(0, sum - 1);
    for (const auto &candidate : actions) {
        if (left < candidate.weight)
            return candidate;
        left -= candidate.weight;
    }
    throw std::logic_error("the weights of the actions do not add up");
}

void stress_owner::step(std::uint64_t number) {
    random_ = random_source(named_seed(seed_ + number, "step"));
    generation_ = number << 20; // more than a step writes
    const auto path = random_.between(0, users_.size() - 1);
    user_ = users_[path].get();
    const action &chosen = choose();
    doing_ = std::format("{} ({})", chosen.name,
                         path_name(path == 0 ? access_path::test_device : access_path::rxe));
    (this->*chosen.run)();
}

void stress_owner::verify() {
    doing_ = "verify";
    const extent all{0, territory::size};
    const auto now = land_.bytes(all);
    land_.check(all, now, "the CPU");
    for (const auto &user : users_)
        for (std::size_t start = 0; start < territory::size; start += longest) {
            std::vector<std::uint8_t> found(longest);
            if (user->reading(land_.va(start), longest)(found) != access_result::done)
                throw std::runtime_error("a read of mapped memory was refused");
            land_.check({start, longest}, found, "the device");
        }
}

access_result stress_owner::write(extent where, std::span<std::uint8_t> data) {
    const auto result = user_->writing(land_.va(where.start), where.length)(data);
    if (result == access_result::refused)
        user_->recover();
    return result;
}

access_result stress_owner::read(extent where, std::span<std::uint8_t> data) {
    const auto result = user_->reading(land_.va(where.start), where.length)(data);
    if (result == access_result::refused)
        user_->recover();
    return result;
}

void stress_owner::access_repeatedly(encounter &outcome, const stress_user::access &access,
                                     const std::atomic<bool> &acting) {
    do {
        if (outcome.wrote) {
            // Not the data that is there: a write that got lost would not be missed.
            outcome.before = std::exchange(outcome.data, land_.stamp(outcome.where, ++generation_));
        }
        outcome.result = access(outcome.data);
    } while (acting && outcome.result == access_result::done);
}

stress_owner::encounter stress_owner::access_during(extent where,
                                                    const std::function<void()> &act) {
    const auto now = land_.expected(where);
    encounter outcome{.where = where,
                      .wrote = random_.between(0, 3) != 0,
                      .before = {now.begin(), now.end()},
                      .data = {now.begin(), now.end()}};
    std::uint8_t *const va = land_.va(where.start);
    const auto access =
        outcome.wrote ? user_->writing(va, where.length) : user_->reading(va, where.length);
    const auto delay = std::chrono::microseconds(random_.between(0, 1) * random_.between(0, 1000));
    const auto times = random_.between(1, 4);
    std::atomic<bool> acting = true;
    auto running =
        std::async(std::launch::async, [&] { access_repeatedly(outcome, access, acting); });
    act_and_stop(act, times, delay, acting);
    running.get();
    if (outcome.result == access_result::refused)
        user_->recover();
    return outcome;
}

stress_owner::encounter stress_owner::must_be_done(encounter outcome) {
    if (outcome.result != access_result::done)
        throw std::runtime_error("an access to mapped memory was refused");
    return outcome;
}

void stress_owner::conclude_kept(const encounter &outcome) {
    const bool done = outcome.result == access_result::done;
    if (!outcome.wrote) {
        if (done)
            land_.check(outcome.where, outcome.data, "the device");
        land_.check(outcome.where, land_.bytes(outcome.where), "the CPU");
    } else if (done) {
        land_.expect(outcome.where, outcome.data);
        land_.check(outcome.where, land_.bytes(outcome.where), "the CPU");
    } else {
        land_.settle(outcome.where, {outcome.data, outcome.before});
    }
    confirm(outcome.where);
}

void stress_owner::conclude_zeroed(const encounter &outcome) {
    const auto nothing = zeros(outcome.where.length);
    if (outcome.wrote) {
        land_.settle(outcome.where, {outcome.data, nothing});
    } else {
        if (outcome.result == access_result::done)
            land_.check_any(outcome.where, outcome.data, "the device", {outcome.before, nothing});
        land_.settle(outcome.where, {nothing});
    }
    confirm(outcome.where);
}

void stress_owner::confirm(extent where) {
    auto data = land_.stamp(where, ++generation_);
    if (write(where, data) != access_result::done)
        throw std::runtime_error("a write to mapped memory was refused");
    land_.expect(where, data);
    land_.check(where, land_.bytes(where), "the CPU");
}

void stress_owner::expect_refused(extent where, bool also_reading) {
    // Each costs rxe a queue pair.
    if (random_.between(0, 3) != 0)
        return;
    auto data = land_.stamp(where, ++generation_);
    if (write(where, data) != access_result::refused)
        throw std::runtime_error("a write to memory that cannot be written succeeded");
    if (also_reading && read(where, data) != access_result::refused)
        throw std::runtime_error("a read of memory that cannot be read succeeded");
}

void stress_owner::expect_stillness(extent where) const {
    const auto now = land_.bytes(where);
    const std::vector<std::uint8_t> before(now.begin(), now.end());
    std::this_thread::sleep_for(1ms);
    if (const auto found = compare_bytes(now, before); found.wrong != 0)
        throw std::runtime_error(
            std::format("memory at {} was written after write permission was taken away: {}",
                        static_cast<const void *>(now.data()), found.describe()));
}

void stress_owner::write_some() {
    confirm(territory::pick(random_, longest));
}

void stress_owner::read_some() {
    const extent where = territory::pick(random_, longest);
    std::vector<std::uint8_t> found(where.length);
    if (read(where, found) != access_result::done)
        throw std::runtime_error("a read of mapped memory was refused");
    land_.check(where, found, "the device");
}

void stress_owner::store_some() {
    const extent where = territory::pick(random_, longest / 4);
    auto data = land_.stamp(where, ++generation_);
    std::ranges::copy(data, land_.va(where.start));
    land_.expect(where, data);
    std::vector<std::uint8_t> found(where.length);
    if (read(where, found) != access_result::done)
        throw std::runtime_error("a read of mapped memory was refused");
    land_.check(where, found, "the device");
}

void stress_owner::prefetch_some() {
    const extent where = territory::pick(random_, longest);
    const auto mode = static_cast<prefetch_mode>(random_.between(0, 2));
    const bool wait = random_.next() % 2 != 0;
    const int error = user_->prefetch(land_.va(where.start), where.length, mode, wait);
    // Others prefetch as well, and make pages come and go.
    if (error != 0 && error != EAGAIN && error != ENOMEM && error != EBUSY)
        fail_with(error, "a prefetch of mapped memory");
    land_.check(where, land_.bytes(where), "the CPU");
    confirm(where);
}

void stress_owner::disturb() {
    conclude_kept(must_be_done(access_during(territory::pick(random_, longest),
                                             [this] { disturb_memory(land_, random_); })));
}

void stress_owner::discard() {
    const extent pages = territory::pick_pages(random_, longest);
    if (land_.is_private() || random_.between(0, 3) == 0) {
        const auto outcome = access_during(pages, [&] {
            checked(madvise(land_.va(pages.start), pages.length, MADV_DONTNEED), "MADV_DONTNEED");
        });
        // A file's pages are only unmapped by that.
        if (land_.is_private())
            conclude_zeroed(must_be_done(outcome));
        else
            conclude_kept(must_be_done(outcome));
        return;
    }
    const auto outcome =
        access_during(pages, [&] { land_.backing().punch_hole(pages.start, pages.length); });
    conclude_zeroed(must_be_done(outcome));
}

void stress_owner::collide() {
    // Short ones, so that a fault and what undoes it meet.
    for (int i = 0; i < 16; ++i) {
        const extent pages = territory::pick_pages(random_, 4 * page_size());
        const auto take_away = [&] {
            checked(madvise(land_.va(pages.start), pages.length, MADV_DONTNEED), "MADV_DONTNEED");
        };
        const auto outcome = must_be_done(access_during(pages, take_away));
        if (land_.is_private())
            conclude_zeroed(outcome);
        else
            conclude_kept(outcome);
    }
}

void stress_owner::free_lazily() {
    if (!land_.is_private())
        return discard();
    const extent pages = territory::pick_pages(random_, longest);
    must_be_done(access_during(pages, [&] {
        checked(madvise(land_.va(pages.start), pages.length, MADV_FREE), "MADV_FREE");
    }));
    // From here on it may be there or not, until it is written; then it stays.
    auto data = land_.stamp(pages, ++generation_);
    if (write(pages, data) != access_result::done)
        throw std::runtime_error("a write to lazily freed memory was refused");
    land_.expect(pages, data);
    advise_part(land_, pages, MADV_PAGEOUT);
    land_.check(pages, land_.bytes(pages), "the CPU");
}

void stress_owner::protect() {
    const extent where = territory::pick(random_, longest);
    const extent pages = pages_of(where);
    const int protection = random_.next() % 2 ? PROT_NONE : PROT_READ;
    const auto set = [&](int wanted) {
        checked(mprotect(land_.va(pages.start), pages.length, wanted), "mprotect");
    };
    const auto outcome = access_during(where, [&] {
        set(protection);
        if (protection == PROT_READ)
            expect_stillness(where);
        set(PROT_READ | PROT_WRITE);
    });
    set(protection);
    expect_refused(where, protection == PROT_NONE);
    set(PROT_READ | PROT_WRITE);
    conclude_kept(outcome);
}

void stress_owner::unmap() {
    const extent where = territory::pick(random_, longest);
    const auto outcome = access_during(where, [&] {
        land_.unmap();
        land_.map();
    });
    land_.unmap();
    expect_refused(where, true);
    land_.map();
    if (!land_.is_private())
        return conclude_kept(outcome);
    // Also what was written before the last of it.
    land_.expect_zeros({0, territory::size});
    land_.check(where, land_.bytes(where), "the CPU");
    confirm(where);
}

void stress_owner::truncate() {
    if (land_.is_private())
        return discard();
    const extent pages = territory::pick_pages(random_, longest);
    const auto outcome = access_during(pages, [&] {
        land_.backing().truncate(pages.start);
        land_.backing().truncate(territory::size);
    });
    land_.expect_zeros({pages.start + pages.length, territory::size - pages.start - pages.length});
    conclude_zeroed(outcome);
}

void stress_owner::move() {
    const extent where = territory::pick(random_, longest);
    const auto choice = random_.next();
    std::uint8_t *const old = land_.va(where.start);
    auto outcome = access_during(where, [&] {
        if (land_.va(where.start) == old)
            land_.move();
    });
    replace_region(choice);
    conclude_kept(outcome);
}

void stress_owner::fork() {
    const extent where = territory::pick(random_, longest);
    const auto before = land_.expected(where);
    auto data = land_.stamp(where, ++generation_);
    const std::vector<std::uint8_t> wanted =
        land_.is_private() ? std::vector<std::uint8_t>{before.begin(), before.end()} : data;
    shared_flag written;
    child observer([&] {
        written.await();
        return std::memcmp(land_.va(where.start), wanted.data(), wanted.size()) == 0 ? 0 : 1;
    });
    if (write(where, data) != access_result::done)
        throw std::runtime_error("a write to mapped memory was refused");
    written.raise();
    land_.expect(where, data);
    land_.check(where, land_.bytes(where), "the CPU");
    if (const int status = observer.wait(); status != 0)
        throw std::runtime_error(std::format(
            "a forked child ended with status {}: it does not see {} in {:#x} bytes at {}", status,
            land_.is_private() ? "what was there before the fork" : "what was written",
            where.length, static_cast<const void *>(land_.va(where.start))));
}

void stress_owner::replace_region(std::uint64_t choice) {
    if (choice % 2 == 0)
        user_->replace_region_by_whole();
    else
        user_->replace_region(land_.va(), territory::size, (choice >> 32) * page_size());
    // The other one's may be over where the territory was.
    for (const auto &other : users_)
        if (other.get() != user_)
            other->replace_region_by_whole();
}

void stress_owner::change_region() {
    const extent where = territory::pick(random_, longest);
    const auto choice = random_.next();
    bool changed = false;
    const auto outcome = access_during(where, [&] {
        if (!std::exchange(changed, true))
            replace_region(choice);
    });
    conclude_kept(outcome);
}

void stress_owner::destroy_users() {
    const extent where = territory::pick(random_, longest);
    const auto before = land_.expected(where);
    const std::vector<std::uint8_t> old(before.begin(), before.end());
    auto data = land_.stamp(where, ++generation_);
    user_->write_and_destroy(land_.va(where.start), data);
    land_.settle(where, {data, old});
    confirm(where);
}

} // namespace odp_test
