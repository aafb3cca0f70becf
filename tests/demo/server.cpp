// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// The server registers its memory once, when it starts to listen. Every file is mapped after that,
// and the client reaches it through that same MR. While a transfer runs the server only waits for
// the next message: the device faults the file's pages in as they are needed.

#include "server.hpp"

#include "channel.hpp"
#include "mapped_file.hpp"
#include "protocol.hpp"
#include "statistics.hpp"

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <exception>
#include <optional>
#include <print>
#include <system_error>
#include <utility>

namespace demo {

namespace {

class session {
  public:
    explicit session(std::uint32_t rkey) : rkey_(rkey) {}

    reply answer(const request &message) {
        try {
            return message.what == step::open ? open(message) : finish();
        } catch (const std::system_error &error) {
            std::println(stderr, "{}", error.what());
            file_.reset();
            return {.error = error.code().value()};
        }
    }

  private:
    reply open(const request &message) {
        before_ = read_statistics();
        const std::string path(message.path.data(),
                               strnlen(message.path.data(), message.path.size()));
        file_.emplace(mapped_file::create(path, message.length));
        return {.rkey = rkey_, .va = reinterpret_cast<std::uintptr_t>(file_->data())};
    }

    reply finish() {
        if (!file_)
            return {.error = EBADF};
        file_->make_durable();
        const auto mapped = read_statistics();
        file_.reset(); // unmapped; the mirror forgets its pages here
        return {.statistics = difference(before_, mapped, read_statistics())};
    }

    std::uint32_t rkey_;
    std::optional<mapped_file> file_;
    mirror_statistics before_;
};

// Declared in this order because the queue pair must go before the buffer that it receives into.
void serve_one(listener &socket, id_handle connection) {
    request message;
    channel client = socket.accept(std::move(connection), &message, sizeof message);
    session current(socket.rkey());
    while (client.wait_received()) {
        const reply response = current.answer(message);
        client.post_receive(&message, sizeof message);
        client.send(&response, sizeof response);
    }
}

} // namespace

void serve(const std::string &address, const std::string &port) {
    listener socket(address, port);
    std::println("listening on {} port {}", address, port);
    std::fflush(stdout);
    for (;;) {
        id_handle connection = socket.next_request();
        try {
            serve_one(socket, std::move(connection));
        } catch (const std::exception &error) {
            // One client's trouble is not the next one's.
            std::println(stderr, "a client was lost: {}", error.what());
        }
    }
}

} // namespace demo
