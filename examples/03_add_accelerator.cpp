// A device and two models that the catalogue does not have. SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>

#include <array>
#include <string_view>

#include "rafter/analytical.hpp"
#include "rafter/architecture.hpp"
#include "rafter/estimator/analytical_model.hpp"
#include "rafter/hardware.hpp"

namespace {

using namespace rafter;
using namespace rafter::literals;

/// Facts with their source. Peaks are dense: half of a figure "with sparsity".
struct next_device {
  static constexpr std::string_view name = "Next 192GB";
  static constexpr std::string_view source = "made up for this example";
  static constexpr peak_table peak_flops{{precision::bf16, 1200_TFLOP_per_s}, {precision::fp8, 2400_TFLOP_per_s}};
  static constexpr byte_per_second hbm_bandwidth = 6.0_TB_per_s;
  static constexpr bytes hbm_capacity = 192_GB;
  static constexpr byte_per_second link_bandwidth = 1200_GB_per_s;
};
static_assert(static_accelerator<next_device>);
static_assert(machine_balance_of<next_device, precision::bf16> == 200_FLOP_per_B);
// machine_balance_of<next_device, precision::fp4> does not compile: "this device has no peak for that precision".

/// A dense decoder: what most have in common comes from the base, what differs is said here.
struct next_20b : dense_decoder {
  static constexpr std::string_view name = "next-20b";
  static constexpr int layers = 48, hidden = 6144, heads = 48, kv_heads = 8, head_dim = 128;
  static constexpr int intermediate = 16384, vocabulary = 128256;
};
static_assert(static_architecture<next_20b>);

/// A model that stores something else per token says so with a hidden friend, and nothing else in rafter changes.
struct next_latent {
  static constexpr std::string_view name = "next-latent";
  int layers = 48, latent = 576;
  friend constexpr bytes kv_bytes_per_token(const next_latent& a) { return bytes{2.0 * a.layers * a.latent}; }
  friend constexpr bytes weight_bytes(const next_latent&) { return bytes{2.0 * 20e9}; }
};
static_assert(sizable_architecture<next_latent>);

struct step {
  std::array<request, 2> requests;
};

}  // namespace

int main() {
  // An engine that is known to the compiler is an empty type; what it fixes is folded into constants.
  constexpr static_deployment<next_20b, next_device, 2> engine{};
  constexpr step now{{request::decoding(4096), request::prefilling(512)}};
  using roofline0 = analytical_predictor<decltype(analytical::roofline_step_time)>;
  constexpr seconds at_least = roofline0::predict(now, engine);  // computed by the compiler
  static_assert(at_least > 3_ms && at_least < 10_ms);
  fmt::print("{} on 2 x {}: one step takes {:.2f} ms at the roofline\n", next_20b::name, next_device::name,
             at_least.value * 1e3);

  const kv_pool pool{.memory_per_device = next_device::hbm_capacity, .tp = 2};
  fmt::print("context that fits beside the weights: {:.0f} tokens of {}, {:.0f} of {}\n", kv_tokens(next_20b{}, pool),
             next_20b::name, kv_tokens(next_latent{}, pool), next_latent::name);
  fmt::print("weights of {}: {:.2f} billion\n", next_20b::name, weight_count(next_20b{}) / 1e9);
}
