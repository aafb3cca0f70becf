// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// Every kind of memory, under every kind of window, in every role that an operation gives it.
// Offsets and lengths are random, the data depends on its position, the path MTU is 1024 so that
// most transfers take many packets, and everything outside of a transfer must stay as it was. The
// other side of each transfer is pinned memory, so that a failure points at the side under test.

#include "window.hpp"

#include <algorithm>
#include <cstring>
#include <tuple>

namespace odp_test {

namespace {

class MemoryMatrix : public verbs_test,
                     public ::testing::WithParamInterface<std::tuple<memory_kind, window_kind>> {
  protected:
    odp_area make_area(int access = odp_access) {
        return odp_area(dev, std::get<0>(GetParam()), std::get<1>(GetParam()), random, access);
    }

    /// One byte, one packet more or less, page crossings, and one long transfer.
    std::vector<std::size_t> lengths() {
        return {1,
                random.between(2, 1023),
                random.between(1024, 1025),
                random.between(page_size() - 8, page_size() + 8),
                random.between(2 * page_size(), 20 * page_size()),
                random.between(40 * page_size(), longest)};
    }

    ibv_wc run(const operation &work) { return link.requester.run(work); }

    static constexpr std::size_t longest = 280UZ * 1024;
    connection link{dev};
    pinned_buffer pinned{dev, longest};
};

TEST_P(MemoryMatrix, RemoteWriteArrives) {
    auto area = make_area();
    for (const std::size_t length : lengths()) {
        const piece where = area.pick(length);
        const auto source = pinned.map.bytes(0, length);
        fill_pattern(source, random.next());
        ASSERT_TRUE(completed_with(
            run(operation::write(pinned.mr.sge(source.data(), length), area.target(where))),
            IBV_WC_SUCCESS));
        std::ranges::copy(source, area.expected(where).begin());
    }
    area.verify();
}

TEST_P(MemoryMatrix, RemoteReadSeesTheMemory) {
    auto area = make_area();
    for (const std::size_t length : lengths()) {
        const piece where = area.pick(length);
        const auto destination = pinned.map.bytes(0, length);
        ASSERT_TRUE(completed_with(
            run(operation::read(pinned.mr.sge(destination.data(), length), area.target(where))),
            IBV_WC_SUCCESS));
        ASSERT_TRUE(matches(compare_bytes(destination, area.expected(where))));
    }
    area.verify();
}

TEST_P(MemoryMatrix, LocalSourceIsSent) {
    auto area = make_area();
    for (const std::size_t length : lengths()) {
        const piece where = area.pick(length);
        const auto destination = pinned.map.bytes(0, length);
        ASSERT_TRUE(completed_with(
            run(operation::write(area.sge(where), pinned.mr.target(destination.data()))),
            IBV_WC_SUCCESS));
        ASSERT_TRUE(matches(compare_bytes(destination, area.expected(where))));
    }
    area.verify();
}

TEST_P(MemoryMatrix, LocalDestinationIsFilled) {
    auto area = make_area();
    for (const std::size_t length : lengths()) {
        const piece where = area.pick(length);
        const auto source = pinned.map.bytes(0, length);
        fill_pattern(source, random.next());
        ASSERT_TRUE(
            completed_with(run(operation::read(area.sge(where), pinned.mr.target(source.data()))),
                           IBV_WC_SUCCESS));
        std::ranges::copy(source, area.expected(where).begin());
    }
    area.verify();
}

TEST_P(MemoryMatrix, SendAndReceive) {
    auto area = make_area();
    for (const std::size_t length : lengths()) {
        // Received into the area ...
        const piece where = area.pick(length);
        const auto buffer = pinned.map.bytes(0, length);
        fill_pattern(buffer, random.next());
        link.responder.post_receive(area.sge(where));
        ASSERT_TRUE(completed_with(run(operation::send(pinned.mr.sge(buffer.data(), length))),
                                   IBV_WC_SUCCESS));
        const ibv_wc received = link.responder.wait();
        ASSERT_TRUE(completed_with(received, IBV_WC_SUCCESS));
        ASSERT_EQ(received.byte_len, length);
        std::ranges::copy(buffer, area.expected(where).begin());
        // ... and sent from there, from another place.
        const piece from = area.pick(length);
        link.responder.post_receive(pinned.mr.sge(buffer.data(), length));
        ASSERT_TRUE(completed_with(run(operation::send(area.sge(from))), IBV_WC_SUCCESS));
        ASSERT_TRUE(completed_with(link.responder.wait(), IBV_WC_SUCCESS));
        ASSERT_TRUE(matches(compare_bytes(buffer, area.expected(from))));
    }
    area.verify();
}

std::uint64_t load(std::span<const std::uint8_t> bytes) {
    std::uint64_t value = 0;
    std::memcpy(&value, bytes.data(), sizeof value);
    return value;
}

void store(std::span<std::uint8_t> bytes, std::uint64_t value) {
    std::memcpy(bytes.data(), &value, sizeof value);
}

TEST_P(MemoryMatrix, AtomicsReturnTheOldValue) {
    auto area = make_area();
    for (int round = 0; round < 6; ++round) {
        const piece where = area.pick(8, 8);
        // The old value comes back into pinned memory or into the area itself, in turn. Unaligned:
        // only the target of an atomic has to be aligned.
        piece result = area.pick(8);
        while (result.start < where.start + 8 && where.start < result.start + 8)
            result = area.pick(8);
        const bool into_area = round % 2 == 1;
        const ibv_sge sge = into_area ? area.sge(result) : pinned.mr.sge(pinned.map.data(), 8);

        const std::uint64_t add = random.next();
        std::uint64_t old = load(area.expected(where));
        ASSERT_TRUE(completed_with(run(operation::fetch_add(sge, area.target(where), add)),
                                   IBV_WC_SUCCESS));
        store(area.expected(where), old + add);
        if (into_area)
            store(area.expected(result), old);
        else
            ASSERT_EQ(load(pinned.map.bytes(0, 8)), old);

        old += add;
        const bool equal = round % 3 != 0;
        const std::uint64_t swap = random.next();
        ASSERT_TRUE(completed_with(
            run(operation::compare_swap(sge, area.target(where), equal ? old : old + 1, swap)),
            IBV_WC_SUCCESS));
        store(area.expected(where), equal ? swap : old);
        if (into_area)
            store(area.expected(result), old);
        else
            ASSERT_EQ(load(pinned.map.bytes(0, 8)), old);
    }
    area.verify();
}

TEST_P(MemoryMatrix, AtomicWriteAndFlush) {
    if (!has_flush_and_atomic_write(dev))
        GTEST_SKIP() << "this device has no atomic write and flush";
    auto area = make_area(odp_access | IBV_ACCESS_FLUSH_GLOBAL);
    for (int round = 0; round < 6; ++round) {
        const piece where = area.pick(8, 8);
        const std::uint64_t value = random.next();
        ASSERT_TRUE(completed_with(run(operation::atomic_write(value, area.target(where))),
                                   IBV_WC_SUCCESS));
        store(area.expected(where), value);
        const piece flushed = area.pick(random.between(1, longest));
        ASSERT_TRUE(completed_with(
            run(operation::flush(area.target(flushed), static_cast<std::uint32_t>(flushed.length),
                                 IBV_FLUSH_GLOBAL, IBV_FLUSH_RANGE)),
            IBV_WC_SUCCESS));
    }
    area.verify();
}

INSTANTIATE_TEST_SUITE_P(
    Over, MemoryMatrix,
    ::testing::Combine(::testing::ValuesIn(all_memory_kinds),
                       ::testing::Values(window_kind::exact, window_kind::implicit,
                                         window_kind::iova_low, window_kind::iova_high)),
    [](const auto &test) {
        return kind_name(std::get<0>(test.param)) + window_name(std::get<1>(test.param));
    });

} // namespace

} // namespace odp_test
