// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "rafter/evaluation/report.hpp"
#include "rafter/evaluation/step_view.hpp"
#include "rafter/metrics/error_summary.hpp"

/// Steps and predictions made up for the tests of diagnoses.
namespace tiny {

/// Seeded steps of two experiments and three models on one device, with all that a view can have.
inline rafter::step_view made_view(std::size_t rows, std::uint64_t seed = 3) {
  using namespace rafter;
  std::mt19937_64 random(seed);
  const auto below = [&](std::size_t n) { return static_cast<std::size_t>(random() % n); };
  step_view view;
  view.source = "made.csv";
  view.rows = rows;
  view.target = "gpu_step_time";
  std::vector<double> prefill, decode, prefills, batch, tokens, kv_sum, kv_mean, flops, bytes;
  group_column models, experiments, measurements;
  for (std::size_t row = 0; row < rows; ++row) {
    const auto decodes = static_cast<double>(below(40)),
               chunk = below(3) == 0 ? static_cast<double>(1 + below(900)) : 0.0;
    const double length = decodes > 0.0 ? static_cast<double>(1 + below(5000)) : 0.0;
    prefill.push_back(chunk);
    decode.push_back(decodes);
    prefills.push_back(chunk > 0.0 ? 1.0 : 0.0);
    batch.push_back(prefills.back() + decodes);
    tokens.push_back(chunk + decodes);
    kv_mean.push_back(length);
    kv_sum.push_back(length * decodes);
    const std::size_t model = below(3);
    flops.push_back(1e9 * static_cast<double>(1 + model) * tokens.back());
    bytes.push_back(1e7 * static_cast<double>(1 + model) + 1e3 * kv_sum.back());
    view.times.push_back(1e-4 + 1e-6 * tokens.back() + 1e-9 * kv_sum.back());
    view.phases.push_back(chunk > 0.0 && decodes > 0.0 ? step_phase::mixed
                          : chunk > 0.0                ? step_phase::pure_prefill
                          : decodes > 0.0              ? step_phase::pure_decode
                                                       : step_phase::idle);
    models.push_back(std::string(1, static_cast<char>('a' + model)));
    experiments.push_back(row < rows / 2 ? "first" : "second");
    measurements.push_back(decodes > 0.0 ? "m" + std::to_string(below(50)) : std::string(no_measurement));
    view.step_ids.push_back(static_cast<double>(row));
    view.deployment.push_back(model);
  }
  view.columns = {{"prefill_tokens", prefill},
                  {"decode_tokens", decode},
                  {"prefill_requests", prefills},
                  {"decode_requests", decode},
                  {"kv_sum", kv_sum},
                  {"kv_mean", kv_mean},
                  {"batch_size", batch},
                  {"scheduled_tokens", tokens},
                  {"flops", flops},
                  {"bytes", bytes}};
  view.groups[static_cast<std::size_t>(group::model)] = models;
  view.groups[static_cast<std::size_t>(group::experiment)] = experiments;
  view.groups[static_cast<std::size_t>(group::decode_attention_measurement)] = measurements;
  view.peak_flops = {1e15, 1e15, 1e15};
  view.hbm_bandwidth = {3e12, 3e12, 3e12};
  view.device = {"h100", "h100", "h100"};
  return view;
}

/// One fold's result with predictions of the given rows.
inline rafter::fold_result fold_with(std::string held_out, std::vector<std::size_t> rows, std::vector<double> actual,
                                     std::vector<double> predicted) {
  rafter::fold_result made;
  made.held_out = std::move(held_out);
  made.rows = rows.size();
  made.errors = rafter::summarize_errors(actual, predicted);
  made.predictions = {rafter::row_set::of(std::move(rows)), std::move(actual), std::move(predicted)};
  return made;
}

/// A predictor that holds the models out in turn and errs by `error(row)`.
template <class Error>
rafter::predictor_result made_result(std::string name, const rafter::step_view& view, Error error) {
  rafter::predictor_result made;
  made.predictor = std::move(name);
  const rafter::group_column& models = *view.labels(rafter::group::model);
  for (std::uint32_t code = 0; code < models.count(); ++code) {
    std::vector<std::size_t> rows = models.rows_of(code).to_vector();
    std::vector<double> actual, predicted;
    for (const std::size_t row : rows) {
      actual.push_back(view.times[row]);
      predicted.push_back(view.times[row] * (1.0 + error(row)));
    }
    made.folds.push_back(fold_with(models.names()[code], std::move(rows), std::move(actual), std::move(predicted)));
  }
  return made;
}

/// Seeded relative errors, one a row.
inline std::vector<double> made_errors(std::size_t rows, std::uint64_t seed, double size = 0.3) {
  std::mt19937_64 random(seed);
  std::normal_distribution<double> normal(0.0, size);
  std::vector<double> made;
  for (std::size_t row = 0; row < rows; ++row) made.push_back(std::exp(normal(random)) - 1.0);
  return made;
}

/// The first block of a kind, or null.
template <class Block> const Block* first_block(const rafter::report_section& section) {
  for (const rafter::section_block& one : section.blocks) {
    if (const Block* found = std::get_if<Block>(&one)) return found;
  }
  return nullptr;
}

}  // namespace tiny
