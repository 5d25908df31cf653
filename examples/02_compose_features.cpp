// A feature set written as formulas, and its values for one step. SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>

#include <vector>

#include "rafter/analytical.hpp"
#include "rafter/architecture.hpp"
#include "rafter/feature.hpp"
#include "rafter/hardware.hpp"

namespace {

using namespace rafter;
using namespace rafter::literals;

// An expression is an empty constant. It knows its dimension; adding tokens to bytes does not compile.
constexpr auto all_work = analytical::step_gemm + analytical::prefill_attention + analytical::decode_attention;
constexpr auto intensity = analytical::arithmetic_intensity(all_work);  // FLOP per byte

// "name"_f = names an expression; numbers carry _c.
constexpr auto physics = feature_set{
    "prefill_tokens"_f = prefill_tokens,
    "prefill_fraction"_f = prefill_tokens / max(scheduled_tokens, one_token),
    "arithmetic_intensity"_f = intensity,
    "compute_bound"_f = indicator(intensity > hardware::machine_balance),
    "kv_pressure"_f = max(kv_length) * count(decode),
    "prefill_decode_overlap"_f = prefill_tokens * mean(kv_length),
};
static_assert(physics.names[4] == "kv_pressure");
static_assert(physics.dimensions[2] == units::flop_per_byte);
static_assert(physics.plan_size < physics.tree_size);  // what features share is computed once

// Sets are values too.
constexpr auto no_overlap = without<"prefill_decode_overlap">(physics);
constexpr auto wide = no_overlap | cross(only<"decode_tokens">(catalog::blackbox), catalog::kv_statistics);
static_assert(no_overlap.size == 5 && wide.size == 5 + 1 * 5 && wide.names[5] == "decode_tokens*kv_mean");

// A step is any type with the members that the features read; here, its requests.
struct step {
  std::vector<request> requests;
};

}  // namespace

int main() {
  const deployment engine{.architecture = find_decoder("llama-2-7b"), .hardware = find_accelerator("h100")};
  const step now{{request::decoding(900), request::decoding(412), request::prefilling(256, 1024)}};

  const auto values = physics.evaluate(now, engine);
  for (std::size_t i = 0; i < physics.size; ++i) {
    const bool is_short = physics.formulas[i].size() < 60;
    fmt::print("{:<23} {:>10.5g}  {}\n", physics.names[i], values[i], is_short ? physics.formulas[i] : "(longer)");
  }
  fmt::print("{} features: {} operations and reads as written, {} in the shared plan\n", physics.size,
             physics.tree_size, physics.plan_size);
}
