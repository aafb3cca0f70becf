// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// A hostile peer: packets from fuzz_packet.hpp against queue pairs of every type, with memory of
// every kind behind their keys, some of it not there, some late, some being registered again
// meanwhile. Nothing outside what the keys give access to may change or be sent, and the kernel has
// nothing to say.
//
// Packets come in bursts, each to a queue pair that was just connected. ODP_FUZZ_PACKETS says how
// many, ODP_FUZZ_SEED repeats a run, ODP_FUZZ_BURST is the first burst of it.

#include "fixture.hpp"
#include "fuzz_packet.hpp"
#include "resources.hpp"
#include "roce_peer.hpp"
#include "setting.hpp"
#include "user_faults.hpp"

#include <algorithm>
#include <format>
#include <map>
#include <memory>
#include <mutex>
#include <print>
#include <string>
#include <thread>
#include <vector>

namespace odp_test {

namespace {

using namespace std::chrono_literals;

constexpr std::uint32_t mtu = 512;
constexpr std::size_t packets_in_burst = 64; // a quarter where nothing ends it early
constexpr std::size_t packets_between_answers = 4;
constexpr std::size_t packets_between_looks = 8;
constexpr auto time_to_answer = 100us;
constexpr std::size_t bursts_between_looks = 32;

enum class kept { pinned, on_demand, on_demand_elsewhere };

/// A window in the middle of memory that nobody has a key for.
class guarded_window {
  public:
    guarded_window(const device &device, memory_kind kind, kept how) : memory_(kind, size) {
        std::ranges::fill(memory_.map.bytes(), secret_byte);
        std::ranges::fill(window(), std::uint8_t{0});
        int access = all_access | IBV_ACCESS_MW_BIND;
        if (how != kept::pinned) // pinned memory is flushed only if it is persistent
            access |= IBV_ACCESS_ON_DEMAND | IBV_ACCESS_FLUSH_GLOBAL;
        if (kind == memory_kind::ext4_dax)
            access |= IBV_ACCESS_FLUSH_PERSISTENT;
        const std::span<std::uint8_t> bytes = window();
        if (how == kept::on_demand_elsewhere)
            region_.emplace(must(
                region::at_iova(device, bytes.data(), bytes.size(), far_away + start, access)));
        else
            region_.emplace(must(region::over(device, bytes.data(), bytes.size(), access)));
    }

    const region &mr() const { return *region_; }
    fuzz_range range() const { return {region_->target(window().data()), length}; }
    ibv_sge sge(std::uint32_t bytes) const { return region_->sge(window().data(), bytes); }
    bool is_intact() const {
        const auto is_secret = [](std::uint8_t byte) { return byte == secret_byte; };
        return std::ranges::all_of(memory_.map.bytes(0, start), is_secret) &&
               std::ranges::all_of(memory_.map.bytes(start + length, size - start - length),
                                   is_secret);
    }
    /// The next access faults. What is not in a file is lost, the guards' pages are not.
    void forget() const {
        const std::size_t page = page_size();
        checked(madvise(memory_.map.data() + 2 * page, page, MADV_DONTNEED), "dropping a page");
    }

  private:
    static constexpr std::size_t size = 6UZ * 4096;
    static constexpr std::size_t start = 4096 + 100;
    static constexpr std::size_t length = 3UZ * 4096 - 177;
    static constexpr std::uint64_t far_away = std::uint64_t{1} << 61;

    std::span<std::uint8_t> window() const { return memory_.map.bytes(start, length); }

    memory memory_;
    std::optional<region> region_;
};

/// One queue pair that packets are for, with what it has of its own.
struct victim {
    victim(const device &device, ibv_qp_type what)
        : type(what), end(device, {.type = what}),
          window(ibv_alloc_mw(device.pd(), IBV_MW_TYPE_2)) {}

    ibv_qp_type type;
    endpoint end;
    mw_handle window;
};

class PacketFuzz : public verbs_test {
  protected:
    PacketFuzz() {
        windows_.push_back({dev, memory_kind::anonymous, kept::pinned});
        windows_.push_back({dev, memory_kind::anonymous, kept::on_demand});
        windows_.push_back({dev, memory_kind::tmpfs, kept::on_demand_elsewhere});
        windows_.push_back({dev, memory_kind::ext4_dax, kept::on_demand});
        fill_pattern(constant_.map.bytes(), seed);
        constant_.map.protect(PROT_READ);
        fill_pattern(sealed_.map.bytes(), seed);
        sealed_.map.protect(PROT_READ);
        for (const auto type :
             {IBV_QPT_RC, IBV_QPT_RC, IBV_QPT_RC, IBV_QPT_RC, IBV_QPT_UC, IBV_QPT_UD}) {
            guarded_.push_back(std::make_unique<victim>(dev, type));
            open_.push_back(std::make_unique<victim>(other_, type));
        }
    }
    void TearDown() override {
        guarded_.clear();
        open_.clear();
        verbs_test::TearDown();
    }

    void burst(std::uint64_t number);
    std::vector<fuzz_range> prepare(victim &on, random_source &numbers, bool is_open);
    fuzz_range bind(victim &on, random_source &numbers);
    void post_some(victim &on, random_source &numbers, std::span<const fuzz_range> ranges,
                   bool is_open);
    std::vector<fuzz_range> ranges(random_source &numbers, bool is_open);
    void change_memory(random_source &numbers);
    /// What the receiver is said to be ready for, as far as it is.
    struct readiness {
        bool is_over = false;
        std::optional<std::uint32_t> psn;
    };
    readiness take_answers(bool is_open);
    void look(std::uint64_t number) const;
    void register_again(random_source &numbers);

    static region read_only(const device &device, const mapping &map, int access) {
        return must(region::over(device, map.data(), map.size(), access));
    }

    const std::uint64_t fuzz_seed_ = setting("ODP_FUZZ_SEED", named_seed(run_seed(), "packets"));
    const std::uint64_t packets_ = setting("ODP_FUZZ_PACKETS", 12'000);
    const device other_{dev.name()}; ///< another protection domain
    const roce_peer peer_{dev};

    std::vector<guarded_window> windows_;
    /// Only to be read, by the key's rights and by the mapping's.
    const memory constant_{memory_kind::anonymous, page_size()};
    const memory sealed_{memory_kind::tmpfs, page_size()};
    const region constant_mr_{
        read_only(dev, constant_.map, IBV_ACCESS_REMOTE_READ | IBV_ACCESS_ON_DEMAND)};
    const region sealed_mr_{read_only(dev, sealed_.map, odp_access)};
    const mapping late_{4 * page_size(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS};
    const user_faults faults_{late_};
    const region late_mr_{must(region::over(dev, late_.data(), late_.size(), odp_access))};
    std::vector<std::uint64_t> waiting_;
    const mapping content_{page_size(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS};

    // All of the address space is open to the other domain's peers: a place with nothing near it.
    const mapping lonely_{
        16 * page_size(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0, lonely_va()};
    const region implicit_{must(region::implicit(other_, odp_access))};

    const mapping changing_{8 * page_size(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS};
    std::mutex changing_lock_;
    fuzz_range changing_range_{};

    std::vector<std::unique_ptr<victim>> guarded_;
    std::vector<std::unique_ptr<victim>> open_;
    std::map<std::string, std::uint64_t> answers_;
    std::uint64_t sent_ = 0;
    bool leaked_ = false;
};

std::vector<fuzz_range> PacketFuzz::ranges(random_source &numbers, bool is_open) {
    if (is_open)
        return {{implicit_.target(lonely_.data()), lonely_.size()}};
    std::vector<fuzz_range> all;
    for (const auto &window : windows_)
        all.push_back(window.range());
    // These end most bursts early: read-only ones, one of another domain, and a late one.
    const fuzz_range others[] = {
        {constant_mr_.target(constant_.map.data()), constant_.map.size()},
        {sealed_mr_.target(sealed_.map.data()), sealed_.map.size()},
        {implicit_.target(windows_[0].mr().mr()->addr), page_size()},
        {late_mr_.target(late_.data()), late_.size()},
    };
    for (const auto &other : others)
        if (numbers.between(0, 7) == 0)
            all.push_back(other);
    const std::lock_guard lock(changing_lock_);
    if (changing_range_.length != 0 && numbers.between(0, 2) == 0)
        all.push_back(changing_range_);
    return all;
}

// Registered and deregistered while packets have its key; on-demand, pinned, and part of it.
void PacketFuzz::register_again(random_source &numbers) {
    const auto publish = [&](fuzz_range range) {
        const std::lock_guard lock(changing_lock_);
        changing_range_ = range;
    };
    const std::size_t length = changing_.size() - numbers.between(0, 3) * page_size();
    auto mr = must(region::over(dev, changing_.data(), length,
                                numbers.between(0, 3) == 0 ? all_access : odp_access));
    publish({mr.target(changing_.data()), length});
    std::this_thread::sleep_for(std::chrono::milliseconds(numbers.between(1, 20)));
    if (numbers.between(0, 1) == 0)
        publish({});
}

void PacketFuzz::post_some(victim &on, random_source &numbers, std::span<const fuzz_range> ranges,
                           bool is_open) {
    const auto local = [&](std::uint32_t length) {
        return is_open ? implicit_.sge(lonely_.data(), length)
               : numbers.between(0, 15) == 0
                   ? late_mr_.sge(late_.data(), length)
                   : windows_[numbers.between(0, windows_.size() - 1)].sge(length);
    };
    for (std::uint64_t left = numbers.between(0, 12); left > 0; --left) {
        ibv_sge elements[] = {local(200), local(4 * mtu)};
        on.end.post_receive(std::span(elements).first(numbers.between(0, 9) == 0 ? 1 : 2), left);
    }
    if (on.type != IBV_QPT_RC)
        return;
    const remote_target remote = ranges[numbers.between(0, ranges.size() - 1)].start;
    for (std::uint64_t left = numbers.between(0, 3); left > 0; --left) {
        switch (numbers.between(0, 4)) {
        case 0:
            on.end.post(operation::write(local(3 * mtu), remote));
            break;
        case 1:
            on.end.post(operation::send(local(700)));
            break;
        case 2:
            on.end.post(operation::fetch_add(local(8), {remote.iova & ~7ULL, remote.rkey}, 1));
            break;
        default:
            on.end.post(operation::read(local(2 * mtu), remote));
        }
    }
}

// The next key of its window gives access to what comes back.
fuzz_range PacketFuzz::bind(victim &on, random_source &numbers) {
    const auto &under = windows_[numbers.between(0, windows_.size() - 1)];
    const fuzz_range range{{under.range().start.iova + 64, ibv_inc_rkey(on.window->rkey)}, 1000};
    ibv_send_wr request{};
    request.opcode = IBV_WR_BIND_MW;
    request.bind_mw = {
        .mw = on.window.get(),
        .rkey = range.start.rkey,
        .bind_info = {.mr = under.mr().mr(),
                      .addr = range.start.iova,
                      .length = range.length,
                      .mw_access_flags = IBV_ACCESS_REMOTE_READ | IBV_ACCESS_REMOTE_WRITE}};
    on.end.post(request);
    on.window->rkey = range.start.rkey;
    return range;
}

// What its peer knows.
std::vector<fuzz_range> PacketFuzz::prepare(victim &on, random_source &numbers, bool is_open) {
    on.end.reset();
    if (on.type == IBV_QPT_UD)
        on.end.open();
    else
        on.end.connect(is_open ? other_ : dev, peer_.gid(), roce_peer::queue_pair, IBV_MTU_512);
    std::vector<fuzz_range> known = ranges(numbers, is_open);
    if (!is_open && on.type == IBV_QPT_RC && numbers.between(0, 2) == 0)
        known.push_back(bind(on, numbers));
    post_some(on, numbers, known, is_open);
    return known;
}

void PacketFuzz::change_memory(random_source &numbers) {
    if (numbers.between(0, 3) == 0)
        windows_[numbers.between(0, windows_.size() - 1)].forget();
    if (numbers.between(0, 3) == 0)
        lonely_.advise(MADV_DONTNEED);
    if (numbers.between(0, 3) == 0)
        checked(mprotect(lonely_.data() + 4 * page_size(), page_size(),
                         static_cast<int>(numbers.between(0, 1) == 0 ? PROT_READ | PROT_WRITE
                                                                     : PROT_NONE)),
                "changing a protection");
    while (const auto va = faults_.next_within(0ms))
        waiting_.push_back(*va);
    if (waiting_.size() >= late_.size() / page_size() && numbers.between(0, 3) == 0) {
        std::ranges::sort(waiting_);
        const auto again =
            std::ranges::unique(waiting_, {}, [](std::uint64_t va) { return va / page_size(); });
        waiting_.erase(again.begin(), again.end());
        for (const std::uint64_t va : waiting_)
            faults_.provide(va, content_.data());
        waiting_.clear();
        late_.advise(MADV_DONTNEED);
    }
}

PacketFuzz::readiness PacketFuzz::take_answers(bool is_open) {
    readiness found;
    while (const auto answer = peer_.receive(0ms)) {
        const auto opcode = static_cast<unsigned>(answer->opcode);
        const bool is_acknowledgement = answer->opcode == rc_opcode::acknowledge;
        const bool is_to_wait = (answer->syndrome & syndrome_class) == rnr_nak;
        if (is_acknowledgement && (is_to_wait || answer->syndrome == nak_sequence_error))
            found.psn = answer->psn;
        if (is_acknowledgement && answer->syndrome > nak_sequence_error)
            found.is_over = true;
        if (is_acknowledgement)
            ++answers_[answer->is_positive() ? "acknowledged"
                       : is_to_wait          ? "to be sent again"
                                             : std::format("refused, {:#x}", answer->syndrome)];
        else if (answer->opcode == rc_opcode::atomic_acknowledge)
            ++answers_["atomic done"];
        else if (opcode >= static_cast<unsigned>(rc_opcode::read_response_first) &&
                 opcode <= static_cast<unsigned>(rc_opcode::read_response_only))
            ++answers_["read"];
        else
            ++answers_["requests of its own"];
        // In a row: a number may happen to have one such byte.
        const auto secret = std::ranges::search_n(answer->payload, 4, secret_byte);
        leaked_ = leaked_ || (!is_open && !secret.empty());
    }
    return found;
}

void PacketFuzz::burst(std::uint64_t number) {
    random_source numbers(named_seed(fuzz_seed_ + number, "burst"));
    const bool is_open = numbers.between(0, 2) == 0;
    auto &victims = is_open ? open_ : guarded_;
    victim &on = *victims[number % victims.size()];
    const std::vector<fuzz_range> known = prepare(on, numbers, is_open);
    packet_fuzzer fuzzer({on.end.qp()->qp_num, on.type, mtu}, known, numbers.next());
    readiness ready;
    const std::size_t count = on.type == IBV_QPT_RC ? packets_in_burst : packets_in_burst / 4;
    for (std::size_t i = 1; i <= count && !ready.is_over; ++i, ++sent_) {
        peer_.send_frame(fuzzer.next(peer_.ends()));
        if (i % packets_between_answers != 0)
            continue;
        std::this_thread::sleep_for(time_to_answer); // or all of them would be too late
        ready = take_answers(is_open);
        if (ready.psn)
            fuzzer.resume_at(*ready.psn);
        if (i % packets_between_looks == 0)
            ready.is_over = ready.is_over || on.end.state() == IBV_QPS_ERR;
    }
    change_memory(numbers);
}

void PacketFuzz::look(std::uint64_t number) const {
    const std::string where = std::format("at burst {} of seed {:#x}", number, fuzz_seed_);
    for (std::size_t i = 0; i < windows_.size(); ++i)
        ASSERT_TRUE(windows_[i].is_intact()) << "written outside of window " << i << ' ' << where;
    ASSERT_TRUE(matches(compare_pattern(constant_.map.bytes(), seed))) << where;
    ASSERT_TRUE(matches(compare_pattern(sealed_.map.bytes(), seed))) << where;
    ASSERT_FALSE(leaked_) << "sent what nobody has a key for " << where;
}

TEST_F(PacketFuzz, NothingIsHarmed) {
    std::println("seed {0:#x}, {1} packets (ODP_FUZZ_SEED={0:#x} repeats them)", fuzz_seed_,
                 packets_);
    std::fflush(stdout);
    {
        std::jthread changes([&](const std::stop_token &stop) {
            random_source numbers(named_seed(fuzz_seed_, "registrations"));
            while (!stop.stop_requested())
                register_again(numbers);
        });
        std::uint64_t number = setting("ODP_FUZZ_BURST", 0);
        for (; sent_ < packets_; ++number) {
            burst(number);
            if (number % bursts_between_looks == 0) {
                ASSERT_NO_FATAL_FAILURE(look(number));
            }
        }
        ASSERT_NO_FATAL_FAILURE(look(number));
    }
    for (const auto &[answer, count] : answers_)
        std::println("{}: {}", answer, count);
    for (const char *const each :
         {"acknowledged", "atomic done", "read", "to be sent again", "refused, 0x60",
          "refused, 0x61", "refused, 0x62", "requests of its own"})
        EXPECT_GT(answers_[each], packets_ / 2000) << "hardly ever: " << each;
}

} // namespace

} // namespace odp_test
