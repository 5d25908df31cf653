// The MFU of matrix products as measured, in place of a constant. SPDX-License-Identifier: Apache-2.0
//   15_use_measured_mfu [vidur's mlp.csv, kernel_steps' steps.csv]     without: both made up
#include <iostream>

#include "examples/data/embedded_steps.hpp"
#include "rafter/analytical/corrected.hpp"
#include "rafter/analytical/measured_curve.hpp"
#include "rafter/estimator/nonlinear.hpp"
#include "rafter/evaluation.hpp"
#include "rafter/io/kernel_steps.hpp"
#include "rafter/io/mfu_points.hpp"
#include "rafter/io/rafter_steps.hpp"
#include "rafter/validation.hpp"

namespace {

using namespace rafter;
using namespace rafter::literals;

std::vector<measured_gemm> kernels;  // what the curve goes through; filled before anything is fitted

/// Synthetic: products of one matrix, bound by memory below some hundred tokens, at 0.7 of the peak far above.
void make_kernels() {
  for (double m = 1.0; m <= 4096.0; m *= 2.0) {
    measured_gemm one{"made_up", precision::bf16, m, 22016.0, 4096.0, 0.0};
    one.seconds = 1e-6 + one.flop() / (989.4e12 * std::min(0.7 * m / (m + 120.0), one.intensity() / 369.0));
    kernels.push_back(one);
  }
}

struct gemm_mfu : curve_of<gemm_mfu> {
  static constexpr std::string_view name = "gemm_mfu";
  static const measured_curve& measured() {
    constexpr auto peak = peak_of_device<h100_sxm, precision::bf16>;
    static const measured_curve made(
        median_per_bin(mfu_points(kernels, peak, &measured_gemm::intensity), 8),
        {.name = "gemm_mfu", .by_logarithm = true, .below = extrapolation::hold, .above = extrapolation::hold});
    return made;
  }
};

constexpr auto gemm = analytical::step_gemm;
constexpr auto intensity = magnitude(ratio(gemm.flops, gemm.bytes, with_unit<units::flop_per_byte>(1_c)));
constexpr bounded<"attention_factor", 0.1_c, 1_c, 10_c> attention_factor{};
constexpr bounded<"launch", 0_c, 0.000005_c, 0.0001_c, units::second> launch{};  // of one layer
constexpr auto rest =
    attention_factor * (roofline(analytical::prefill_attention) + roofline(analytical::decode_attention)) +
    launch * architecture::layers + analytical::overhead;

struct one_mfu : nonlinear<roofline(gemm.flops, gemm.bytes, analytical::mfu<"gemm">) + rest, objective::relative> {
  static constexpr std::string_view label = "one_mfu";
};
struct measured_mfu
    : nonlinear<gemm.flops / (hardware::peak_flops * curve<gemm_mfu>(intensity)) + rest, objective::relative> {
  static constexpr std::string_view label = "measured_mfu";
};

}  // namespace

int main(int count, char** argument) {
  if (count == 3) {
    kernels = read_vidur_gemms(argument[1]);
    std::cout << evaluate<one_mfu, measured_mfu>(read_kernel_steps(argument[2]), lomo{});
  } else {
    make_kernels();
    std::cout << evaluate<one_mfu, measured_mfu>(
        parse_rafter_steps(rafter_data::embedded_steps(), "embedded:steps.csv"), lomo{});
  }
}
