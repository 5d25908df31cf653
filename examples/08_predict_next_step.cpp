// Inside a scheduler: how much of a prompt fits into the next step? SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>

#include <vector>

#include "examples/data/embedded_steps.hpp"
#include "rafter/estimator/predictors.hpp"
#include "rafter/io/rafter_steps.hpp"

namespace {

using namespace rafter;
using namespace rafter::literals;

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
  // Once: fit, then compute everything that depends on the engine alone. A fitted predictor never changes.
  const auto data = parse_rafter_steps(rafter_data::embedded_steps(), "embedded:steps.csv");
  const auto fitted = predictors::ridge_scale_free::fit(data, row_set::all(data.size()));
  const deployment engine{.architecture = find_decoder("llama-2-7b"), .hardware = find_accelerator("h100")};
  const auto step_time = fitted.bind<batch>(engine);

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
    fmt::print("step {}: {:>4.0f} prompt tokens beside 24 decode requests, {:.2f} ms expected\n", step,
               chunk.new_tokens, step_time(plan).value * 1e3);
    left -= static_cast<int>(chunk.new_tokens);
    for (request& one : plan.requests) one.context_tokens += one.new_tokens;
  }
}
