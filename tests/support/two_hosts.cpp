// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// Made with ip, tc and rdma, as an administrator would; see two_hosts.hpp.

#include "two_hosts.hpp"

#include "command.hpp"
#include "resources.hpp"

#include <fcntl.h>
#include <nlohmann/json.hpp>
#include <sched.h>

#include <cstdlib>
#include <format>

namespace odp_test {

namespace {

// One word each: the namespace, its interface and its device.
constexpr const char *near_name = "host-near";
constexpr const char *far_name = "host-far";

const char *name_of(two_hosts::side where) {
    return where == two_hosts::side::near ? near_name : far_name;
}

// 17 ms: what is lost at a message's end costs little. Retries are not limited by number.
constexpr std::uint8_t impatient = 12;

// As netem takes it. Its "reorder" is the part that a delay does not hit.
std::string words_for(const disturbance &how) {
    std::string words;
    if (how.loss > 0)
        words += std::format(" loss random {}%", how.loss);
    if (how.duplicate > 0)
        words += std::format(" duplicate {}%", how.duplicate);
    if (how.reorder > 0)
        words += std::format(" delay 2ms reorder {}%", 100 - how.reorder);
    return words;
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

two_hosts::two_hosts(int mtu) {
    try {
        for (const char *name : {near_name, far_name})
            run_command(std::format("ip netns add {}", name));
        run_command(std::format("ip link add {0} netns {0} type veth peer name {1} netns {1}",
                                near_name, far_name));
        make_end(side::near, mtu);
        make_end(side::far, mtu);
        const inside near_side(near_name);
        near_.emplace(near_name);
        const inside far_side(far_name);
        far_.emplace(far_name);
    } catch (...) {
        remove();
        throw;
    }
}

two_hosts::~two_hosts() {
    near_.reset();
    far_.reset();
    remove();
}

std::string two_hosts::address(side where) {
    return where == side::near ? "10.11.0.1" : "10.11.0.2";
}

// `ip netns exec` would make a copy of all mounts first, which takes longer than most programs.
std::string two_hosts::command(side where, const std::string &program) {
    return std::format("nsenter --net=/run/netns/{} {}", name_of(where), program);
}

void two_hosts::make_end(side where, int mtu) {
    const char *const name = name_of(where);
    run_command(std::format("ip -n {0} address add {1}/24 dev {0}", name, address(where)));
    run_command(std::format("ip -n {0} link set {0} mtu {1} up", name, mtu));
    run_command(command(where, std::format("rdma link add {0} type rxe netdev {0}", name)));
}

void two_hosts::disturb(const disturbance &how, std::uint64_t seed) const {
    for (const char *name : {near_name, far_name})
        run_command(
            std::format("tc -n {0} qdisc replace dev {0} root netem{1} seed {2} limit 10000", name,
                        words_for(how), seed++));
}

// The devices first: a namespace takes its interface along, that one its peer, and those the
// devices.
void two_hosts::remove() noexcept {
    for (const char *command : {"rdma link delete ", "ip netns delete "})
        for (const char *name : {near_name, far_name})
            // What cannot be removed fails the next link, whose names are the same.
            static_cast<void>(std::system((std::string(command) + name).c_str()));
}

void two_hosts::connect(endpoint &requester, endpoint &responder, ibv_mtu path_mtu) const {
    {
        const inside near_side(near_name);
        requester.connect(*near_, far_->gid(), responder.qp()->qp_num, path_mtu, impatient);
    }
    const inside far_side(far_name);
    responder.connect(*far_, near_->gid(), requester.qp()->qp_num, path_mtu, impatient);
}

std::uint64_t two_hosts::lost() const {
    std::uint64_t sum = 0;
    for (const char *name : {near_name, far_name}) {
        const auto queues = nlohmann::json::parse(
            output_of(std::format("tc -n {0} -s -j qdisc show dev {0}", name)));
        sum += queues.at(0).at("drops").get<std::uint64_t>();
    }
    return sum;
}

} // namespace odp_test
