// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rafter/analytical/pool_state.hpp"
#include "rafter/analytical/step_operations.hpp"
#include "rafter/estimator/estimator.hpp"
#include "rafter/expression/availability.hpp"
#include "rafter/feature/feature_set.hpp"
#include "rafter/solver/non_negative_least_squares.hpp"
#include "rafter/step/columns.hpp"
#include "rafter/units/quantity.hpp"

/// The way of profiling-based simulators: a step is the sum of its operations, each looked up where it was measured.
/// Sources: Agrawal et al. 2024, "Vidur: a large-scale simulation framework for LLM inference", MLSys; NVIDIA,
/// aiconfigurator.
namespace rafter {

/// What a per-operation model is made of.
struct per_op_options {
  bool overhead = true;       ///< fits a time per step and one per request, both >= 0, to what the operations leave
  bool factor = false;        ///< fits, with the overhead, one factor >= 0 on the operations' sum
  bool all_reduce = true;     ///< counts two all-reduces per layer where tp > 1
  bool elementwise = true;    ///< counts them where the step's time does and the table is not empty
  bool scale_devices = true;  ///< other devices than the tables' by wave scaling; else they are refused
};

namespace detail {

/// How steps of a kind say what decides their operations. Query–key pairs of prompts: from lists or a column, else of
/// prompts of the mean length without past KV. Entries that decode requests attend to: from lists or a column, else
/// those in use in the engine's pool, which the prompts of the step hold their share of.
template <class Binding> struct step_inputs {
  static constexpr bool has_pairs = first_missing<prefill_attention_pairs_t, Binding>().empty();
  static constexpr bool has_kv = first_missing<kv_sum_t, Binding>().empty();

  static constexpr auto pairs() {
    if constexpr (has_pairs) {
      return prefill_attention_pairs;
    } else {
      return prefill_tokens;
    }
  }
  static constexpr auto kv() {
    if constexpr (has_kv) {
      return kv_sum;
    } else {
      return analytical::kv_block_tokens * (kv_blocks_total - kv_blocks_free);
    }
  }
  template <fixed_string Name, class E> using named = feature<Name, std::remove_cvref_t<E>>;
  using set =
      feature_set<named<"prefill_tokens", prefill_tokens_t>, named<"decode_tokens", decode_tokens_t>,
                  named<"prefill_requests", prefill_requests_t>, named<"decode_requests", decode_requests_t>,
                  named<"elementwise_counted", elementwise_counted_t>, named<"gemm_in_waves", gemm_in_waves_t>,
                  named<"pairs", decltype(pairs())>, named<"kv", decltype(kv())>>;

  static step_shape shape_of(const std::array<double, set::size>& from) {
    const auto [prefilling, decoding, prompts, decodes, counted, waves, pairs, kv] = from;
    step_shape step;
    step.tokens = prefilling + decoding;
    step.prompts = prompts;
    step.decodes = decodes;
    step.elementwise = counted > 0.0;
    step.in_waves = waves > 0.0;
    if (prompts > 0.0) step.prompt_length = has_pairs ? prompt_length_of(pairs, prompts) : prefilling / prompts;
    // A decode request attends to itself at least.
    if (decodes > 0.0) step.kv_length = std::max(kv / (has_kv ? decodes : decodes + prompts), 1.0);
    return step;
  }
};

/// Calls `visit(row, shape, deployment)` for the rows in order.
template <class Schema, class Visit>
RAFTER_COLD void for_each_step(const dataset<Schema>& data, const row_set& rows, Visit visit) {
  using binding = dataset_binding<Schema>;
  using inputs = step_inputs<binding>;
  using set = typename inputs::set;
  set::template require_on<binding>();
  if constexpr (set::template evaluable<binding>) {
    const column_evaluation<typename set::template plan_for<binding>, Schema> evaluation(data, rows);
    std::array<std::array<double, set::size>, pack_width> lanes{};
    evaluation.for_each_run(rows, [&](const auto& slots, row_range range, std::size_t deployment) {
      for (std::size_t row = range.begin; row < range.end; row += pack_width) {
        evaluation.template rows<pack>(slots, row, [&](auto index, pack value) {
          for (std::size_t lane = 0; lane < pack_width; ++lane) {
            lanes[lane][static_cast<std::size_t>(decltype(index)::value)] = value[lane];
          }
        });
        const std::size_t count = std::min(pack_width, range.end - row);
        for (std::size_t lane = 0; lane < count; ++lane) {
          visit(row + lane, inputs::shape_of(lanes[lane]), data.deployment(deployment));
        }
      }
    });
  }
}

/// "steps.csv:12", or "steps.csv, row 12" of data that is not from a text.
template <class Schema> std::string place_of(const dataset<Schema>& data, std::size_t row) {
  const std::size_t line = data.line(row);
  return data.source() + (line > 0 ? ":" + std::to_string(line) : ", row " + std::to_string(row + 1));
}

/// What is fitted beside the operations.
struct step_overhead {
  double per_step = 0.0;     ///< [s]
  double per_request = 0.0;  ///< [s]
  double factor = 1.0;       ///< on the operations
  double total(double operations, const step_shape& step) const {
    return factor * operations + per_step + per_request * (step.prompts + step.decodes);
  }
};

/// The overhead >= 0, and the factor >= 0 if there is one, that make the squared relative errors smallest.
inline step_overhead fit_overhead(const std::vector<double>& requests, const std::vector<double>& operations,
                                  const std::vector<double>& target, bool with_factor) {
  const std::size_t rows = target.size(), columns = with_factor ? 3 : 2;
  std::vector<double> x(columns * rows), y(rows);
  for (std::size_t i = 0; i < rows; ++i) {
    x[i] = 1.0 / target[i];
    x[rows + i] = requests[i] / target[i];
    if (with_factor) x[2 * rows + i] = operations[i] / target[i];
    y[i] = with_factor ? 1.0 : 1.0 - operations[i] / target[i];
  }
  const array_design design(rows, columns, x.data(), y.data());
  const linear_solution solved =
      non_negative_least_squares{.intercept = false}.solve(normal_equations::of(design), &design);
  return {solved.coefficients[0], solved.coefficients[1], with_factor ? solved.coefficients[2] : 1.0};
}
inline std::string microseconds_text(double time) { return number_text(std::round(time * 1e9) / 1e3) + " us"; }

}  // namespace detail

/// A step as the sum of its operations and an overhead.
template <class Tables, per_op_options Options> class per_op_predictor {
 public:
  per_op_predictor(const operation_tables& tables, std::size_t rows) : tables_(&tables), rows_(rows) {}

  /// Fitted, or 0 [s].
  double overhead_per_step() const { return overhead_.per_step; }
  double overhead_per_request() const { return overhead_.per_request; }
  /// On the operations: fitted, or 1.
  double factor() const { return overhead_.factor; }

  fit_summary summary() const {
    const std::size_t parameters = Options.factor ? 3 : Options.overhead ? 2 : 0;
    std::string status = "tables of " + tables_->device.name;
    if (Options.overhead || Options.factor) {
      status += "; overhead " + detail::microseconds_text(overhead_.per_step) + " a step, " +
                detail::microseconds_text(overhead_.per_request) + " a request";
    }
    if (Options.factor) status += ", operations * " + detail::number_text(std::round(overhead_.factor * 1e4) / 1e4);
    if (Options.elementwise && tables_->elementwise.empty()) status += "; no elementwise kernels measured";
    return {.rows = rows_, .parameters = parameters, .identifiable = parameters, .status = std::move(status)};
  }

  /// @throws fit_error naming the row and the operation that the tables have nothing to say of
  template <class Schema>
  void predict(const dataset<Schema>& data, const row_set& rows, std::span<double> out) const {
    std::size_t at = 0;
    detail::for_each_step(data, rows, [&](std::size_t row, const step_shape& step, const deployment& runs) {
      out[at++] = overhead_.total(operations_of(data, row, step, runs), step);
    });
  }
  /// Not a number where the tables have nothing to say. Does not allocate.
  template <class Record> seconds predict(const Record& record, const deployment& runs) const {
    using inputs = detail::step_inputs<detail::record_binding<deployment, Record>>;
    const step_shape step = inputs::shape_of(inputs::set::evaluate(record, runs));
    return seconds{overhead_.total(step_operations(*tables_, runs, step, choice).sum(), step)};
  }
  /// The parts of one step of a dataset. @throws fit_error as `predict`
  template <class Schema> operation_times parts(const dataset<Schema>& data, std::size_t row) const {
    operation_times found;
    detail::for_each_step(data, row_set::of({row}), [&](std::size_t, const step_shape& step, const deployment& runs) {
      found = step_operations(*tables_, runs, step, choice);
    });
    return found;
  }

  /// Learns the overhead, and the factor if there is one.
  template <class Schema> void fit(const dataset<Schema>& data, const row_set& rows) {
    const auto target = data.target();
    std::vector<double> requests, operations, times;
    detail::for_each_step(data, rows, [&](std::size_t row, const step_shape& step, const deployment& runs) {
      requests.push_back(step.prompts + step.decodes);
      operations.push_back(operations_of(data, row, step, runs));
      times.push_back(target[row]);
    });
    overhead_ = detail::fit_overhead(requests, operations, times, Options.factor);
  }

 private:
  static constexpr operation_choice choice{
      .all_reduce = Options.all_reduce, .elementwise = Options.elementwise, .scale_devices = Options.scale_devices};

  template <class Schema>
  double operations_of(const dataset<Schema>& data, std::size_t row, const step_shape& step,
                       const deployment& runs) const {
    const double sum = step_operations(*tables_, runs, step, choice).sum();
    if (sum == sum) [[likely]]
      return sum;
    std::string missing;
    step_operations(*tables_, runs, step, choice, &missing);
    throw fit_error(detail::place_of(data, row) + ": " + runs.architecture.name + " on " + runs.hardware.name +
                    ": the tables of " + tables_->device.name + " do not give " + missing);
  }

  const operation_tables* tables_;
  std::size_t rows_;
  detail::step_overhead overhead_;
};

/// Per-operation tables that the program owns, and an overhead. `Tables` names them:
///
///   struct h100_tables {
///     static constexpr std::string_view name = "aiconfigurator, H100";
///     static const operation_tables& tables() {
///       static const operation_tables made(read_aiconfigurator_folder(folder), record_of<h100_sxm>(),
///                                          beyond_measured::roofline_scaled);
///       return made;
///     }
///   };
///   using simulator = per_op<h100_tables>;
///
/// Where a step lists its requests, prompts become the uniform batch of as many prompts with as many query–key pairs,
/// and decode requests the batch of their mean KV length: both exact for uniform batches. Nothing of the tables is
/// fitted.
template <class Tables, per_op_options Options = per_op_options{}> struct per_op {
  static std::string name() {
    return "operations measured one by one (" + std::string(Tables::name) + ")" +
           (Options.factor     ? " times a fitted factor, and a fitted overhead >= 0 per step and request"
            : Options.overhead ? " and a fitted overhead >= 0 per step and request"
                               : "");
  }
  static constexpr std::string_view reads_identity(group) { return {}; }
  static constexpr bool fitted_per(group) { return false; }
  template <class Schema> static constexpr std::string_view missing_on() {
    using binding = detail::dataset_binding<Schema>;
    return detail::step_inputs<binding>::set::template missing_on<binding>();
  }

  /// @throws fit_error where the tables cannot be had, and naming the row and the operation that they do not give
  template <class Schema>
  static per_op_predictor<Tables, Options> fit(const dataset<Schema>& data, const row_set& rows) {
    if (rows.empty()) throw fit_error("no rows to fit on");
    per_op_predictor<Tables, Options> fitted(tables(), rows.size());
    if constexpr (Options.overhead || Options.factor) fitted.fit(data, rows);
    return fitted;
  }

 private:
  static const operation_tables& tables() {
    try {
      return Tables::tables();
    } catch (const fit_error&) {
      throw;
    } catch (const error& absent) {
      throw fit_error(std::string("no tables of operations: ") + absent.what());
    }
  }
};

/// Operations measured in the training steps themselves: what `per_op_fitted` learned.
class per_op_fitted_predictor {
 public:
  /// The parts of the steps of one device.
  struct device_tables {
    accelerator_record device;
    operation_table<operations::layer_products> products;
    operation_table<operations::prompt_attention> prompt_attention;
    operation_table<operations::decode_attention> decode_attention;
    operation_table<operations::elementwise> elementwise;
  };

  const std::vector<device_tables>& devices() const { return devices_; }
  fit_summary summary() const {
    std::size_t points = 0;
    for (const device_tables& one : devices_) {
      points +=
          one.products.size() + one.prompt_attention.size() + one.decode_attention.size() + one.elementwise.size();
    }
    return {
        .rows = rows_, .parameters = points, .identifiable = points, .status = "every parameter is a measured time"};
  }

  /// @throws fit_error naming a row of which training said nothing: no step had such an operation
  template <class Schema>
  void predict(const dataset<Schema>& data, const row_set& rows, std::span<double> out) const {
    std::size_t at = 0;
    detail::for_each_step(data, rows, [&](std::size_t row, const step_shape& step, const deployment& runs) {
      const double time = parts(step, runs).sum();
      if (!(time == time)) {
        throw fit_error(detail::place_of(data, row) + ": " + runs.architecture.name + " on " + runs.hardware.name +
                        ": no training step had an operation that this one has");
      }
      out[at++] = time;
    });
  }
  template <class Record> seconds predict(const Record& record, const deployment& runs) const {
    using inputs = detail::step_inputs<detail::record_binding<deployment, Record>>;
    return seconds{parts(inputs::shape_of(inputs::set::evaluate(record, runs)), runs).sum()};
  }

  /// What the parts of a step should take. Of a device that training did not see, the tables of the first device that it
  /// saw, scaled by rooflines; of a GEMM library that it did not see, the products of the other library.
  operation_times parts(const step_shape& step, const deployment& runs) const {
    const device_tables* own = &devices_.front();
    for (const device_tables& one : devices_) {
      if (one.device.name == runs.hardware.name) own = &one;
    }
    const bool same = own->device.name == runs.hardware.name;
    const operation_choice choice;
    const detail::operation_sum sum(runs, choice, same, nullptr);
    const double layers = runs.architecture.layers;
    operation_times times;
    if (step.tokens > 0.0) {
      auto shape = products_shape(runs, step.in_waves);
      double layer = sum.time(own->products, shape, {step.tokens});
      if (!(layer == layer)) {  // no training step used this library
        shape[0] = 1.0 - shape[0];
        layer = sum.time(own->products, shape, {step.tokens});
      }
      times.products = layers * layer;
      if (step.elementwise && !own->elementwise.empty()) {
        times.elementwise = layers * sum.time(own->elementwise, elementwise_shape(runs), {step.tokens});
      }
    }
    const auto attention = attention_shape(runs);
    if (step.prompts > 0.0) {
      times.prompt_attention =
          layers * sum.time(own->prompt_attention, attention, {step.prompts, step.prompt_length});
    }
    if (step.decodes > 0.0) {
      times.decode_attention = layers * sum.time(own->decode_attention, attention, {step.decodes, step.kv_length});
    }
    return times;
  }

  template <class Schema> static per_op_fitted_predictor learn(const dataset<Schema>& data, const row_set& rows) {
    struct points_of_device {
      accelerator_record device;
      std::vector<operation_point<operations::layer_products>> products;
      std::vector<operation_point<operations::prompt_attention>> prompt_attention;
      std::vector<operation_point<operations::decode_attention>> decode_attention;
      std::vector<operation_point<operations::elementwise>> elementwise;
    };
    std::vector<points_of_device> found;
    const auto gemm = data.column(gemm_time), prompt = data.column(prefill_attention_time);
    const auto decoding = data.column(decode_attention_time), other = data.column(other_time);
    detail::for_each_step(data, rows, [&](std::size_t row, const step_shape& step, const deployment& runs) {
      auto own = std::find_if(found.begin(), found.end(),
                              [&](const points_of_device& one) { return one.device.name == runs.hardware.name; });
      if (own == found.end()) own = found.insert(found.end(), {runs.hardware, {}, {}, {}, {}});
      const double layers = runs.architecture.layers;
      const auto add = [&](auto& to, const auto& shape, const auto& at, double time) {
        if (time > 0.0) to.push_back({shape, at, time / layers});
      };
      using one_coordinate = std::array<double, 1>;
      using two_coordinates = std::array<double, 2>;
      add(own->products, products_shape(runs, step.in_waves), one_coordinate{step.tokens}, gemm[row]);
      add(own->prompt_attention, attention_shape(runs), two_coordinates{step.prompts, step.prompt_length},
          prompt[row]);
      add(own->decode_attention, attention_shape(runs), two_coordinates{step.decodes, step.kv_length}, decoding[row]);
      if (step.elementwise) add(own->elementwise, elementwise_shape(runs), one_coordinate{step.tokens}, other[row]);
    });
    per_op_fitted_predictor fitted;
    fitted.rows_ = rows.size();
    constexpr auto beyond = beyond_measured::roofline_scaled;
    for (const points_of_device& one : found) {
      fitted.devices_.push_back({one.device,
                                 {one.products, one.device, beyond},
                                 {one.prompt_attention, one.device, beyond},
                                 {one.decode_attention, one.device, beyond},
                                 {one.elementwise, one.device, beyond}});
    }
    return fitted;
  }

 private:
  static std::array<double, 9> products_shape(const deployment& runs, bool in_waves) {
    const decoder& a = runs.architecture;
    const double tp = runs.tensor_parallel;
    return {in_waves ? 1.0 : 0.0,
            static_cast<double>(a.hidden),
            a.heads / tp,
            detail::kv_heads_here(runs),
            static_cast<double>(a.head_dim),
            a.intermediate / tp,
            static_cast<double>(a.experts_per_token),
            static_cast<double>(a.experts),
            a.shared_intermediate / tp};
  }
  static std::array<double, 4> attention_shape(const deployment& runs) {
    const decoder& a = runs.architecture;
    return {detail::bits(a.bytes_per_kv), a.heads / runs.tensor_parallel, detail::kv_heads_here(runs),
            static_cast<double>(a.head_dim)};
  }
  static std::array<double, 5> elementwise_shape(const deployment& runs) {
    const decoder& a = runs.architecture;
    const double tp = runs.tensor_parallel;
    return {static_cast<double>(a.hidden), a.heads / tp, detail::kv_heads_here(runs), static_cast<double>(a.head_dim),
            a.intermediate / tp * a.experts_per_token};
  }

  std::size_t rows_ = 0;
  std::vector<device_tables> devices_;
};

/// The same from steps that were split into parts (gemm, prefill attention, decode attention, other): each part of a
/// training step, over the layers, is a measured point of its operation; repeated ones count as their median. A shape
/// that training saw is interpolated, another is scaled by the roofline from the two seen shapes of nearest work
/// (operation_table), and a device that training did not see is scaled by waves. No overhead: such steps are sums of
/// kernels.
struct per_op_fitted {
  static std::string name() {
    return "operations as the parts of the training steps measured them, roofline-scaled beyond; no overhead";
  }
  static constexpr std::string_view reads_identity(group) { return {}; }
  static constexpr bool fitted_per(group) { return false; }
  template <class Schema> static constexpr std::string_view missing_on() {
    using binding = detail::dataset_binding<Schema>;
    return detail::first_name(
        detail::first_missing<gemm_time_t, binding>(), detail::first_missing<prefill_attention_time_t, binding>(),
        detail::first_missing<decode_attention_time_t, binding>(), detail::first_missing<other_time_t, binding>(),
        detail::step_inputs<binding>::set::template missing_on<binding>());
  }

  template <class Schema> static per_op_fitted_predictor fit(const dataset<Schema>& data, const row_set& rows) {
    if (rows.empty()) throw fit_error("no rows to fit on");
    return per_op_fitted_predictor::learn(data, rows);
  }
};

}  // namespace rafter
