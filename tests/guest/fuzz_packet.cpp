// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// What packets are made of (IBTA volume 1, chapter 9), and what is made wrong about them; see
// fuzz_packet.hpp. An opcode is three bits of transport and five of operation (9.2.1).

#include "fuzz_packet.hpp"

#include "roce_peer.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

namespace odp_test {

namespace {

constexpr std::uint32_t psn_mask = 0xffffff;
constexpr unsigned unreliable = 0x20;
constexpr unsigned datagram = 0x60;
constexpr unsigned operation_mask = 0x1f;

enum : unsigned {
    send_first = 0x00,
    send_middle = 0x01,
    send_last = 0x02,
    send_last_immediate = 0x03,
    send_only = 0x04,
    send_only_immediate = 0x05,
    write_last_immediate = 0x09,
    write_only_immediate = 0x0b,
    send_last_invalidate = 0x16,
    send_only_invalidate = 0x17,
};

constexpr std::size_t kept = 16; // of what was sent

unsigned number(rc_opcode opcode) {
    return static_cast<unsigned>(opcode);
}

wire_bytes operator+(wire_bytes first, const wire_bytes &second) {
    first.insert(first.end(), second.begin(), second.end());
    return first;
}

wire_bytes word(std::uint32_t value) {
    wire_bytes bytes;
    for (int shift = 24; shift >= 0; shift -= 8)
        bytes.push_back(static_cast<std::uint8_t>(value >> shift));
    return bytes;
}

} // namespace

wire_bytes packet_fuzzer::make_payload(std::size_t length) {
    const auto byte = static_cast<std::uint8_t>(random_.next());
    return wire_bytes(length, byte == secret_byte ? std::uint8_t{0} : byte);
}

packet_fuzzer::packet packet_fuzzer::make(unsigned opcode, wire_bytes header, std::size_t payload) {
    if (receiver_.type == IBV_QPT_UC)
        opcode |= unreliable;
    return {.opcode = static_cast<std::uint8_t>(opcode),
            .psn = request_psn_++,
            .header = std::move(header),
            .payload = make_payload(payload),
            .queue_pair = receiver_.queue_pair,
            .asks_for_acknowledgement = !one_in(3),
            .padding = std::nullopt};
}

wire_bytes packet_fuzzer::immediate() {
    // To invalidate, it is a key; the queue pair may have that one as a window's.
    if (one_in(2))
        return word(ranges_[random_.between(0, ranges_.size() - 1)].start.rkey);
    return word(static_cast<std::uint32_t>(random_.next()));
}

// Mostly inside, or over an edge by a little; sometimes nowhere.
remote_target packet_fuzzer::pick_target(std::uint64_t length) {
    const fuzz_range &range = ranges_[random_.between(0, ranges_.size() - 1)];
    remote_target target = range.start;
    const std::uint64_t room = range.length > length ? range.length - length : 0;
    switch (random_.between(0, 80)) {
    case 0:
        target.iova += range.length - 1;
        break;
    case 1:
        target.iova += room + 1;
        break;
    case 2:
        target.iova -= 1;
        break;
    case 3:
        target.iova = one_of<std::uint64_t>({0, 1, UINT64_MAX, UINT64_MAX - 7, UINT64_MAX - length,
                                             std::uint64_t{1} << 63, std::uint64_t{1} << 47,
                                             (std::uint64_t{1} << 47) - 4096});
        break;
    case 4:
        target.rkey = static_cast<std::uint32_t>(random_.next());
        break;
    case 5:
        target.rkey ^= std::uint32_t{1} << random_.between(0, 31);
        break;
    default:
        target.iova += random_.between(0, room);
    }
    return target;
}

// Any number of packets of a SEND or a WRITE.
void packet_fuzzer::make_stream(bool is_write) {
    const std::size_t mtu = receiver_.mtu;
    const std::size_t length =
        one_in(8) ? random_.between(0, 8) : random_.between(0, one_in(4) ? 4 * mtu : mtu);
    const unsigned base = is_write ? number(rc_opcode::write_first) : unsigned{send_first};
    const wire_bytes header =
        is_write ? rdma_header(pick_target(length), static_cast<std::uint32_t>(length))
                 : wire_bytes{};
    const bool has_word = one_in(4);
    const bool invalidates = has_word && !is_write && one_in(8);
    const wire_bytes last = has_word ? immediate() : wire_bytes{};
    if (length <= mtu) {
        const unsigned only = invalidates ? unsigned{send_only_invalidate}
                              : is_write  ? number(rc_opcode::write_only) + has_word
                                          : unsigned{send_only} + has_word;
        pending_.push_back(make(only, header + last, length));
        return;
    }
    pending_.push_back(make(base, header, mtu));
    std::size_t left = length - mtu;
    for (; left > mtu; left -= mtu)
        pending_.push_back(make(base + 1, {}, mtu));
    const unsigned final_opcode =
        invalidates ? unsigned{send_last_invalidate} : base + 2 + unsigned{has_word};
    pending_.push_back(make(final_opcode, last, left));
}

// A request of one packet, which has an answer of its own.
void packet_fuzzer::make_request() {
    switch (random_.between(0, 6)) {
    case 0:
    case 1:
    case 5: {
        const auto length = static_cast<std::uint32_t>(random_.between(0, 4) * receiver_.mtu / 2 +
                                                       random_.between(0, 9));
        pending_.push_back(
            make(number(rc_opcode::read_request), rdma_header(pick_target(length), length), 0));
        // One sequence number for each packet of the answer.
        request_psn_ += length > 0 ? (length - 1) / receiver_.mtu : 0;
        return;
    }
    case 2: {
        remote_target target = pick_target(8);
        if (!one_in(40))
            target.iova &= ~std::uint64_t{7};
        const std::uint64_t operand = random_.between(0, 0x7f);
        pending_.push_back(
            make(one_in(2) ? number(rc_opcode::compare_swap) : number(rc_opcode::fetch_add),
                 atomic_header(target, operand, 0), 0));
        return;
    }
    case 3: {
        remote_target target = pick_target(8);
        if (!one_in(40))
            target.iova &= ~std::uint64_t{7};
        pending_.push_back(make(number(rc_opcode::atomic_write), rdma_header(target, 8), 8));
        return;
    }
    default:
        const auto length =
            static_cast<std::uint32_t>(random_.between(0, one_in(8) ? 20000 : 4000));
        const auto type = one_in(8) ? random_.between(0, 3) : std::uint64_t{IBV_FLUSH_GLOBAL};
        pending_.push_back(
            make(number(rc_opcode::flush),
                 flush_header(static_cast<ibv_placement_type>(type),
                              static_cast<unsigned>(random_.between(0, 1) + one_in(30)),
                              pick_target(length), length),
                 0));
        pending_.back().headers_twice = one_in(2);
    }
}

wire_bytes packet_fuzzer::acknowledgement() {
    const auto syndrome = static_cast<std::uint8_t>(
        !one_in(8) ? 0x1f
                   : one_of<unsigned>({0x00, 0x20, 0x21, 0x3f, 0x60, 0x61, 0x62, 0x63, 0x64, 0x65,
                                       0x7f, 0x40, 0x80, 0xff}));
    return word(std::uint32_t{syndrome} << 24 | static_cast<std::uint32_t>(random_.between(0, 3)));
}

// To what the queue pair has sent, or might have.
void packet_fuzzer::make_answer() {
    const unsigned opcode =
        one_of({number(rc_opcode::acknowledge), number(rc_opcode::acknowledge),
                number(rc_opcode::atomic_acknowledge), number(rc_opcode::read_response_first),
                number(rc_opcode::read_response_middle), number(rc_opcode::read_response_last),
                number(rc_opcode::read_response_only)});
    const auto expected = request_psn_;
    const bool is_atomic = opcode == number(rc_opcode::atomic_acknowledge);
    const bool has_header = opcode != number(rc_opcode::read_response_middle);
    const std::size_t payload = opcode == number(rc_opcode::acknowledge) || is_atomic ? 0
                                : one_in(3) ? random_.between(0, receiver_.mtu)
                                            : receiver_.mtu;
    packet answer = make(opcode, has_header ? acknowledgement() : wire_bytes{}, payload);
    if (is_atomic)
        answer.header = answer.header + wire_bytes(8, 0x11);
    request_psn_ = expected; // it was not one of those
    answer.psn = answer_psn_;
    answer_psn_ += static_cast<std::uint32_t>(random_.between(0, 2));
    pending_.push_back(std::move(answer));
}

void packet_fuzzer::make_anything() {
    packet any = make(0, {}, random_.between(0, receiver_.mtu));
    any.opcode = static_cast<std::uint8_t>(random_.next());
    any.header.resize(4 * random_.between(0, 8));
    for (auto &byte : any.header)
        byte = static_cast<std::uint8_t>(random_.next());
    pending_.push_back(std::move(any));
}

void packet_fuzzer::make_datagram() {
    const bool has_word = one_in(4);
    const std::uint32_t key = one_in(8) ? static_cast<std::uint32_t>(random_.next())
                                        : std::uint32_t{endpoint::datagram_key};
    packet message =
        make(datagram | (unsigned{send_only} + has_word), word(key) + word(roce_peer::queue_pair),
             random_.between(0, receiver_.mtu));
    if (has_word)
        message.header = message.header + immediate();
    pending_.push_back(std::move(message));
}

void packet_fuzzer::make_message() {
    const auto choice = random_.between(0, 15);
    if (one_in(60))
        make_anything();
    else if (receiver_.type == IBV_QPT_UD)
        make_datagram();
    else if (choice < 6)
        make_stream(true);
    else if (choice < 9)
        make_stream(false);
    else if (choice < 15 && receiver_.type == IBV_QPT_RC)
        make_request();
    else if (receiver_.type == IBV_QPT_RC)
        make_answer();
    else
        make_stream(one_in(2));
    if (one_in(20))
        spoil(pending_[random_.between(0, pending_.size() - 1)]);
    if (one_in(20))
        spoil_order();
}

void packet_fuzzer::spoil_header(wire_bytes &header) {
    if (header.empty() || one_in(6)) {
        header.resize(one_of<std::size_t>({0, 3, 4, 8, 15, 16, 20, 27, 28, 32}));
        return;
    }
    if (one_in(2)) {
        header[random_.between(0, header.size() - 1)] ^=
            static_cast<std::uint8_t>(1U << random_.between(0, 7));
        return;
    }
    const wire_bytes value =
        word(one_of<std::uint32_t>({0, 1, 0x7fffffff, 0x80000000, 0x80000001, 0xffffffff,
                                    0xfffffff8, receiver_.mtu, receiver_.mtu + 1, 0x10000}));
    const std::size_t place = 4 * random_.between(0, header.size() / 4);
    for (std::size_t i = 0; i < value.size() && place + i < header.size(); ++i)
        header[place + i] = value[i];
}

void packet_fuzzer::spoil(packet &which) {
    switch (random_.between(0, 9)) {
    case 0:
        which.opcode = static_cast<std::uint8_t>((which.opcode & ~operation_mask) |
                                                 random_.between(0, operation_mask));
        break;
    case 1:
        which.opcode = static_cast<std::uint8_t>(random_.next());
        break;
    case 2:
        which.psn += one_of<std::uint32_t>(
            {1, 2, 16, 0x7fffff, 0x800000, 0x800001, psn_mask, psn_mask - 1, psn_mask - 16});
        break;
    case 3:
        which.payload.resize(
            one_in(2) ? random_.between(0, receiver_.mtu)
                      : one_of<std::size_t>({0, 1, 3, 4, 7, 8, receiver_.mtu - 1, receiver_.mtu,
                                             receiver_.mtu + 1, receiver_.mtu + 4}));
        break;
    case 4:
        which.padding = static_cast<std::uint8_t>(random_.between(0, 3));
        break;
    case 5:
        which.flags ^= static_cast<std::uint8_t>(1U << one_of({0, 1, 2, 3, 6, 7}));
        break;
    case 6:
        which.queue_pair = one_of<std::uint32_t>(
            {0, 1, psn_mask, which.queue_pair + 1, which.queue_pair ^ 0x800000});
        break;
    case 7:
        which.partition = static_cast<std::uint16_t>(one_in(2) ? 0x7fff : random_.next());
        break;
    default:
        spoil_header(which.header);
    }
}

void packet_fuzzer::spoil_order() {
    const std::size_t which = random_.between(0, pending_.size() - 1);
    const auto at = std::next(pending_.begin(), static_cast<std::ptrdiff_t>(which));
    switch (random_.between(0, 3)) {
    case 0:
        if (pending_.size() > 1)
            pending_.erase(at);
        break;
    case 1: {
        packet again = *at;
        pending_.insert(at, std::move(again));
        break;
    }
    case 2:
        std::swap(*at, pending_.back());
        break;
    default:
        if (!sent_.empty())
            pending_.push_front(sent_[random_.between(0, sent_.size() - 1)]);
    }
}

wire_bytes packet_fuzzer::transport(const packet &of) const {
    roce_request request{.opcode = static_cast<rc_opcode>(of.opcode),
                         .psn = of.psn & psn_mask,
                         .header = of.header,
                         .payload = of.payload};
    wire_bytes bytes = roce_transport(of.queue_pair & psn_mask, request);
    bytes[1] = static_cast<std::uint8_t>((bytes[1] & 0x30) | of.flags);
    if (of.padding)
        bytes[1] = static_cast<std::uint8_t>((bytes[1] & ~0x30) | *of.padding << 4);
    bytes[2] = static_cast<std::uint8_t>(of.partition >> 8);
    bytes[3] = static_cast<std::uint8_t>(of.partition);
    if (!of.asks_for_acknowledgement)
        bytes[8] = 0;
    return bytes;
}

void packet_fuzzer::resume_at(std::uint32_t psn) {
    pending_.clear();
    request_psn_ = psn;
}

wire_bytes packet_fuzzer::next(const roce_ends &ends) {
    if (pending_.empty())
        make_message();
    const packet current = std::move(pending_.front());
    pending_.pop_front();
    if (sent_.size() < kept)
        sent_.push_back(current);
    else
        sent_[random_.between(0, kept - 1)] = current;
    wire_bytes bytes = transport(current);
    if (one_in(64))
        bytes.resize(random_.between(1, bytes.size()));
    wire_bytes frame = roce_frame(ends, bytes, current.headers_twice);
    if (one_in(64)) // on the way, so that the CRC does not fit
        frame[random_.between(ethernet_length, frame.size() - 1)] ^=
            static_cast<std::uint8_t>(1U << random_.between(0, 7));
    return frame;
}

} // namespace odp_test
