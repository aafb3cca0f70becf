// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// A thread of the stress test: it owns a territory, and in each step lets a device access it, most
// often while it does to the memory under that access what mm can do to it. Others disturb the
// territory meanwhile, in ways that keep its contents.
//
// What a step does follows from seed, thread and step alone, not from what came before or how long
// it took, so that a seed gives every thread the same sequence again.

#pragma once

#include "stress_user.hpp"
#include "territory.hpp"

#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace odp_test {

class stress_owner {
  public:
    stress_owner(memory_kind kind, std::uint64_t seed);

    /// Throws when the memory is not what it must be.
    void step(std::uint64_t number);
    /// All of the territory, as the CPU and both devices see it. Throws too.
    void verify();

    const territory &land() const { return land_; }
    /// What the step that ran last did.
    const std::string &doing() const { return doing_; }

    /// Bytes of an access.
    static constexpr std::size_t longest = std::size_t{256} << 10;

  private:
    struct action {
        const char *name;
        unsigned weight;
        void (stress_owner::*run)();
    };
    static const action actions[];
    /// What was under way, and how the last access ended.
    struct encounter {
        extent where;
        bool wrote;
        std::vector<std::uint8_t> before; ///< what was there before the last access
        std::vector<std::uint8_t> data;   ///< what that wrote, or read
        access_result result = access_result::done;
    };

    const action &choose();
    access_result write(extent where, std::span<std::uint8_t> data);
    access_result read(extent where, std::span<std::uint8_t> data);
    /// Accesses @outcome.where until @acting is over, each time with other data.
    void access_repeatedly(encounter &outcome, const stress_user::access &access,
                           const std::atomic<bool> &acting);
    /// Runs @act a few times while the user accesses @where, again and again until that is over.
    encounter access_during(extent where, const std::function<void()> &act);
    /// Throws if an access was refused during which the memory was there.
    static encounter must_be_done(encounter outcome);
    /// The territory after an access during which its contents stayed.
    void conclude_kept(const encounter &outcome);
    /// After one during which @where became zeros.
    void conclude_zeroed(const encounter &outcome);
    /// A write that cannot meet anything any more arrives as it is.
    void confirm(extent where);
    /// Nobody writes what cannot be written any more, also who had begun to before.
    void expect_stillness(extent where) const;
    void expect_refused(extent where, bool also_reading);
    void replace_region(std::uint64_t choice);

    void write_some();
    void read_some();
    void store_some();
    void prefetch_some();
    void disturb();
    void discard();
    void collide();
    void free_lazily();
    void protect();
    void unmap();
    void truncate();
    void move();
    void fork();
    void change_region();
    void destroy_users();
    void verify_all() { verify(); }

    std::uint64_t seed_;
    territory land_;
    std::array<std::unique_ptr<stress_user>, 2> users_;
    stress_user *user_ = nullptr; ///< of this step
    std::uint64_t generation_ = 0;
    random_source random_;
    std::string doing_;
};

/// Something mm does that keeps contents, to a part of a territory; at any time, by any thread.
/// Where it cannot be done now, it is not.
void disturb_memory(const territory &land, random_source &random);

} // namespace odp_test
