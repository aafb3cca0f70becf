// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// The test device and rxe as users of the stress test; see stress_user.hpp.

#include "stress_user.hpp"

#include "advise.hpp"
#include "diagnosis.hpp"
#include "testdev.hpp"
#include "verbs.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <memory>
#include <optional>
#include <stdexcept>
#include <thread>

namespace odp_test {

namespace {

/// How long an access may take. Its pages are taken away and paged out all the time, and a guest
/// with every check on, on a busy machine, is slow.
constexpr std::chrono::minutes patience{3};

class device_user : public stress_user {
  public:
    access writing(std::uint8_t *va, std::size_t length) override {
        return accessing(ODP_TEST_WRITE, va, length);
    }
    access reading(std::uint8_t *va, std::size_t length) override {
        return accessing(ODP_TEST_READ, va, length);
    }
    void recover() override {}
    int prefetch(std::uint8_t *va, std::size_t length, prefetch_mode mode, bool wait) override {
        odp_test_prefetch request{};
        request.window = window_->id();
        request.iova = whole_iova(va) + shift_;
        request.length = length;
        request.mode = mode == prefetch_mode::read    ? ODP_TEST_PREFETCH_READ
                       : mode == prefetch_mode::write ? ODP_TEST_PREFETCH_WRITE
                                                      : ODP_TEST_PREFETCH_PRESENT;
        request.flags = wait ? ODP_TEST_PREFETCH_WAIT : 0;
        return device_.command(ODP_TEST_PREFETCH, request);
    }
    void replace_region_by_whole() override {
        window_ = std::make_unique<mirror_window>(device_);
        shift_ = 0;
    }
    void replace_region(std::uint8_t *va, std::size_t length, std::uint64_t shift) override {
        window_ = std::make_unique<mirror_window>(device_, whole_iova(va) + shift, va, length);
        shift_ = shift;
    }
    void write_and_destroy(std::uint8_t *va, std::span<std::uint8_t> bytes) override {
        const access write = writing(va, bytes.size());
        std::jthread writer([&] { write(bytes); });
        replace_region_by_whole();
    }

  private:
    access accessing(unsigned long command, std::uint8_t *va, std::size_t length) {
        odp_test_access request{};
        request.window = window_->id();
        request.iova = whole_iova(va) + shift_;
        request.length = length;
        request.timeout_ms =
            static_cast<std::uint32_t>(std::chrono::milliseconds(patience).count());
        return [this, command, request](std::span<std::uint8_t> bytes) mutable {
            request.buffer = whole_iova(bytes.data());
            const int error = device_.command(command, request);
            if (error != 0 && error != EACCES && error != ENOENT)
                fail_with(error, "an access through the test device");
            return error == 0 ? access_result::done : access_result::refused;
        };
    }

    test_device device_;
    // Made before its predecessor goes, so that an access under way does not meet its number.
    std::unique_ptr<mirror_window> window_ = std::make_unique<mirror_window>(device_);
    std::uint64_t shift_ = 0;
};

class rxe_user : public stress_user {
  public:
    explicit rxe_user(std::size_t longest)
        : staging_(longest, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS),
          staging_mr_(must(region::over(device_, staging_.data(), longest, odp_access))) {
        recover();
    }

    access writing(std::uint8_t *va, std::size_t length) override {
        const auto work =
            operation::write(staging_mr_.sge(staging_.data(), length), mr_->target(va));
        return [this, work](std::span<std::uint8_t> bytes) {
            std::ranges::copy(bytes, staging_.data());
            return run(work);
        };
    }
    access reading(std::uint8_t *va, std::size_t length) override {
        const auto work =
            operation::read(staging_mr_.sge(staging_.data(), length), mr_->target(va));
        return [this, work](std::span<std::uint8_t> bytes) {
            const auto result = run(work);
            std::ranges::copy(staging_.bytes(0, bytes.size()), bytes.begin());
            return result;
        };
    }
    void recover() override { link_ = std::make_unique<connection>(device_); }
    int prefetch(std::uint8_t *va, std::size_t length, prefetch_mode mode, bool wait) override {
        const std::array pieces{mr_->sge(va, length)};
        return advise(device_,
                      mode == prefetch_mode::read    ? IB_UVERBS_ADVISE_MR_ADVICE_PREFETCH
                      : mode == prefetch_mode::write ? IB_UVERBS_ADVISE_MR_ADVICE_PREFETCH_WRITE
                                                     : IB_UVERBS_ADVISE_MR_ADVICE_PREFETCH_NO_FAULT,
                      wait ? std::uint32_t{IB_UVERBS_ADVISE_MR_FLAG_FLUSH} : 0, pieces);
    }
    void replace_region_by_whole() override {
        mr_ = std::nullopt;
        mr_.emplace(must(region::implicit(device_, odp_access)));
    }
    void replace_region(std::uint8_t *va, std::size_t length, std::uint64_t shift) override {
        mr_ = std::nullopt;
        mr_.emplace(must(region::at_iova(device_, va, length, whole_iova(va) + shift, odp_access)));
    }
    void write_and_destroy(std::uint8_t *va, std::span<std::uint8_t> bytes) override {
        std::ranges::copy(bytes, staging_.data());
        // In pieces, so that some have been sent and some not.
        constexpr std::size_t piece = 4096;
        for (std::size_t start = 0; start < bytes.size(); start += piece) {
            const std::size_t length = std::min(piece, bytes.size() - start);
            link_->requester.post(operation::write(staging_mr_.sge(staging_.data() + start, length),
                                                   mr_->target(va + start)));
        }
        link_.reset();
        recover();
    }

  private:
    access_result run(const operation &work) {
        link_->requester.post(work);
        const ibv_wc_status status = wait().status;
        if (status != IBV_WC_SUCCESS && status != IBV_WC_REM_ACCESS_ERR)
            throw std::runtime_error("an RDMA operation ended with " + status_name(status));
        return status == IBV_WC_SUCCESS ? access_result::done : access_result::refused;
    }

    /// Sleeps, where endpoint::wait() would keep a CPU from those who have the work to do.
    ibv_wc wait() {
        const auto end = std::chrono::steady_clock::now() + patience;
        while (std::chrono::steady_clock::now() < end) {
            if (const auto completion = link_->requester.poll())
                return *completion;
            std::this_thread::sleep_for(std::chrono::microseconds(200));
        }
        throw std::runtime_error("an RDMA operation did not complete in time; " +
                                 state_of_device(device_.name()));
    }

    const device device_;
    const mapping staging_;
    const region staging_mr_;
    std::optional<region> mr_{must(region::implicit(device_, odp_access))};
    std::unique_ptr<connection> link_;
};

} // namespace

std::unique_ptr<stress_user> make_stress_user(access_path path, std::size_t longest) {
    if (path == access_path::rxe)
        return std::make_unique<rxe_user>(longest);
    return std::make_unique<device_user>();
}

} // namespace odp_test
