// The MFU of matrix products as measured, in place of a fitted constant. SPDX-License-Identifier: Apache-2.0
//   15_use_measured_mfu [aiconfigurator's gemm.csv, kernel_steps' steps.csv]     without: kernels and steps are made up
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

using namespace rafter;
using namespace rafter::literals;
std::vector<measured_gemm> kernels;  // filled before anything is fitted

struct gemm_mfu : curve_of<gemm_mfu> {
  static constexpr std::string_view name = "gemm_mfu";
  static const measured_curve& measured() {
    constexpr auto peak = peak_of_device<h100_sxm, precision::bf16>;
    constexpr auto hold = extrapolation::hold;
    static const measured_curve made(median_per_bin(mfu_points(kernels, peak, &measured_gemm::intensity), 8),
                                     {.name = "gemm_mfu", .by_logarithm = true, .below = hold, .above = hold});
    return made;
  }
};

constexpr auto gemm = analytical::step_gemm;
constexpr auto intensity = magnitude(ratio(gemm.flops, gemm.bytes, with_unit<units::flop_per_byte>(1_c)));
constexpr bounded<"attention_factor", 0.1_c, 1_c, 10_c> attention_factor{};
constexpr bounded<"launch", 0_c, 0.000005_c, 0.0001_c, units::second> launch{};  // of one layer
constexpr auto attention = roofline(analytical::prefill_attention) + roofline(analytical::decode_attention);
constexpr auto rest = attention_factor * attention + launch * architecture::layers + analytical::overhead;

struct one_mfu : nonlinear<roofline(gemm.flops, gemm.bytes, analytical::mfu<"gemm">) + rest, objective::relative> {
  static constexpr std::string_view label = "one_mfu";
};
struct measured_mfu
    : nonlinear<gemm.flops / (hardware::peak_flops * curve<gemm_mfu>(intensity)) + rest, objective::relative> {
  static constexpr std::string_view label = "measured_mfu";
};

int main(int count, char** argument) {
  if (count == 3) {
    kernels = read_aiconfigurator_gemms(argument[1]);
    std::erase_if(kernels, [](const auto& one) { return one.format != precision::bf16 || one.n * one.k < 4e6; });
    std::cout << evaluate<one_mfu, measured_mfu>(read_kernel_steps(argument[2]), lomo{});
    return 0;
  }
  for (double m = 1.0; m <= 4096.0; m *= 2.0) {  // synthetic: up to 0.7 of the peak or 0.8 of the bandwidth
    measured_gemm one{"synthetic", precision::bf16, m, 22016.0, 4096.0, 0.0};
    one.seconds = one.flop() / (989.4e12 * std::min(0.7 * m / (m + 120.0), 0.8 * one.intensity() / 295.3));
    kernels.push_back(one);
  }
  const auto steps = parse_rafter_steps(rafter_data::embedded_steps(), "embedded:steps.csv");
  std::cout << evaluate<one_mfu, measured_mfu>(steps, lomo{});
}
