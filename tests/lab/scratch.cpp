// SPDX-License-Identifier: GPL-2.0 OR MIT

#include "scratch.hpp"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <system_error>

namespace lab_test {

scratch::scratch() {
    std::string name = (std::filesystem::temp_directory_path() / "odplab-test-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr)
        throw std::runtime_error("cannot make " + name + ": " + std::strerror(errno));
    path_ = name;
}

scratch::~scratch() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
}

void write_file(const std::filesystem::path &path, const std::string &content) {
    std::ofstream file(path, std::ios::binary);
    file << content << std::flush;
    if (!file)
        throw std::runtime_error("cannot write " + path.string());
}

std::string read_file(const std::filesystem::path &path) {
    std::ifstream file(path, std::ios::binary);
    std::ostringstream content;
    content << file.rdbuf();
    return content.str();
}

} // namespace lab_test
