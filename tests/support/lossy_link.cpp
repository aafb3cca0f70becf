// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// Made with ip, tc and rdma, as an administrator would; see lossy_link.hpp.

#include "lossy_link.hpp"

#include "resources.hpp"

#include <fcntl.h>
#include <nlohmann/json.hpp>
#include <sched.h>

#include <cstdlib>
#include <format>
#include <fstream>
#include <stdexcept>

namespace odp_test {

namespace {

// One word each: the namespace, its interface and its device.
constexpr const char *near_name = "lossy-near";
constexpr const char *far_name = "lossy-far";

// 17 ms: what is lost at a message's end costs little. Retries are not limited by number.
constexpr std::uint8_t impatient = 12;

void run(const std::string &command) {
    if (std::system(command.c_str()) != 0)
        throw std::runtime_error("failed: " + command);
}

void make_end(const char *name, int number, double percent, std::uint64_t seed) {
    const std::string inside = std::format("ip netns exec {} ", name);
    run(std::format("ip -n {0} address add 10.11.0.{1}/24 dev {0}", name, number));
    run(std::format("ip -n {0} link set {0} up", name));
    run(std::format("tc -n {0} qdisc add dev {0} root netem loss random {1}% seed {2} limit 10000",
                    name, percent, seed));
    run(inside + std::format("rdma link add {0} type rxe netdev {0}", name));
}

// This thread in another network namespace.
class inside {
  public:
    explicit inside(const char *name)
        : before_(checked(open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC),
                          "opening the network namespace")) {
        const file there(
            checked(open(std::format("/run/netns/{}", name).c_str(), O_RDONLY | O_CLOEXEC),
                    "opening another network namespace"));
        checked(setns(there.descriptor(), CLONE_NEWNET), "entering a network namespace");
    }
    inside(const inside &) = delete;
    inside &operator=(const inside &) = delete;
    ~inside() { setns(before_.descriptor(), CLONE_NEWNET); }

  private:
    file before_;
};

} // namespace

lossy_link::lossy_link(double percent, std::uint64_t seed) {
    try {
        for (const char *name : {near_name, far_name})
            run(std::format("ip netns add {}", name));
        run(std::format("ip link add {0} netns {0} type veth peer name {1} netns {1}", near_name,
                        far_name));
        make_end(near_name, 1, percent, seed);
        make_end(far_name, 2, percent, seed + 1);
        const inside near_side(near_name);
        near_.emplace(near_name);
        const inside far_side(far_name);
        far_.emplace(far_name);
    } catch (...) {
        remove();
        throw;
    }
}

lossy_link::~lossy_link() {
    near_.reset();
    far_.reset();
    remove();
}

// The devices first: a namespace takes its interface along, that one its peer, and those the
// devices.
void lossy_link::remove() noexcept {
    for (const char *command : {"rdma link delete ", "ip netns delete "})
        for (const char *name : {near_name, far_name})
            // What cannot be removed fails the next link, whose names are the same.
            static_cast<void>(std::system((std::string(command) + name).c_str()));
}

void lossy_link::connect(endpoint &requester, endpoint &responder, ibv_mtu path_mtu) const {
    {
        const inside side(near_name);
        requester.connect(*near_, far_->gid(), responder.qp()->qp_num, path_mtu, impatient);
    }
    const inside side(far_name);
    responder.connect(*far_, near_->gid(), requester.qp()->qp_num, path_mtu, impatient);
}

std::uint64_t lossy_link::lost() const {
    std::uint64_t sum = 0;
    for (const char *name : {near_name, far_name}) {
        const auto queues = nlohmann::json::parse(
            output_of(std::format("tc -n {0} -s -j qdisc show dev {0}", name)));
        sum += queues.at(0).at("drops").get<std::uint64_t>();
    }
    return sum;
}

} // namespace odp_test
