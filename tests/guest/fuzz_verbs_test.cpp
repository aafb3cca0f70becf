// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// A hostile process: commands and methods for MRs and memory windows with arguments that no library
// would pass, by several threads with each other's handles, over memory that comes and goes and a
// process that forks. An MR that the kernel has made is no larger than was asked for; in the end
// nothing is left, and the kernel has nothing to say.
//
// ODP_FUZZ_CALLS says how many calls, ODP_FUZZ_SEED repeats them.

#include "fixture.hpp"
#include "resources.hpp"
#include "setting.hpp"
#include "uverbs.hpp"

#include <rdma/ib_user_ioctl_cmds.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstring>
#include <format>
#include <map>
#include <mutex>
#include <optional>
#include <print>
#include <string>
#include <thread>
#include <vector>

namespace odp_test {

namespace {

/// An object that is there, or was; a region's range, too.
struct known {
    std::uint32_t name; ///< a handle or a key
    std::uint64_t start = 0;
    std::uint64_t length = 0;
};

/// What all threads know.
class known_objects {
  public:
    void add(known object) {
        const std::lock_guard lock(lock_);
        if (objects_.size() < most)
            objects_.push_back(object);
        else
            objects_[object.name % most] = object;
    }
    std::optional<known> any(random_source &numbers) {
        const std::lock_guard lock(lock_);
        if (objects_.empty())
            return std::nullopt;
        return objects_[numbers.between(0, objects_.size() - 1)];
    }

  private:
    static constexpr std::size_t most = 32;

    std::mutex lock_;
    std::vector<known> objects_;
};

class VerbsFuzz : public verbs_test {
  protected:
    static constexpr std::size_t arena_size = std::size_t{8} << 20;
    static constexpr unsigned nthreads = 3;

    void SetUp() override {
        map_arena(PROT_READ | PROT_WRITE);
        before_ = count_resources(dev.name());
    }
    void TearDown() override {
        munmap(arena_, arena_size);
        verbs_test::TearDown();
    }

    void map_arena(int protection) const {
        if (mmap(arena_, arena_size, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) ==
            MAP_FAILED)
            fail_with_errno("mapping the arena");
    }

    // One call of each kind; the errno value, 0 for success.
    int register_memory(const device &on, random_source &numbers);
    int change_registration(const device &on, random_source &numbers);
    int deregister(const device &on, random_source &numbers);
    int allocate_window(const device &on, random_source &numbers);
    int release_window(const device &on, random_source &numbers);
    int advise(const device &on, random_source &numbers);
    int register_by_method(const device &on, random_source &numbers);
    int call_anything(const device &on, random_source &numbers);

    void call(const device &on, random_source &numbers);
    void change_memory(random_source &numbers);
    void look(const device &on, std::uint32_t handle, std::uint64_t iova, std::uint64_t length);

    std::uint64_t address(random_source &numbers) const;
    static std::uint64_t size(random_source &numbers);
    static std::uint32_t access(random_source &numbers);
    static std::uint32_t domain(const device &on, random_source &numbers);
    static std::uint32_t object(known_objects &among, random_source &numbers);

    const std::uint64_t fuzz_seed_ = setting("ODP_FUZZ_SEED", named_seed(run_seed(), "verbs"));
    const std::uint64_t calls_ = setting("ODP_FUZZ_CALLS", 3000);
    void *const arena_ = lonely_va();
    known_objects regions_;
    known_objects keys_;
    known_objects windows_;
    std::mutex lock_;
    std::map<std::string, std::map<std::string, std::uint64_t>> results_;
    std::vector<std::string> problems_;
    decltype(count_resources("")) before_{};
};

template <class value_type, std::size_t count>
value_type one_of(random_source &numbers, const value_type (&values)[count]) {
    return values[numbers.between(0, count - 1)];
}

// Mostly in the arena, or near an end of it.
std::uint64_t VerbsFuzz::address(random_source &numbers) const {
    const auto start = std::bit_cast<std::uintptr_t>(arena_);
    switch (numbers.between(0, 7)) {
    case 0:
        return one_of<std::uint64_t>(
            numbers, {0, 1, 4096, UINT64_MAX, UINT64_MAX - 4095, std::uint64_t{1} << 63,
                      std::uint64_t{1} << 47, (std::uint64_t{1} << 47) - 4096, 0xffffffff81000000});
    case 1:
        return numbers.next();
    case 2:
        return start + arena_size - numbers.between(0, 8192);
    case 3:
        return start - numbers.between(0, 8192);
    default:
        return start + numbers.between(0, arena_size - 1);
    }
}

std::uint64_t VerbsFuzz::size(random_source &numbers) {
    switch (numbers.between(0, 5)) {
    case 0:
        return one_of<std::uint64_t>(numbers, {0, 1, UINT64_MAX, UINT64_MAX - 4095, 1UL << 31,
                                               (1UL << 31) + 1, 1UL << 32, 1UL << 47, 1UL << 63,
                                               UINT64_MAX >> 1});
    case 1:
        return numbers.next() >> numbers.between(0, 63);
    default:
        return numbers.between(1, arena_size / 2);
    }
}

std::uint32_t VerbsFuzz::access(random_source &numbers) {
    constexpr std::uint32_t all = IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_READ |
                                  IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_ATOMIC;
    switch (numbers.between(0, 5)) {
    case 0:
        return static_cast<std::uint32_t>(numbers.next());
    case 1:
        return static_cast<std::uint32_t>(numbers.between(0, 0x3ff));
    case 2:
        return all;
    case 3:
        return (all | IBV_ACCESS_ON_DEMAND) ^ (1U << numbers.between(0, 20));
    default:
        return all | IBV_ACCESS_ON_DEMAND | IBV_ACCESS_MW_BIND;
    }
}

std::uint32_t VerbsFuzz::domain(const device &on, random_source &numbers) {
    return numbers.between(0, 15) != 0 ? on.pd()->handle
                                       : static_cast<std::uint32_t>(numbers.between(0, 100));
}

std::uint32_t VerbsFuzz::object(known_objects &among, random_source &numbers) {
    const auto known = among.any(numbers);
    return known && numbers.between(0, 15) != 0 ? known->name
                                                : static_cast<std::uint32_t>(numbers.next());
}

// What the kernel says that it has made. Nobody else knows the handle yet.
void VerbsFuzz::look(const device &on, std::uint32_t handle, std::uint64_t iova,
                     std::uint64_t length) {
    std::uint64_t seen_length = 0;
    std::uint64_t seen_iova = 0;
    std::uint32_t lkey = 0;
    std::uint32_t rkey = 0;
    const auto output = [](std::uint16_t id, auto &into) {
        return method_input(id, sizeof into, std::bit_cast<std::uintptr_t>(&into));
    };
    const std::array attributes{method_input(UVERBS_ATTR_QUERY_MR_HANDLE, 0, handle),
                                output(UVERBS_ATTR_QUERY_MR_RESP_LKEY, lkey),
                                output(UVERBS_ATTR_QUERY_MR_RESP_RKEY, rkey),
                                output(UVERBS_ATTR_QUERY_MR_RESP_LENGTH, seen_length),
                                output(UVERBS_ATTR_QUERY_MR_RESP_IOVA, seen_iova)};
    if (call_method(on, UVERBS_OBJECT_MR, UVERBS_METHOD_QUERY_MR, attributes) != 0)
        return;
    const std::lock_guard lock(lock_);
    if (seen_length != length || seen_iova != iova)
        problems_.push_back(std::format("{} bytes at {:#x} were registered as {} bytes at {:#x}",
                                        length, iova, seen_length, seen_iova));
    if (length != UINT64_MAX && iova + length < iova)
        problems_.push_back(
            std::format("registered past the end: {:#x}, {:#x} bytes", iova, length));
}

int VerbsFuzz::register_memory(const device &on, random_source &numbers) {
    ib_uverbs_reg_mr_resp response{};
    ib_uverbs_reg_mr request{};
    request.response = std::bit_cast<std::uintptr_t>(&response);
    const bool is_implicit = numbers.between(0, 7) == 0;
    request.start = is_implicit ? 0 : address(numbers);
    request.length = is_implicit ? UINT64_MAX : size(numbers);
    request.hca_va = request.start;
    if (numbers.between(0, 3) == 0) // the offset in the page has to be the same
        request.hca_va = (numbers.next() & ~std::uint64_t{4095}) | (request.start & 4095);
    else if (numbers.between(0, 7) == 0)
        request.hca_va = address(numbers);
    request.pd_handle = domain(on, numbers);
    request.access_flags = access(numbers);
    const int error =
        write_command(on, IB_USER_VERBS_CMD_REG_MR, as_bytes(request), as_writable_bytes(response));
    if (error == 0) {
        look(on, response.mr_handle, request.hca_va, request.length);
        regions_.add({response.mr_handle});
        keys_.add({response.lkey, request.hca_va, request.length});
    }
    return error;
}

int VerbsFuzz::change_registration(const device &on, random_source &numbers) {
    ib_uverbs_rereg_mr_resp response{};
    ib_uverbs_rereg_mr request{};
    request.response = std::bit_cast<std::uintptr_t>(&response);
    request.mr_handle = object(regions_, numbers);
    request.flags = static_cast<std::uint32_t>(numbers.between(0, 8));
    request.start = address(numbers);
    request.length = size(numbers);
    request.hca_va = numbers.between(0, 7) == 0 ? address(numbers) : request.start;
    request.pd_handle = domain(on, numbers);
    request.access_flags = access(numbers);
    return write_command(on, IB_USER_VERBS_CMD_REREG_MR, as_bytes(request),
                         as_writable_bytes(response));
}

int VerbsFuzz::deregister(const device &on, random_source &numbers) {
    ib_uverbs_dereg_mr request{};
    request.mr_handle = object(regions_, numbers);
    return write_command(on, IB_USER_VERBS_CMD_DEREG_MR, as_bytes(request), {});
}

int VerbsFuzz::allocate_window(const device &on, random_source &numbers) {
    ib_uverbs_alloc_mw_resp response{};
    ib_uverbs_alloc_mw request{};
    request.response = std::bit_cast<std::uintptr_t>(&response);
    request.pd_handle = domain(on, numbers);
    request.mw_type = static_cast<std::uint8_t>(numbers.between(0, 3));
    const int error = write_command(on, IB_USER_VERBS_CMD_ALLOC_MW, as_bytes(request),
                                    as_writable_bytes(response));
    if (error == 0)
        windows_.add({response.mw_handle});
    return error;
}

int VerbsFuzz::release_window(const device &on, random_source &numbers) {
    ib_uverbs_dealloc_mw request{};
    request.mw_handle = object(windows_, numbers);
    return write_command(on, IB_USER_VERBS_CMD_DEALLOC_MW, as_bytes(request), {});
}

int VerbsFuzz::advise(const device &on, random_source &numbers) {
    std::vector<ibv_sge> pieces(numbers.between(0, 15) == 0 ? 2000 : numbers.between(0, 3));
    for (auto &piece : pieces) {
        piece = {address(numbers), static_cast<std::uint32_t>(size(numbers)),
                 object(keys_, numbers)};
        const auto inside = keys_.any(numbers);
        if (inside && numbers.between(0, 7) != 0)
            piece = {inside->start,
                     static_cast<std::uint32_t>(
                         std::min<std::uint64_t>(inside->length, numbers.between(1, 1UL << 20))),
                     inside->name};
    }
    const std::array attributes{
        method_input(UVERBS_ATTR_ADVISE_MR_PD_HANDLE, 0, domain(on, numbers)),
        method_input(UVERBS_ATTR_ADVISE_MR_ADVICE, 8, numbers.between(0, 3)),
        method_input(UVERBS_ATTR_ADVISE_MR_FLAGS, 4, numbers.between(0, 2)),
        method_input(UVERBS_ATTR_ADVISE_MR_SGE_LIST, pieces.size() * sizeof(ibv_sge),
                     std::bit_cast<std::uintptr_t>(pieces.data()))};
    return call_method(on, UVERBS_OBJECT_MR, UVERBS_METHOD_ADVISE_MR, attributes);
}

int VerbsFuzz::register_by_method(const device &on, random_source &numbers) {
    std::uint32_t lkey = 0;
    std::uint32_t rkey = 0;
    const std::uint64_t start = address(numbers);
    const std::array attributes{
        method_input(UVERBS_ATTR_REG_MR_HANDLE, 0, 0),
        method_input(UVERBS_ATTR_REG_MR_PD_HANDLE, 0, domain(on, numbers)),
        method_input(UVERBS_ATTR_REG_MR_IOVA, 8,
                     numbers.between(0, 3) == 0 ? numbers.next() : start),
        method_input(UVERBS_ATTR_REG_MR_ADDR, 8, start),
        method_input(UVERBS_ATTR_REG_MR_LENGTH, 8, size(numbers)),
        method_input(UVERBS_ATTR_REG_MR_ACCESS_FLAGS, 4, access(numbers)),
        method_input(UVERBS_ATTR_REG_MR_RESP_LKEY, 4, std::bit_cast<std::uintptr_t>(&lkey)),
        method_input(UVERBS_ATTR_REG_MR_RESP_RKEY, 4, std::bit_cast<std::uintptr_t>(&rkey))};
    const int error = call_method(on, UVERBS_OBJECT_MR, UVERBS_METHOD_REG_MR, attributes);
    if (error == 0)
        keys_.add({lkey, start, 1});
    return error;
}

// Any method of MRs and windows with any attributes.
int VerbsFuzz::call_anything(const device &on, random_source &numbers) {
    std::array<std::uint8_t, 256> memory{};
    std::vector<ib_uverbs_attr> attributes(numbers.between(0, 12));
    std::uint16_t id = 0;
    for (auto &attribute : attributes) {
        const std::uint64_t data = numbers.between(0, 1) == 0
                                       ? std::bit_cast<std::uintptr_t>(memory.data())
                                   : numbers.between(0, 1) == 0 ? object(regions_, numbers)
                                                                : address(numbers);
        attribute =
            method_input(id, one_of<std::size_t>(numbers, {0, 4, 8, 8, 16, 200, 65535}), data);
        attribute.flags = static_cast<std::uint16_t>(numbers.between(0, 3));
        id = static_cast<std::uint16_t>(id +
                                        (numbers.between(0, 7) == 0 ? numbers.between(0, 4) : 1));
    }
    return call_method(on, numbers.between(0, 3) == 0 ? UVERBS_OBJECT_MW : UVERBS_OBJECT_MR,
                       static_cast<std::uint16_t>(numbers.between(0, 8)), attributes);
}

void VerbsFuzz::call(const device &on, random_source &numbers) {
    struct kind {
        const char *name;
        int (VerbsFuzz::*function)(const device &, random_source &);
        unsigned weight;
    };
    static constexpr kind kinds[] = {
        {"REG_MR", &VerbsFuzz::register_memory, 6},
        {"REREG_MR", &VerbsFuzz::change_registration, 4},
        {"DEREG_MR", &VerbsFuzz::deregister, 4},
        {"ALLOC_MW", &VerbsFuzz::allocate_window, 2},
        {"DEALLOC_MW", &VerbsFuzz::release_window, 2},
        {"ADVISE_MR", &VerbsFuzz::advise, 6},
        {"the method REG_MR", &VerbsFuzz::register_by_method, 2},
        {"any method", &VerbsFuzz::call_anything, 4},
    };
    static constexpr unsigned weights = [] {
        unsigned sum = 0;
        for (const auto &each : kinds)
            sum += each.weight;
        return sum;
    }();
    std::uint64_t choice = numbers.between(0, weights - 1);
    const kind *chosen = kinds;
    for (; choice >= chosen->weight; ++chosen)
        choice -= chosen->weight;
    const int error = (this->*chosen->function)(on, numbers);
    const std::lock_guard lock(lock_);
    ++results_[chosen->name][error == 0 ? "accepted" : strerrorname_np(error)];
}

void VerbsFuzz::change_memory(random_source &numbers) {
    switch (numbers.between(0, 4)) {
    case 0:
        map_arena(one_of(numbers, {PROT_NONE, PROT_READ, PROT_READ | PROT_WRITE}));
        break;
    case 1:
        munmap(static_cast<std::uint8_t *>(arena_) + numbers.between(0, 1000) * page_size(),
               numbers.between(1, 500) * page_size());
        break;
    case 2:
        static_cast<void>(madvise(arena_, arena_size, MADV_DONTNEED)); // part may be gone
        break;
    case 3: {
        const pid_t child = fork();
        if (child == 0)
            _exit(0);
        int status = 0;
        if (child > 0)
            waitpid(child, &status, 0);
        break;
    }
    default:
        map_arena(PROT_READ | PROT_WRITE);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
}

TEST_F(VerbsFuzz, NothingIsHarmed) {
    std::println("seed {0:#x}, {1} calls (ODP_FUZZ_SEED={0:#x} repeats them)", fuzz_seed_, calls_);
    std::fflush(stdout);
    {
        // One that is closed with all that is in it, between threads that go on.
        const device shared(dev.name());
        std::atomic<bool> done = false;
        std::jthread disturber([&] {
            random_source numbers(named_seed(fuzz_seed_, "memory"));
            while (!done)
                change_memory(numbers);
        });
        {
            std::vector<std::jthread> threads;
            for (unsigned i = 0; i < nthreads; ++i)
                threads.emplace_back([&, i] {
                    random_source numbers(named_seed(fuzz_seed_ + i, "calls"));
                    for (std::uint64_t left = calls_ / nthreads; left > 0; --left)
                        call(shared, numbers);
                });
        }
        done = true;
    }
    for (const auto &[call, results] : results_) {
        std::string line;
        for (const auto &[result, count] : results)
            line += std::format(" {} {}", result, count);
        std::println("{}:{}", call, line);
        EXPECT_GT(results.size(), 1) << call << " ended the same way every time";
    }
    for (const char *const each :
         {"REG_MR", "DEREG_MR", "ALLOC_MW", "DEALLOC_MW", "ADVISE_MR", "REREG_MR"})
        EXPECT_GT(results_[each]["accepted"], calls_ / 1000) << each << " was hardly ever accepted";
    for (const auto &problem : problems_)
        ADD_FAILURE() << problem;
    EXPECT_TRUE(becomes_true([&] { return count_resources(dev.name()) == before_; }))
        << "verbs objects are left";
    EXPECT_TRUE(becomes_true([] { return read_mirror_counters(getpid()).empty(); }))
        << "a mirror is left";
}

} // namespace

} // namespace odp_test
