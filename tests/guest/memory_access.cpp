// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// The two ways of memory_access.hpp. A refused RDMA operation ends its queue pairs, so the next one
// gets new ones.

#include "memory_access.hpp"

#include "testdev.hpp"
#include "verbs.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <format>
#include <optional>
#include <ostream>
#include <stdexcept>

namespace odp_test {

namespace {

class device_access : public memory_access {
  public:
    access_result write(const std::uint8_t *va, std::span<const std::uint8_t> bytes) override {
        return result_of(window_.write(whole_iova(va), bytes), "writing");
    }
    access_result read(const std::uint8_t *va, std::span<std::uint8_t> bytes) override {
        return result_of(window_.read(whole_iova(va), bytes), "reading");
    }

  private:
    static access_result result_of(int error, const char *what) {
        if (error != 0 && error != EACCES)
            fail_with(error, std::format("{} through the test device", what));
        return error == 0 ? access_result::done : access_result::refused;
    }

    test_device device_;
    mirror_window window_{device_};
};

class rxe_access : public memory_access {
  public:
    rxe_access() { link_.emplace(device_); }

    access_result write(const std::uint8_t *va, std::span<const std::uint8_t> bytes) override {
        std::ranges::copy(bytes, pinned_.data());
        return run(operation::write(pinned_mr_.sge(pinned_.data(), bytes.size()), mr_.target(va)));
    }
    access_result read(const std::uint8_t *va, std::span<std::uint8_t> bytes) override {
        const auto result =
            run(operation::read(pinned_mr_.sge(pinned_.data(), bytes.size()), mr_.target(va)));
        std::ranges::copy(pinned_.bytes(0, bytes.size()), bytes.begin());
        return result;
    }

  private:
    access_result run(const operation &work) {
        const ibv_wc_status status = link_->requester.run(work).status;
        if (status == IBV_WC_SUCCESS)
            return access_result::done;
        link_.emplace(device_);
        if (status != IBV_WC_REM_ACCESS_ERR)
            throw std::runtime_error("an RDMA operation ended with " + status_name(status));
        return access_result::refused;
    }

    const device device_;
    const mapping pinned_{longest, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS};
    const region pinned_mr_ = must(region::over(device_, pinned_.data(), longest, all_access));
    const region mr_ = must(region::implicit(device_, odp_access));
    std::optional<connection> link_;
};

} // namespace

std::string path_name(access_path path) {
    return path == access_path::rxe ? "Rxe" : "Device";
}

void PrintTo(access_path path, std::ostream *out) {
    *out << path_name(path);
}

void PrintTo(access_result result, std::ostream *out) {
    *out << (result == access_result::done ? "done" : "refused");
}

std::unique_ptr<memory_access> make_access(access_path path) {
    if (path == access_path::rxe)
        return std::make_unique<rxe_access>();
    return std::make_unique<device_access>();
}

} // namespace odp_test
