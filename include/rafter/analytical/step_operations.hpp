// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <string>

#include "rafter/analytical/deployment.hpp"
#include "rafter/analytical/operation_table.hpp"
#include "rafter/analytical/wave_scaling.hpp"

/// A step as the operations that benchmarks measure: layers × Σ of one layer's, at the step's shape.
namespace rafter {

/// What of a step decides its operations.
struct step_shape {
  double tokens = 0.0;         ///< all that are processed
  double prompts = 0.0;        ///< prefill requests
  double prompt_length = 0.0;  ///< of each: see `prompt_length_of`
  double decodes = 0.0;        ///< decode requests
  double kv_length = 0.0;      ///< mean over them, the new token included
  bool elementwise = true;     ///< does the time count the elementwise kernels?
  bool in_waves = false;       ///< do the products come from a library whose time moves in waves of tiles?
};

/// The length of each of `prompts` prompts of one length, without past KV, that have this many query–key pairs
/// together: a ragged or chunked batch becomes the uniform one of equal arithmetic, and a uniform one itself,
/// exactly.
inline double prompt_length_of(double pairs, double prompts) {
  return prompts > 0.0 ? (std::sqrt(1.0 + 8.0 * (pairs / prompts)) - 1.0) / 2.0 : 0.0;
}

/// Seconds of each part of a step on one rank, over all layers. Not a number: a table had nothing to say.
struct operation_times {
  double products = 0.0;  ///< the experts' included
  double experts = 0.0;   ///< what of it is theirs
  double prompt_attention = 0.0;
  double decode_attention = 0.0;
  double elementwise = 0.0;
  double all_reduce = 0.0;
  double sum() const { return products + prompt_attention + decode_attention + elementwise + all_reduce; }
};

/// What is summed.
struct operation_choice {
  bool all_reduce = true;   ///< two per layer, where tp > 1
  bool elementwise = true;  ///< where the step's time counts it and the table is not empty
  /// Tables of another device than the deployment's are scaled by waves; else all is not a number there.
  bool scale_devices = true;
  double routing = 0.0;  ///< of tokens over experts: 0 balanced, 1 and 2 skewed (io/kernel_tables.hpp)
};

namespace detail {

/// KV heads on a rank: at least one, copied where there are more ranks than heads.
inline double kv_heads_here(const deployment& runs) {
  return std::max(runs.architecture.kv_heads / runs.tensor_parallel, 1.0);
}
inline double bits(double bytes) { return bytes * 8.0; }

/// Sums lookups, and remembers the first that a table had nothing to say of.
class operation_sum {
 public:
  operation_sum(const deployment& runs, const operation_choice& choice, bool same_device, std::string* missing)
      : runs_(runs), choice_(choice), same_device_(same_device), missing_(missing) {}

  template <class Operation>
  double time(const operation_table<Operation>& table, const typename operation_table<Operation>::shape_type& shape,
              const typename operation_table<Operation>::coordinates_type& at) const {
    double seconds = table.seconds(shape, at);
    if (!same_device_) {
      seconds = choice_.scale_devices
                    ? scaled_to_device(seconds, Operation::work(shape, at), table.device(), runs_.hardware)
                    : not_a_number;
    }
    if (missing_ != nullptr && missing_->empty() && !(seconds == seconds)) {
      *missing_ = operation_table<Operation>::describe(shape, at);
    }
    return seconds;
  }

 private:
  const deployment& runs_;
  const operation_choice& choice_;
  bool same_device_;
  std::string* missing_;
};

}  // namespace detail

/// The operations of a step. Products: QKV, O, gate and up as one (as two of half the width where that alone was
/// measured), down; for a mixture of experts QKV, O, the router where it was measured, the fused experts spread over
/// tp ranks by width, and a shared expert's two.
/// @param missing  if given, receives the first lookup that is not a number (this may allocate)
inline operation_times step_operations(const operation_tables& tables, const deployment& runs, const step_shape& step,
                                       const operation_choice& choice = {}, std::string* missing = nullptr) {
  const decoder& a = runs.architecture;
  const detail::operation_sum sum(runs, choice, tables.device.name == runs.hardware.name, missing);
  const double tp = runs.tensor_parallel, layers = a.layers, d = a.hidden, h = a.head_dim, m = step.tokens;
  const double heads = a.heads / tp, kv_heads = detail::kv_heads_here(runs), width = a.intermediate / tp;
  const double weight_bits = detail::bits(a.bytes_per_weight), kv_bits = detail::bits(a.bytes_per_kv);
  operation_times times;
  if (m > 0.0) {
    const auto product = [&](double n, double k) { return sum.time(tables.products, {weight_bits, n, k}, {m}); };
    const auto gate_and_up = [&](double f) {
      const bool halves =
          !tables.products.measured({weight_bits, 2.0 * f, d}) && tables.products.measured({weight_bits, f, d});
      return halves ? 2.0 * product(f, d) : product(2.0 * f, d);
    };
    double layer = product((heads + 2.0 * kv_heads) * h, d) + product(d, heads * h);
    if (a.experts == 1) {
      layer += gate_and_up(width) + product(d, width);
    } else {
      const double experts = a.experts;
      const double fused = sum.time(
          tables.experts,
          {weight_bits, choice.routing, d, width, static_cast<double>(a.experts_per_token), experts, experts}, {m});
      if (tables.products.measured({weight_bits, experts, d})) layer += product(experts, d);
      if (a.shared_intermediate > 0)
        layer += gate_and_up(a.shared_intermediate / tp) + product(d, a.shared_intermediate / tp);
      times.experts = layers * fused;
      layer += fused;
    }
    times.products = layers * layer;
    if (choice.elementwise && step.elementwise && !tables.elementwise.empty()) {
      times.elementwise =
          layers * sum.time(tables.elementwise, {d, heads, kv_heads, h, width * a.experts_per_token}, {m});
    }
    if (choice.all_reduce && tp > 1.0) {
      times.all_reduce = 2.0 * layers * sum.time(tables.all_reduce, {tp}, {m * d * a.bytes_per_activation});
    }
  }
  if (step.prompts > 0.0) {
    times.prompt_attention =
        layers * sum.time(tables.prompt_attention, {kv_bits, heads, kv_heads, h}, {step.prompts, step.prompt_length});
  }
  if (step.decodes > 0.0) {
    times.decode_attention =
        layers * sum.time(tables.decode_attention, {kv_bits, heads, kv_heads, h}, {step.decodes, step.kv_length});
  }
  return times;
}

}  // namespace rafter
