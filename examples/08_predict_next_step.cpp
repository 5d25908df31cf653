// Inside a scheduler: how much of a prompt fits into the next step? SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>

#include <numeric>
#include <vector>

#include "examples/data/embedded_steps.hpp"
#include "examples/data/serving_cost.hpp"
#include "rafter/analytical.hpp"
#include "rafter/estimator/linear.hpp"
#include "rafter/io/rafter_steps.hpp"
#include "rafter/solver/ordinary_least_squares.hpp"

namespace {

using namespace rafter;
using namespace rafter::literals;

// Each component at its roofline: what a coefficient scales is a time, so longer steps than those seen stay sensible.
constexpr auto components = feature_set{
    "gemm"_f = roofline(analytical::step_gemm),
    "prefill_attention"_f = roofline(analytical::prefill_attention),
    "decode_attention"_f = roofline(analytical::decode_attention),
    "prefill_tokens"_f = prefill_tokens,
    "has_prefill"_f = indicator(prefill_requests > 0_c),
};
using step_time_model = linear<components, ordinary_least_squares>;

struct batch {
  std::vector<request> requests;
};

constexpr int block = 16;  // tokens

/// Sets the longest chunk, in whole blocks, whose step is predicted to stay within the budget: a search by halves,
/// since a longer chunk takes longer. `chunk` is a request of `plan`.
template <class StepTime>
void fit_chunk(const StepTime& step_time, const batch& plan, request& chunk, int wanted, seconds budget) {
  int fits = 0;
  int too_many = wanted / block + 1;
  while (too_many - fits > 1) {
    const int half = (fits + too_many) / 2;
    chunk.new_tokens = block * half;
    (step_time(plan) <= budget ? fits : too_many) = half;
  }
  chunk.new_tokens = block * fits;
}

}  // namespace

int main() {
  // Once: fit on the steps of this engine, then compute everything that depends on the engine alone.
  const auto data = parse_rafter_steps(rafter_data::embedded_steps(), "embedded:steps.csv");
  const deployment& engine = data.deployment(0);
  const auto own_rows =
      row_set::where(data.size(), [&](std::size_t row) { return data.deployment_of(row) == engine; });
  const auto fitted = step_time_model::fit(data, own_rows);
  const auto step_time = fitted.bind<batch>(engine);
  fmt::print("{} on {}, fitted on {} steps\n", engine.architecture.name, engine.hardware.name, fitted.summary().rows);

  // Many times a second: 24 requests decode, a prompt of 4096 tokens waits, no step shall take more than 20 ms.
  batch plan;
  for (int i = 0; i < 24; ++i) plan.requests.push_back(request::decoding(200.0 + 37.0 * i));
  plan.requests.push_back(request::prefilling(0));
  request& chunk = plan.requests.back();
  for (int step = 1, left = 4096; left > 0; ++step) {
    fit_chunk(step_time, plan, chunk, left, 20_ms);
    if (chunk.new_tokens == 0.0) {
      fmt::print("step {}: not even one block fits\n", step);
      return 1;
    }
    // The data are generated, so the truth is known: the law that made them.
    const auto parts = serving_cost::parts.evaluate(plan, engine);
    fmt::print("step {}: {:>3.0f} prompt tokens after {:>4.0f}: {:.2f} ms expected, {:.2f} by the law\n", step,
               chunk.new_tokens, chunk.context_tokens, step_time(plan).value * 1e3,
               std::accumulate(parts.begin(), parts.end(), 0.0) * 1e3);
    left -= static_cast<int>(chunk.new_tokens);
    for (request& one : plan.requests) one.context_tokens += one.new_tokens;
  }
}
