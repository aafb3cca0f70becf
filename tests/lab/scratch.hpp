// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// A directory for one test, removed with everything in it when the test ends.

#pragma once

#include <filesystem>
#include <string>

namespace lab_test {

class scratch {
  public:
    scratch();
    scratch(const scratch &) = delete;
    scratch &operator=(const scratch &) = delete;
    ~scratch();

    const std::filesystem::path &path() const { return path_; }
    std::filesystem::path operator/(const std::string &name) const { return path_ / name; }

  private:
    std::filesystem::path path_;
};

void write_file(const std::filesystem::path &path, const std::string &content);
/// Empty if there is no such file.
std::string read_file(const std::filesystem::path &path);

} // namespace lab_test
