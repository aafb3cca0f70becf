// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// odp_file_copy: copies a file to files on another machine by RDMA, with no registration but one.
// It is the example to start from: channel.cpp has the verbs, server.cpp and client.cpp the job.

#include "client.hpp"
#include "server.hpp"

#include <CLI/CLI.hpp>

#include <cstdio>
#include <exception>
#include <print>
#include <string>
#include <vector>

int main(int argc, char **argv) {
    CLI::App app("Copies a file to a server by RDMA through one implicit on-demand-paging MR.");
    app.require_subcommand(1);
    std::string address;
    std::string port = "7471";
    std::string source;
    std::vector<std::string> destinations;

    auto *const serve = app.add_subcommand("serve", "Own the files; runs until it is killed");
    serve->add_option("ADDRESS", address, "IP address of an RDMA device of this machine")
        ->required();
    serve->add_option("--port", port, "Port of the RDMA connection manager")->capture_default_str();

    auto *const copy = app.add_subcommand(
        "copy", "Copy a file, read it back; status 1 if what came back differs, 2 on an error");
    copy->add_option("ADDRESS", address, "IP address that the server listens on")->required();
    copy->add_option("SOURCE", source, "File of this machine")
        ->required()
        ->check(CLI::ExistingFile);
    copy->add_option("DESTINATION", destinations, "Paths on the server; each gets a copy")
        ->required();
    copy->add_option("--port", port, "Port that the server listens on")->capture_default_str();

    try {
        app.parse(argc, argv);
        if (*serve)
            demo::serve(address, port);
        return demo::copy(address, port, source, destinations) ? 0 : 1;
    } catch (const CLI::ParseError &error) {
        return app.exit(error) == 0 ? 0 : 2;
    } catch (const std::exception &error) {
        std::println(stderr, "odp_file_copy: {}", error.what());
        return 2;
    }
}
