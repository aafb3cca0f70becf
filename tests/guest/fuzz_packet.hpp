// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// Packets that a hostile peer might send to one queue pair. They are made as messages that belong
// together, with the sequence numbers that the responder expects, so that they get far; then one
// thing in some of them is wrong. With the same seed, the same packets.

#pragma once

#include "pattern.hpp"
#include "roce_frame.hpp"
#include "verbs.hpp"

#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <vector>

namespace odp_test {

/// What no payload has a byte of: where one is seen, it is from elsewhere.
inline constexpr std::uint8_t secret_byte = 0xa7;

/// Memory that a key gives access to.
struct fuzz_range {
    remote_target start;
    std::uint64_t length; ///< at least 1
};

/// A queue pair that was just connected: it expects, and sends, sequence number 0 next.
struct fuzz_receiver {
    std::uint32_t queue_pair;
    ibv_qp_type type;
    std::uint32_t mtu; ///< bytes
};

class packet_fuzzer {
  public:
    /// @ranges: at least one; it has to stay where it is.
    packet_fuzzer(fuzz_receiver receiver, std::span<const fuzz_range> ranges, std::uint64_t seed)
        : receiver_(receiver), ranges_(ranges), random_(seed) {}

    /// The next one's whole frame. At most @receiver's MTU and 128 bytes.
    wire_bytes next(const roce_ends &ends);
    /// The receiver says that it expects @psn.
    void resume_at(std::uint32_t psn);

  private:
    struct packet {
        std::uint8_t opcode;
        std::uint32_t psn;
        wire_bytes header;
        wire_bytes payload;
        std::uint8_t flags = 0x40; ///< the BTH's second byte without the padding
        std::uint16_t partition = 0xffff;
        std::uint32_t queue_pair;
        bool asks_for_acknowledgement;
        std::optional<std::uint8_t> padding; ///< said, whatever is true
        bool headers_twice = false;
    };

    bool one_in(std::uint64_t count) { return random_.between(1, count) == 1; }
    template <class value_type, std::size_t count>
    value_type one_of(const value_type (&values)[count]) {
        return values[random_.between(0, count - 1)];
    }

    packet make(unsigned opcode, wire_bytes header, std::size_t payload);
    wire_bytes make_payload(std::size_t length);
    wire_bytes immediate();
    wire_bytes acknowledgement();
    remote_target pick_target(std::uint64_t length);

    void make_message();
    void make_stream(bool is_write);
    void make_request();
    void make_answer();
    void make_anything();
    void make_datagram();

    void spoil(packet &which);
    void spoil_header(wire_bytes &header);
    void spoil_order();
    wire_bytes transport(const packet &of) const;

    fuzz_receiver receiver_;
    std::span<const fuzz_range> ranges_;
    random_source random_;
    std::uint32_t request_psn_ = 0;
    std::uint32_t answer_psn_ = 0;
    std::deque<packet> pending_;
    std::vector<packet> sent_; ///< the last ones
};

} // namespace odp_test
