// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// opt-in: by name, or all diagnoses with rafter/evaluation/diagnose.hpp.
#pragma once

#include <array>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rafter/config.hpp"
#include "rafter/core/random.hpp"
#include "rafter/evaluation/evaluate.hpp"
#include "rafter/step/dataset.hpp"

/// Datasets of changed steps for `evaluate_on_folds`: more to do, another device. What predictors say of them is kept
/// in the report; `monotonicity_section` and `hardware_sensitivity_section` look at it.
namespace rafter {

struct probe_options {
  std::size_t rows = 4096;  ///< sampled; all where there are no more
  std::uint64_t seed = 1;
};

/// Probes, and what could not be asked or was left as it was: a sentence each, for the report.
template <dataset_schema Schema> struct probe_set {
  std::vector<probe<Schema>> probes;
  std::vector<std::string> notes;
};

/// A seeded sample of rows without repetition.
RAFTER_COLD inline row_set sample_of(const row_set& rows, std::size_t most, std::uint64_t seed) {
  if (rows.size() <= most) return rows;
  std::vector<std::size_t> all = rows.to_vector();
  detail::seeded_numbers random(seed);
  for (std::size_t i = 0; i < most; ++i) std::swap(all[i], all[i + random.below(all.size() - i)]);
  all.resize(most);
  return row_set::of(std::move(all));
}

namespace detail {

template <class Schema, class Leaf> inline constexpr bool has_column = Schema::columns::template has<Leaf>;

/// Is a column known before the step what a list of requests says, or the same for all steps of a deployment?
template <class Leaf> constexpr bool follows_from_lists() {
  if constexpr (Leaf::provenance_v != provenance::known_before_step) return true;
  if constexpr (has_definition<Leaf>) return true;
  return false;
}

/// Rows with a probe's request made of them; those that it does not concern are left out.
template <class Schema, class Concerns, class Change>
void add_list_probe(probe_set<Schema>& to, const dataset<Schema>& data, const row_set& rows, std::string name,
                    Concerns concerns, Change change) {
  std::vector<std::size_t> concerned;
  rows.for_each([&](std::size_t row) {
    for (const request& one : data.requests(row)) {
      if (!concerns(one)) continue;
      concerned.push_back(row);
      break;
    }
  });
  if (concerned.empty()) {
    to.notes.push_back("'" + name + "' concerns no sampled step");
    return;
  }
  const row_set of = row_set::of(std::move(concerned));
  to.probes.push_back({std::move(name),
                       data.keep(of).with_requests([&](std::size_t, std::vector<request>& list) { change(list); }),
                       of});
}

/// One more of a column; the sum as a vector.
template <class Leaf, class Schema> std::vector<double> more_of(const dataset<Schema>& data, double more) {
  const auto values = data.template column<Leaf>();
  std::vector<double> made(values.begin(), values.end());
  for (double& value : made) value += more;
  return made;
}

/// The columns of aggregated schemas that a probe changes, or may leave alone because the pool's state is one of its
/// own.
constexpr bool aggregated_probe_knows(std::string_view column) {
  constexpr std::array<std::string_view, 11> known{
      "prefill_tokens", "decode_tokens",  "prefill_requests", "decode_requests",     "queue_running", "queue_waiting",
      "kv_usage_ratio", "kv_blocks_free", "kv_blocks_total",  "elementwise_counted", "gemm_in_waves"};
  for (const std::string_view one : known) {
    if (one == column) return true;
  }
  return false;
}

}  // namespace detail

/// Steps with more to do: 16 more tokens of a prompt, a context 16 tokens and a quarter longer, one more decode
/// request (of the mean length of the others). With lists of requests every column that they define follows; without,
/// only where the schema has the counts and no column that would follow in a way it does not say.
/// @param rows  of which some are sampled, e.g. all that some fold tests
template <dataset_schema Schema>
RAFTER_COLD probe_set<Schema> load_probes(const dataset<Schema>& data, const row_set& rows,
                                          const probe_options& options = {}) {
  probe_set<Schema> made;
  const row_set sample = sample_of(rows, options.rows, options.seed);
  std::string held;  // columns that no list defines
  Schema::columns::each([&]<class Leaf>() {
    if (!detail::follows_from_lists<Leaf>() && Leaf::name != "queue_running") {
      held += (held.empty() ? "" : ", ") + std::string(Leaf::name);
    }
  });
  if constexpr (Schema::lists_requests) {
    const auto prompts = [](const request& one) { return !one.decode; };
    const auto decodes = [](const request& one) { return one.decode; };
    detail::add_list_probe(made, data, sample, "load: 16 more tokens of a prompt", prompts,
                           [](std::vector<request>& list) {
                             for (request& one : list) {
                               if (one.decode) continue;
                               one.new_tokens += 16.0;
                               return;
                             }
                           });
    detail::add_list_probe(made, data, sample, "load: 16 more tokens of context", decodes,
                           [](std::vector<request>& list) {
                             for (request& one : list) one.context_tokens += one.decode ? 16.0 : 0.0;
                           });
    detail::add_list_probe(made, data, sample, "load: a quarter more context", decodes,
                           [](std::vector<request>& list) {
                             for (request& one : list) {
                               if (one.decode) one.context_tokens = std::ceil(1.25 * one.context_tokens);
                             }
                           });
    detail::add_list_probe(made, data, sample, "load: one more decode request", decodes,
                           [](std::vector<request>& list) {
                             double sum = 0.0, count = 0.0;
                             for (const request& one : list) {
                               sum += one.decode ? one.context_tokens : 0.0;
                               count += one.decode ? 1.0 : 0.0;
                             }
                             list.push_back(request::decoding(std::round(sum / count)));
                           });
    if constexpr (detail::has_column<Schema, queue_running_t>) {
      for (probe<Schema>& one : made.probes) {
        if (one.name == "load: one more decode request") {
          one.data = one.data.with_column(queue_running, detail::more_of<queue_running_t>(one.data, 1.0));
        }
      }
    }
  } else {
    made.notes.push_back("more context was not asked for: the schema has no lists of requests");
    std::string unknown;
    Schema::columns::each([&]<class Leaf>() {
      if (Leaf::provenance_v == provenance::known_before_step && !detail::aggregated_probe_knows(Leaf::name)) {
        unknown += (unknown.empty() ? "" : ", ") + std::string(Leaf::name);
      }
    });
    if constexpr (detail::has_column<Schema, prefill_tokens_t> && detail::has_column<Schema, decode_tokens_t> &&
                  detail::has_column<Schema, prefill_requests_t> && detail::has_column<Schema, decode_requests_t>) {
      if (unknown.empty()) {
        const auto among = [&](const auto& counts) {
          std::vector<std::size_t> of;
          sample.for_each([&](std::size_t row) {
            if (counts[row] > 0.0) of.push_back(row);
          });
          return row_set::of(std::move(of));
        };
        if (const row_set of = among(data.column(prefill_requests)); !of.empty()) {
          const dataset<Schema> kept = data.keep(of);
          made.probes.push_back({"load: 16 more tokens of a prompt",
                                 kept.with_column(prefill_tokens, detail::more_of<prefill_tokens_t>(kept, 16.0)),
                                 of});
        }
        if (const row_set of = among(data.column(decode_requests)); !of.empty()) {
          dataset<Schema> kept = data.keep(of);
          kept = kept.with_column(decode_tokens, detail::more_of<decode_tokens_t>(kept, 1.0))
                     .with_column(decode_requests, detail::more_of<decode_requests_t>(kept, 1.0));
          if constexpr (detail::has_column<Schema, queue_running_t>) {
            kept = kept.with_column(queue_running, detail::more_of<queue_running_t>(kept, 1.0));
          }
          made.probes.push_back({"load: one more decode request", std::move(kept), of});
        }
      } else {
        held.clear();
        made.notes.push_back("more load was not asked for: how " + unknown +
                             " would follow, the schema does not say");
      }
    } else {
      held.clear();
      made.notes.push_back("more load was not asked for: the schema does not count tokens and requests");
    }
  }
  if (!held.empty() && !made.probes.empty()) {
    made.notes.push_back("left as it was where a step gets more to do: " + held);
  }
  return made;
}

namespace detail {

/// Deployments whose device has figures that may be changed.
template <class Deployment>
concept has_adjustable_device = requires(Deployment one) {
  { one.hardware.peak_flops } -> std::same_as<peak_table&>;
  { one.hardware.hbm_bandwidth } -> std::same_as<byte_per_second&>;
};

inline peak_table scaled(const peak_table& peaks, double factor) {
  peak_table made;
  for (std::size_t i = 0; i < precision_count; ++i) {
    const auto format = static_cast<precision>(i);
    if (const auto peak = peaks.at(format)) made.set(format, flop_per_second{peak->value * factor});
  }
  return made;
}

}  // namespace detail

/// The same steps on devices whose peak and memory bandwidth, one at a time, are a tenth more and a tenth less.
template <dataset_schema Schema>
RAFTER_COLD probe_set<Schema> hardware_probes(const dataset<Schema>& data, const row_set& rows,
                                              const probe_options& options = {}) {
  probe_set<Schema> made;
  using deployment_type = typename Schema::deployment_type;
  if constexpr (detail::has_adjustable_device<deployment_type>) {
    const row_set sample = sample_of(rows, options.rows, options.seed);
    const dataset<Schema> kept = data.keep(sample);
    for (const double factor : {1.1, 0.9}) {
      const std::string by = factor > 1.0 ? " x1.1" : " x0.9";
      made.probes.push_back({"hardware: peak_flops" + by, kept.with_deployments([&](deployment_type one) {
                               one.hardware.peak_flops = detail::scaled(one.hardware.peak_flops, factor);
                               return one;
                             }),
                             sample});
      made.probes.push_back({"hardware: hbm_bandwidth" + by, kept.with_deployments([&](deployment_type one) {
                               one.hardware.hbm_bandwidth.value *= factor;
                               return one;
                             }),
                             sample});
    }
  } else {
    made.notes.push_back("other hardware was not asked for: the deployments' device has no figures to change");
  }
  return made;
}

}  // namespace rafter
