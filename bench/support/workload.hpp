// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "rafter/analytical/deployment.hpp"
#include "rafter/analytical/work.hpp"
#include "rafter/architecture/catalog/codellama.hpp"
#include "rafter/architecture/catalog/llama2.hpp"
#include "rafter/architecture/catalog/mixtral.hpp"
#include "rafter/core/math.hpp"
#include "rafter/hardware/h100.hpp"
#include "rafter/step/dataset.hpp"

/// The reference workload: made here from a seed, nothing is read.
namespace bench {

/// Steps with lists of requests; every aggregate of them is a column, reduced once when the dataset is built.
struct reference_schema {
  static constexpr std::string_view name = "reference";
  using columns =
      rafter::column_list<rafter::prefill_tokens_t, rafter::decode_tokens_t, rafter::prefill_requests_t,
                          rafter::decode_requests_t, rafter::kv_sum_t, rafter::kv_mean_t, rafter::kv_max_t,
                          rafter::kv_min_t, rafter::kv_deviation_t, rafter::prefill_attention_pairs_t,
                          rafter::prefill_kv_sum_t, rafter::gpu_step_time_t>;
  using targets = rafter::column_list<rafter::gpu_step_time_t>;
  static constexpr bool lists_requests = true;
  using deployment_type = rafter::deployment;
};
using reference_data = rafter::dataset<reference_schema>;

/// A step as a serving loop would hand it over, aggregates kept up to date by the scheduler.
struct aggregate_record {
  double prefill_tokens, decode_tokens, prefill_requests, decode_requests;
  double kv_sum, kv_mean, kv_max, kv_min, kv_deviation;
  double prefill_attention_pairs, prefill_kv_sum;
};
/// The same with the KV lengths of its decode requests instead of what is known of them.
struct listed_record {
  double prefill_tokens, decode_tokens, prefill_requests, decode_requests;
  double prefill_attention_pairs, prefill_kv_sum;
  std::span<const double> kv_lengths;
};

/// splitmix64 (Steele, Lea and Flood 2014): the same numbers on every standard library.
class random_numbers {
 public:
  explicit random_numbers(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next() {
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  /// In [0, 1).
  double uniform() { return static_cast<double>(next() >> 11) * 0x1p-53; }
  /// In [low, high], whole.
  double whole(double low, double high) { return std::floor(low + uniform() * (high - low + 1.0)); }
  /// Sum of twelve uniforms: variance 1, and the same bits everywhere.
  double normal() {
    double sum = -6.0;
    for (int i = 0; i < 12; ++i) sum += uniform();
    return sum;
  }

 private:
  std::uint64_t state_;
};

struct traffic {
  const char* name;
  double batch;  ///< decode requests that the scheduler aims at
  double prompt_low, prompt_high;
  double output;  ///< mean output length
};

inline constexpr std::size_t reference_rows = 122'752;
inline constexpr std::size_t models = 4;
inline constexpr std::array<traffic, 4> workloads{{{"chat", 30.0, 32.0, 1024.0, 180.0},
                                                   {"code", 26.0, 256.0, 4096.0, 90.0},
                                                   {"summarise", 38.0, 1024.0, 8192.0, 120.0},
                                                   {"batch", 54.0, 64.0, 512.0, 250.0}}};
inline constexpr std::size_t groups = models * workloads.size();

inline std::array<rafter::deployment, models> reference_deployments() {
  const rafter::accelerator_record device = rafter::record_of<rafter::h100_sxm>();
  return {rafter::deployment{rafter::decoder_of<rafter::llama2_7b>(), device, 1.0, rafter::precision::bf16, 1.0},
          rafter::deployment{rafter::decoder_of<rafter::codellama_34b>(), device, 2.0, rafter::precision::bf16, 0.0},
          rafter::deployment{rafter::decoder_of<rafter::llama2_70b>(), device, 4.0, rafter::precision::bf16, 2.0},
          rafter::deployment{rafter::decoder_of<rafter::mixtral_8x7b>(), device, 2.0, rafter::precision::bf16, 3.0}};
}

/// What the requests of a step come to.
struct step_totals {
  double tokens = 0.0;
  double prefill_pairs = 0.0;  ///< (new token, token it attends to) of the prefill requests
  double kv_entries = 0.0;     ///< that the decode requests read
};

/// How long such a step may take: each part bound by arithmetic or by memory, at plausible fractions of the peak and of
/// the bandwidth. All tokens share one pass over the weights, of experts those that they are expected to touch.
inline double rough_time(const rafter::deployment& engine, const step_totals& step) {
  const rafter::decoder& a = engine.architecture;
  const double peak = rafter::peak_of(engine.hardware, engine.math_precision).value;
  const double bandwidth = engine.hardware.hbm_bandwidth.value;
  const double share = a.layers / engine.tensor_parallel;
  const double attention = 2.0 * a.hidden * (a.heads + a.kv_heads) * a.head_dim;
  const double expert = 3.0 * a.hidden * a.intermediate;
  const double routed = static_cast<double>(a.experts_per_token) / a.experts;
  const double touched =
      routed < 1.0 ? a.experts * (1.0 - rafter::exp(step.tokens * rafter::log1p(-routed))) : a.experts;
  const double flops = 2.0 * share * (attention + expert * a.experts_per_token) * step.tokens;
  const double bytes = share * a.bytes_per_weight * (attention + expert * touched);
  const double prefill = 4.0 * share * a.heads * a.head_dim * step.prefill_pairs;
  const double decode = 2.0 * share * a.kv_heads * a.head_dim * a.bytes_per_kv * step.kv_entries;
  return 200e-6 + std::max(flops / (0.65 * peak), bytes / (0.85 * bandwidth)) + prefill / (0.35 * peak) +
         decode / (0.7 * bandwidth);
}

/// A continuous batch: requests are admitted (one chunk of prompt), decode one token a step, and leave. Four models ×
/// four workloads, workload by workload, so that the deployment changes 16 times. About 35 KV lengths a step.
/// The target is a rough time with 5 % of noise: enough to fit against, no claim on any device. Without contraction
/// the same bits with every compiler and library.
inline reference_data make_reference_data(std::size_t rows = reference_rows, std::uint64_t seed = 1) {
  rafter::dataset_builder<reference_schema> build("reference, seed " + std::to_string(seed));
  const auto deployments = reference_deployments();
  for (const auto& one : deployments) build.add_deployment(one);
  random_numbers random(seed);
  std::size_t line = 0;
  for (std::size_t g = 0; g < groups; ++g) {
    const std::size_t model = g % models;
    const traffic& kind = workloads[g / models];
    const rafter::deployment& engine = deployments[model];
    std::vector<double> contexts;
    while (static_cast<double>(contexts.size()) < 0.9 * kind.batch) {
      contexts.push_back(random.whole(kind.prompt_low, kind.prompt_high + kind.output));
    }
    const std::size_t steps = rows * (g + 1) / groups - rows * g / groups;
    for (std::size_t step = 0; step < steps; ++step) {
      build.begin_row(model, ++line);
      step_totals totals;
      const bool drained = random.uniform() < 0.02;  // a step of prefill alone
      if (!drained) {
        for (double& context : contexts) {
          build.add(rafter::request::decoding(context));
          context += 1.0;
          totals.tokens += 1.0;
          totals.kv_entries += context;
        }
      }
      const auto prefill = [&](double tokens, double past) {
        build.add(rafter::request::prefilling(tokens, past));
        totals.tokens += tokens;
        totals.prefill_pairs += tokens * past + 0.5 * tokens * (tokens + 1.0);
      };
      std::vector<double> admitted;
      while (static_cast<double>(contexts.size() + admitted.size()) < kind.batch && admitted.size() < 3 &&
             (drained || random.uniform() < 0.6)) {
        const double prompt = random.whole(kind.prompt_low, kind.prompt_high);
        const double reused = random.uniform() < 0.25 ? std::floor(0.5 * prompt) : 0.0;
        prefill(prompt - reused, reused);
        admitted.push_back(prompt);
      }
      if (drained && admitted.empty()) {
        prefill(kind.prompt_low, 0.0);
      }
      build.set(rafter::gpu_step_time, rough_time(engine, totals) * rafter::exp(0.05 * random.normal()));
      build.label(rafter::group::model, engine.architecture.name);
      build.label(rafter::group::workload, kind.name);
      build.end_row();
      std::erase_if(contexts, [&](double) { return random.uniform() * kind.output < 1.0; });
      contexts.insert(contexts.end(), admitted.begin(), admitted.end());
    }
  }
  return build.finish();
}

inline aggregate_record aggregates(const reference_data& data, std::size_t row) {
  const auto one = data[row];
  return {one.get(rafter::prefill_tokens),   one.get(rafter::decode_tokens),
          one.get(rafter::prefill_requests), one.get(rafter::decode_requests),
          one.get(rafter::kv_sum),           one.get(rafter::kv_mean),
          one.get(rafter::kv_max),           one.get(rafter::kv_min),
          one.get(rafter::kv_deviation),     one.get(rafter::prefill_attention_pairs),
          one.get(rafter::prefill_kv_sum)};
}

/// The KV lengths of all decode requests, row after row, and where each row's begin.
struct kv_lists {
  std::vector<double> lengths;
  std::vector<std::size_t> begin;
};
inline kv_lists kv_lengths_of(const reference_data& data) {
  kv_lists lists;
  lists.begin.push_back(0);
  for (std::size_t row = 0; row < data.size(); ++row) {
    for (const rafter::request& one : data.requests(row)) {
      if (one.decode) lists.lengths.push_back(one.context_tokens + 1.0);
    }
    lists.begin.push_back(lists.lengths.size());
  }
  return lists;
}
inline listed_record lists(const reference_data& data, const kv_lists& kv, std::size_t row) {
  const auto one = data[row];
  return {one.get(rafter::prefill_tokens),
          one.get(rafter::decode_tokens),
          one.get(rafter::prefill_requests),
          one.get(rafter::decode_requests),
          one.get(rafter::prefill_attention_pairs),
          one.get(rafter::prefill_kv_sum),
          {kv.lengths.data() + kv.begin[row], kv.begin[row + 1] - kv.begin[row]}};
}

/// Everything but one of `count` blocks of consecutive rows, for each block.
inline std::vector<rafter::row_set> leave_block_out(std::size_t rows, std::size_t count) {
  std::vector<rafter::row_set> trainings;
  for (std::size_t k = 0; k < count; ++k) {
    const std::size_t begin = rows * k / count;
    const std::size_t end = rows * (k + 1) / count;
    rafter::row_set all = rafter::row_set::all(begin);
    trainings.push_back(all | rafter::row_set::all(end).complement(rows));
  }
  return trainings;
}
/// Everything but one model, for each model.
inline std::vector<rafter::row_set> leave_model_out(const reference_data& data) {
  std::vector<rafter::row_set> trainings;
  for (std::size_t model = 0; model < models; ++model) {
    rafter::row_set rows;
    for (const rafter::deployment_run& run : data.runs()) {
      if (run.deployment != model) {
        rows = rows |
               (rafter::row_set::all(run.rows.end) & rafter::row_set::all(run.rows.begin).complement(data.size()));
      }
    }
    trainings.push_back(rows);
  }
  return trainings;
}

}  // namespace bench
