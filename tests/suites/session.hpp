// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// A server and its client, as a user starts them: the same program on two hosts, the client with
// the server's address behind it.

#pragma once

#include "kernel_log.hpp"
#include "two_hosts.hpp"

#include <gtest/gtest.h>

#include <string>

namespace odp_test {

/// How a program ended, and what it printed.
struct ending {
    int status;
    std::string output;
};

struct session {
    ending server;
    ending client;
};

/// How the client finds the server.
enum class rendezvous {
    tcp, ///< a socket at the port that all of these programs take, so it is seen when it is there
    rdma_cm, ///< nothing to be seen: the client tries until it is let in
};

/// Runs the server on the far host and the client on the near one, both by the shell.
session run_session(const std::string &server, const std::string &client, rendezvous how);

/// Passes when both ended with status 0; the message has what they said otherwise.
::testing::AssertionResult succeeded(const session &both);

/// Both hosts, for all tests of a program. The kernel's log stays silent.
class suite_test : public ::testing::Test {
  protected:
    static void SetUpTestSuite();
    static void TearDownTestSuite();
    void TearDown() override;

    /// "-d DEVICE WORD INDEX", WORD being how the program calls an index of a GID.
    static std::string device_options(two_hosts::side where, const char *word);

  private:
    kernel_log log_;
};

} // namespace odp_test
