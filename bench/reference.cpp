// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
//
// The reference workload, made from a seed, and what the library takes for it, each figure beside the naive or the
// hand-written way of doing the same, in one process, taking turns. Prints JSON.

#include <algorithm>
#include <bit>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "naive/eigen.hpp"
#include "rafter/estimator/linear.hpp"
#include "rafter/estimator/per.hpp"
#include "rafter/solver/boosted_trees.hpp"
#include "rafter/solver/ridge.hpp"
#include "rafter/solver/tree_layout.hpp"
#include "support/hand.hpp"
#include "support/hand_nls.hpp"
#include "support/measure.hpp"
#include "support/plan.hpp"
#include "support/plan_nls.hpp"
#include "support/study30_rows.hpp"
#include "support/workload.hpp"

namespace {

using rafter::pack;
using rafter::pack_width;
using ridge30 = rafter::linear<rafter::catalog::study30, rafter::ridge<1>>;

struct options {
  std::size_t rows = bench::reference_rows;
  std::size_t seed = 1;
  std::size_t repeat = 21;
  std::size_t threads = 1;
  std::string dump;  // a folder for x.npy and y.npy
};

[[noreturn]] void refuse(const std::string& what) {
  std::fprintf(stderr,
               "reference: %s (usage: reference [--rows N] [--seed N] [--repeat N] [--threads N] [--dump FOLDER])\n",
               what.c_str());
  std::exit(2);
}

options parse(int count, char** arguments) {
  options chosen;
  for (int i = 1; i < count; ++i) {
    const std::string_view name = arguments[i];
    if (i + 1 == count) refuse("'" + std::string(name) + "' has no value");
    const std::string_view value = arguments[++i];
    const auto number = [&](std::size_t least) {
      std::size_t parsed = 0;
      const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), parsed);
      if (error != std::errc() || end != value.data() + value.size() || parsed < least) {
        refuse("'" + std::string(value) + "' is no value for " + std::string(name));
      }
      return parsed;
    };
    if (name == "--rows")
      chosen.rows = number(2000);
    else if (name == "--seed")
      chosen.seed = number(0);
    else if (name == "--repeat")
      chosen.repeat = number(1);
    else if (name == "--threads")
      chosen.threads = number(1);
    else if (name == "--dump")
      chosen.dump = value;
    else
      refuse("unknown option '" + std::string(name) + "'");
  }
  return chosen;
}

/// numpy's format 1.0: doubles, column-major.
void write_npy(const std::string& path, const double* values, std::size_t rows, std::size_t columns,
               std::size_t stride) {
  std::string header = "{'descr': '<f8', 'fortran_order': True, 'shape': (" + std::to_string(rows) + ", " +
                       std::to_string(columns) + "), }";
  header.append((64 - (header.size() + 11) % 64) % 64, ' ');
  header += '\n';
  std::ofstream file(path, std::ios::binary);
  const std::size_t length = header.size();
  file.write("\x93NUMPY\x01\x00", 8);
  file.put(static_cast<char>(length & 0xff)).put(static_cast<char>(length >> 8)) << header;
  for (std::size_t k = 0; k < columns; ++k) {
    file.write(reinterpret_cast<const char*>(values + k * stride),
               static_cast<std::streamsize>(rows * sizeof(double)));
  }
  if (!file) refuse("cannot write '" + path + "'");
}

/// Prints one JSON object, members in the order given.
class json_object {
 public:
  void number(const char* name, double value) {
    char text[64];
    std::snprintf(text, sizeof text, "%.6g", value);
    member(name, text);
  }
  void exact(const char* name, double value) {
    char text[64];
    std::snprintf(text, sizeof text, "%.12g", value);
    member(name, text);
  }
  void text(const char* name, const std::string& value) { member(name, '"' + value + '"'); }
  void member(const char* name, const std::string& value) {
    body_ += std::string(body_.empty() ? "" : ",\n") + "  \"" + name + "\": " + value;
  }
  std::string str() const { return "{\n" + body_ + "\n}"; }

 private:
  std::string body_;
};

double largest_relative_difference(const double* a, const double* b, std::size_t count) {
  double largest = 0.0;
  for (std::size_t i = 0; i < count; ++i) {
    const double size = std::max(std::abs(a[i]), std::abs(b[i]));
    if (size > 0.0) largest = std::max(largest, std::abs(a[i] - b[i]) / size);
  }
  return largest;
}

const char* compiler() {
#if defined(__clang__)
  return "clang " __clang_version__;
#else
  return "g++ " __VERSION__;
#endif
}

// -- parametric models ------------------------------------------------------------------------------------------------

struct label_all_but_overhead {
  template <class P> constexpr auto operator()(P parameter) const {
    if constexpr (P::name == "overhead") {
      return parameter;
    } else {
      return rafter::per_label<"model">(parameter);
    }
  }
};
/// A value per model of all parameters, and of all but the overhead, each fitted together.
using roofline9_labelled =
    rafter::nonlinear<rafter::with_parameters_per<"model">(bench::roofline9_model), rafter::objective::log_ratio>;
using roofline9_arrow = rafter::nonlinear<rafter::map_parameters(bench::roofline9_model, label_all_but_overhead{}),
                                          rafter::objective::log_ratio>;
using roofline36 = rafter::per<rafter::group::model, bench::roofline9>;

/// One pass of residual and derivatives: the plan, the hand-written loop, stored matrices.
void nonlinear_passes(const bench::reference_data& data, std::size_t repeat, json_object& extra) {
  const rafter::row_set all = rafter::row_set::all(data.size());
  const std::size_t rows = data.size();
  const std::size_t stride = (rows + 2 * pack_width) / pack_width * pack_width;
  const double per_row = 1.0 / static_cast<double>(rows);
  const bench::hand::columns raw = bench::hand::columns_of(data);
  const std::vector<bench::hand::nls_run> runs = bench::hand::nls_runs_of(data);
  const bench::hand::nls_values at{0.8, 0.6, 1.2, 0.4, 1.1, 0.5, 1.3, 0.5, 1e-3};
  const bench::roofline9_columns evaluation(data, all);
  const rafter::parameter_layout layout(bench::roofline9::facts(), data, all);
  const bench::roofline9_rows fused(data, all, layout);
  constexpr std::size_t n = bench::hand::nls_parameters, columns = bench::hand::nls_columns, packs = 24;
  alignas(64) static double tile[packs * pack_width * columns];
  bench::aligned_doubles x(stride * columns), x_hand(stride * columns);
  double gram[columns * columns], gram_hand[columns * columns], cost = 0.0, gradient[n], hessian[n * n];
  std::vector<double> residual(rows), jacobian(rows * n);
  bench::race race;
  race.enter("plan, tile", [&] { bench::roofline9_to_tiles(evaluation, all, at.data(), tile, packs); });
  race.enter("hand, tile", [&] {
    bench::hand::nls_tiles(raw, runs, at, tile, packs, [&](std::size_t) RAFTER_INLINE_LAMBDA { bench::keep(*tile); });
  });
  race.enter("fused", [&] {
    fused.accumulate(at.data(), {}, cost, gradient, hessian);
    bench::keep(hessian);
  });
  race.enter("hand, fused", [&] {
    bench::hand::nls_pass(raw, runs, at, gram_hand);
    bench::keep(gram_hand);
  });
  race.enter("cost", [&] {
    cost = fused.cost(at.data(), {});
    bench::keep(cost);
  });
  race.enter("materialise, Eigen", [&] {
    bench::roofline9_to_matrix<pack>(evaluation, all, at.data(), x.data(), stride);
    bench::naive::eigen_gram(x.data(), rows, columns, stride, gram);
  });
  race.enter("hand row by row, Eigen", [&] {
    bench::hand::nls_matrix<double>(raw, runs, at, x_hand.data(), stride);
    bench::naive::eigen_gram(x_hand.data(), rows, columns, stride, gram);
  });
  race.run(repeat);
  bench::race numerical;
  numerical.enter("numerical Jacobian", [&] {
    rafter::numerical_jacobian(
        [&](const double* point, double* out) {
          bench::hand::nls_values values;
          std::copy_n(point, n, values.begin());
          bench::hand::nls_residuals(raw, runs, values, out);
        },
        rows, n, at.data(), jacobian.data());
  });
  numerical.run(std::max<std::size_t>(1, repeat / 7));
  bench::roofline9_to_matrix<pack>(evaluation, all, at.data(), x.data(), stride);
  bench::hand::nls_matrix<pack>(raw, runs, at, x_hand.data(), stride);
  std::size_t unequal = 0;
  for (std::size_t k = 0; k < columns; ++k) {
    for (std::size_t row = 0; row < rows; ++row) {
      unequal += std::bit_cast<std::uint64_t>(x.data()[k * stride + row]) !=
                 std::bit_cast<std::uint64_t>(x_hand.data()[k * stride + row]);
    }
  }
  extra.number("nls9_tile_ns_per_row", race.nanoseconds("plan, tile") * per_row);
  extra.number("nls9_tile_hand_ns_per_row", race.nanoseconds("hand, tile") * per_row);
  extra.number("nls9_tile_ratio_to_hand", race.ratio("plan, tile", "hand, tile"));
  extra.number("nls9_values_unequal_to_hand", static_cast<double>(unequal));
  extra.number("nls9_pass_ms", race.milliseconds("fused"));
  extra.number("nls9_pass_ratio_to_hand", race.ratio("fused", "hand, fused"));
  extra.number("nls9_cost_only_ms", race.milliseconds("cost"));
  extra.number("nls9_pass_materialise_eigen_ratio", race.ratio("materialise, Eigen", "fused"));
  extra.number("nls9_pass_row_by_row_eigen_ratio", race.ratio("hand row by row, Eigen", "fused"));
  extra.number("nls9_numerical_jacobian_ms", numerical.milliseconds("numerical Jacobian"));
}

/// Whole fits. @param out  gets the two figures that have a goal, `extra` the rest
void nonlinear_fits(const bench::reference_data& data, std::size_t repeat, json_object& out, json_object& extra) {
  const rafter::row_set all = rafter::row_set::all(data.size());
  const std::vector<rafter::row_set> trainings = bench::leave_model_out(data);
  bench::race race;
  const auto enter = [&]<class Estimator>(const char* name, Estimator) {
    race.enter(name, [&data, &all] {
      auto fitted = Estimator::fit(data, all);
      bench::keep(fitted);
    });
  };
  enter("9", bench::roofline9{});
  enter("36 by model", roofline36{});
  enter("36 together", roofline9_labelled{});
  enter("33 with one overhead", roofline9_arrow{});
  race.enter("9, models left out", [&] {
    for (const rafter::row_set& training : trainings) {
      auto fitted = bench::roofline9::fit(data, training);
      bench::keep(fitted);
    }
  });
  race.run(std::max<std::size_t>(3, repeat / 3));
  const auto nine = bench::roofline9::fit(data, all);
  const auto by_model = roofline36::fit(data, all);
  const auto together = roofline9_labelled::fit(data, all);
  const auto arrow = roofline9_arrow::fit(data, all);
  double cost_by_model = 0.0;
  std::size_t evaluations_by_model = 0;
  for (const auto& [label, part] : by_model.parts()) {
    cost_by_model += part.solution().cost;
    evaluations_by_model += part.solution().evaluations;
  }
  out.number("nls9_fit_ms", race.milliseconds("9"));
  out.number("nls36_fit_ms", race.milliseconds("36 by model"));
  extra.number("nls36_together_fit_ms", race.milliseconds("36 together"));
  extra.number("nls33_arrow_fit_ms", race.milliseconds("33 with one overhead"));
  extra.number("nls9_lomo_fits", race.ratio("9, models left out", "9"));
  extra.number("nls9_evaluations", static_cast<double>(nine.solution().evaluations));
  extra.number("nls9_row_passes", static_cast<double>(nine.solution().row_passes));
  extra.number("nls9_identifiable", static_cast<double>(nine.summary().identifiable));
  extra.exact("nls9_cost", nine.solution().cost);
  extra.number("nls36_evaluations", static_cast<double>(evaluations_by_model));
  extra.exact("nls36_cost", cost_by_model);
  extra.number("nls36_together_evaluations", static_cast<double>(together.solution().evaluations));
  extra.exact("nls36_together_cost", together.solution().cost);
  extra.number("nls33_arrow_evaluations", static_cast<double>(arrow.solution().evaluations));
  extra.exact("nls33_arrow_cost", arrow.solution().cost);

  // What somebody would do without the library: residuals row by row, a numerical Jacobian, Eigen.
  const bench::hand::columns raw = bench::hand::columns_of(data);
  const std::vector<bench::hand::nls_run> runs = bench::hand::nls_runs_of(data);
  const rafter::parameter_layout layout(bench::roofline9::facts(), data, all);
  const rafter::parameter_bounds bounds = layout.bounds();
  bench::race naive;
  bench::naive::fit_result by_eigen;
  naive.enter("Eigen", [&] {
    by_eigen = bench::naive::eigen_levenberg_marquardt(
        [&](const double* point, double* residual) {
          bench::hand::nls_values values;
          std::copy_n(point, values.size(), values.begin());
          bench::hand::nls_residuals(raw, runs, values, residual);
        },
        data.size(), layout.start(), bounds.lower, bounds.upper);
  });
  naive.run(1);
  extra.number("nls9_naive_eigen_fit_ms", naive.milliseconds("Eigen"));
  extra.number("nls9_naive_eigen_residual_passes", static_cast<double>(by_eigen.residual_passes));
  extra.exact("nls9_naive_eigen_cost", by_eigen.cost);
}

/// One step of the fitted nine-parameter model, aggregates given.
void nonlinear_steps(const bench::reference_data& data, const std::vector<bench::aggregate_record>& records,
                     const std::vector<std::size_t>& near, const std::vector<std::size_t>& far, std::size_t calls,
                     std::size_t repeat, json_object& out, json_object& extra) {
  const auto fitted = bench::roofline9::fit(data, rafter::row_set::all(data.size()));
  const rafter::deployment& engine = data.deployment(2);
  const auto bound = fitted.bind<bench::aggregate_record>(engine);
  bench::hand::nls_values values;
  std::copy_n(fitted.solution().parameters.begin(), values.size(), values.begin());
  const bench::hand::nls_bound by_hand = bench::hand::bind_nls(bench::hand::prepare_nls(engine), values);
  bench::race steps;
  const auto each = [&](const char* name, const std::vector<std::size_t>& chosen_rows, auto predict) {
    steps.enter(name, [&chosen_rows, predict, calls] {
      for (std::size_t call = 0; call < calls; ++call) {
        double time = predict(chosen_rows[call % chosen_rows.size()]);
        bench::keep(time);
      }
    });
  };
  each("nothing, hot", near, [&](std::size_t row) { return records[row].prefill_tokens; });
  each("nothing, scattered", far, [&](std::size_t row) { return records[row].prefill_tokens; });
  each("roofline9, hot", near, [&](std::size_t row) { return bound(records[row]).value; });
  each("roofline9, scattered", far, [&](std::size_t row) { return bound(records[row]).value; });
  each("hand, hot", near, [&](std::size_t row) {
    return bench::hand::nls_time<false, double>(bench::hand::columns_of(records[row]), by_hand, 0);
  });
  each("unbound, hot", near, [&](std::size_t row) { return fitted.predict(records[row], engine).value; });
  steps.run(repeat);
  const auto per_call = [&](const char* name, const char* nothing) {
    return (steps.nanoseconds(name) - steps.nanoseconds(nothing)) / static_cast<double>(calls);
  };
  out.number("step_roofline9_ns", per_call("roofline9, hot", "nothing, hot"));
  extra.number("step_roofline9_scattered_ns", per_call("roofline9, scattered", "nothing, scattered"));
  extra.number("step_roofline9_hand_ns", per_call("hand, hot", "nothing, hot"));
  extra.number("step_roofline9_unbound_ns", per_call("unbound, hot", "nothing, hot"));
}

// -- boosted trees -----------------------------------------------------------------------------------------------------

/// Predictions by the layout of an ensemble, one thread: all rows as they stand in memory, doubles column by column, which
/// are binned on the way; and one row after the other, of some thousand drawn at random.
void tree_predictions(const rafter::tree_ensemble& ensemble, const bench::study30_rows& from, std::size_t seed,
                      std::size_t repeat, json_object& out, json_object& extra) {
  constexpr std::size_t features = bench::study30::size, some = 4096;
  const rafter::tree_layout layout(ensemble);
  std::vector<double> batch(from.rows), by_row(some * features);
  bench::random_numbers random(seed + 2);
  for (std::size_t i = 0; i < some; ++i) {
    const std::size_t row = random.next() % from.rows;
    for (std::size_t f = 0; f < features; ++f) by_row[i * features + f] = from.x[f * from.stride + row];
  }
  bench::race race;
  race.enter("batch", [&] {
    layout.predict(from.x.data(), from.stride, from.rows, batch.data());
    bench::keep(batch);
  });
  const auto each = [&](const char* name, auto predict) {
    race.enter(name, [&by_row, predict] {
      for (std::size_t i = 0; i < some; ++i) {
        double value = predict(by_row.data() + i * features);
        bench::keep(value);
      }
    });
  };
  each("nothing", [](const double* row) { return *row; });
  each("row", [&](const double* row) { return layout.predict(row); });
  each("walk", [&](const double* row) { return ensemble.predict(row); });
  race.run(repeat);
  std::size_t unequal = 0;
  std::vector<double> one(features);
  for (std::size_t i = 0; i < from.rows; i += 7) {
    for (std::size_t f = 0; f < features; ++f) one[f] = from.x[f * from.stride + i];
    const double walked = ensemble.predict(one.data());
    unequal += batch[i] != walked || layout.predict(one.data()) != walked;
  }
  const double per_call = 1.0 / static_cast<double>(some), per_row = 1.0 / static_cast<double>(from.rows);
  out.number("trees_batch_ns_per_row", race.nanoseconds("batch") * per_row);
  out.number("trees_row_ns", (race.nanoseconds("row") - race.nanoseconds("nothing")) * per_call);
  extra.number("trees_walk_ns", (race.nanoseconds("walk") - race.nanoseconds("nothing")) * per_call);
  extra.number("trees_predictions_unequal_to_walk", static_cast<double>(unequal));
  extra.number("trees_leaves", static_cast<double>(ensemble.leaves()));
}

/// 200 rounds of depth 6 at rate 0.1 with 256 bins, on the logarithm of the step time; cuts and bins included.
void trees(const bench::reference_data& data, std::size_t seed, std::size_t repeat, std::size_t threads,
           json_object& out, json_object& extra) {
  const bench::study30_rows from(data);
  constexpr std::size_t features = bench::study30::size;
  const rafter::tree_training_data training{{from.x.data(), from.rows, features, from.stride}, from.log_time, {}, {}};
  rafter::boosting_options options;
  options.rounds = 200;
  options.learning_rate = 0.1;
  options.threads = threads;
  rafter::boosted_trees_fit fit;
  std::vector<double> seconds;
  for (std::size_t repetition = 0; repetition < std::max<std::size_t>(1, repeat / 7); ++repetition) {
    const auto began = std::chrono::steady_clock::now();  // the wall clock: the work may be shared by threads
    fit = rafter::fit_boosted_trees(training, rafter::tree_loss::squared(), options);
    seconds.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count());
  }
  std::vector<double> row(features);
  double sum = 0.0;
  for (std::size_t i = 0; i < from.rows; ++i) {
    for (std::size_t f = 0; f < features; ++f) row[f] = from.x[f * from.stride + i];
    sum += std::abs(rafter::exp(fit.ensemble.predict(row.data()) - from.log_time[i]) - 1.0);
  }
  out.number("trees_fit_s", bench::median(seconds));
  extra.number("trees_fit_threads", static_cast<double>(threads));
  extra.number("trees_binning_s", fit.times.binning);
  extra.number("trees_gradients_s", fit.times.gradients);
  extra.number("trees_histograms_s", fit.times.histograms);
  extra.number("trees_partition_s", fit.times.partition);
  extra.number("trees_train_mape", sum / static_cast<double>(from.rows));
  tree_predictions(fit.ensemble, from, seed, repeat, out, extra);
}

}  // namespace

int main(int count, char** arguments) {
  const options chosen = parse(count, arguments);
  const bench::reference_data data = bench::make_reference_data(chosen.rows, chosen.seed);
  const rafter::row_set all = rafter::row_set::all(data.size());
  const std::size_t rows = data.size();
  const double per_row = 1.0 / static_cast<double>(rows);
  const std::size_t stride = (rows + 2 * pack_width) / pack_width * pack_width;
  const double* target = data.column<rafter::gpu_step_time_t>().data();

  bench::aligned_doubles x(stride * bench::study30::size);
  const bench::study30_columns evaluation(data, all);
  const bench::hand::columns raw = bench::hand::columns_of(data);
  const std::vector<bench::hand::run> runs = bench::hand::runs_of(data);
  bench::plan_to_matrix(evaluation, all, x.data(), stride);
  if (!chosen.dump.empty()) {
    write_npy(chosen.dump + "/x.npy", x.data(), rows, bench::study30::size, stride);
    write_npy(chosen.dump + "/y.npy", target, rows, 1, rows);
  }
  json_object out;
  json_object extra;

  // -- features --------------------------------------------------------------------------------------------------
  {
    constexpr std::size_t packs = 8;
    alignas(64) static double tile[packs * pack_width * bench::study30::size];
    bench::race race;
    race.enter("plan, tile", [&] { bench::plan_to_tiles(evaluation, all, tile, packs); });
    race.enter("hand, tile", [&] {
      for (const auto& run : runs) {
        for (std::size_t at = run.begin; at < run.end; at += packs * pack_width) {
          bench::hand::to_tile(raw, run.fixed, at, std::min(run.end, at + packs * pack_width), tile);
          bench::keep(*tile);
        }
      }
    });
    race.enter("plan, matrix", [&] { bench::plan_to_matrix(evaluation, all, x.data(), stride); });
    race.enter("hand, matrix", [&] {
      for (const auto& run : runs) {
        bench::hand::to_matrix<pack>(raw, run.fixed, run.begin, run.end, x.data(), stride);
      }
    });
    race.enter("hand, matrix, row by row", [&] {
      for (const auto& run : runs) {
        bench::hand::to_matrix<double>(raw, run.fixed, run.begin, run.end, x.data(), stride);
      }
    });
    race.run(chosen.repeat);
    double difference = 0.0;
    bench::aligned_doubles x_hand(stride * bench::study30::size);
    for (const auto& run : runs) {
      bench::hand::to_matrix<pack>(raw, run.fixed, run.begin, run.end, x_hand.data(), stride);
    }
    bench::plan_to_matrix(evaluation, all, x.data(), stride);
    for (std::size_t k = 0; k < bench::study30::size; ++k) {
      difference =
          std::max(difference, largest_relative_difference(x.data() + k * stride, x_hand.data() + k * stride, rows));
    }
    out.number("features_ns_per_row", race.nanoseconds("plan, tile") * per_row);
    extra.number("features_hand_tile_ns_per_row", race.nanoseconds("hand, tile") * per_row);
    extra.number("features_tile_ratio_to_hand", race.ratio("plan, tile", "hand, tile"));
    extra.number("features_matrix_ns_per_row", race.nanoseconds("plan, matrix") * per_row);
    extra.number("features_hand_matrix_ns_per_row", race.nanoseconds("hand, matrix") * per_row);
    extra.number("features_hand_row_by_row_ns_per_row", race.nanoseconds("hand, matrix, row by row") * per_row);
    extra.number("features_matrix_ratio_to_hand", race.ratio("plan, matrix", "hand, matrix"));
    extra.number("features_largest_relative_difference_to_hand", difference);
  }

  // -- raw columns to coefficients -----------------------------------------------------------------------------------
  {
    bench::race race;
    bench::hand::ridge_fit by_hand;
    std::vector<double> by_eigen;
    const auto fitted = ridge30::fit(data, all);
    const auto folds = [&](const char* name, const std::vector<rafter::row_set>& trainings) {
      race.enter(name, [&data, trainings] {
        auto predictors = ridge30::fit_each(data, trainings);
        bench::keep(predictors);
      });
    };
    race.enter("fit", [&] {
      auto predictor = ridge30::fit(data, all);
      bench::keep(predictor);
    });
    race.enter("hand", [&] {
      by_hand = bench::hand::fit(raw, runs, 1.0);
      bench::keep(by_hand);
    });
    race.enter("materialise, Eigen", [&] {
      bench::plan_to_matrix(evaluation, all, x.data(), stride);
      by_eigen = bench::naive::eigen_ridge(x.data(), rows, bench::study30::size, stride, target, 1.0);
    });
    folds("by model", bench::leave_model_out(data));
    folds("4 folds", bench::leave_block_out(rows, 4));
    folds("16 folds", bench::leave_block_out(rows, 16));
    folds("1000 folds", bench::leave_block_out(rows, 1000));
    race.run(chosen.repeat);
    std::vector<double> a = fitted.solution().coefficients,
                        b(by_hand.coefficients.begin(), by_hand.coefficients.end());
    a.push_back(fitted.solution().intercept);
    b.push_back(by_hand.intercept);
    out.number("ridge_fit_ms", race.milliseconds("fit"));
    out.number("lomo_ridge_ms", race.milliseconds("by model"));
    extra.number("ridge_hand_ms", race.milliseconds("hand"));
    extra.number("ridge_ratio_to_hand", race.ratio("fit", "hand"));
    extra.number("ridge_materialise_eigen_ms", race.milliseconds("materialise, Eigen"));
    extra.number("ridge_eigen_ratio_to_fit", race.ratio("materialise, Eigen", "fit"));
    extra.number("folds_by_model_fits", race.ratio("by model", "fit"));
    extra.number("folds_4_fits", race.ratio("4 folds", "fit"));
    extra.number("folds_16_fits", race.ratio("16 folds", "fit"));
    extra.number("folds_1000_fits", race.ratio("1000 folds", "fit"));
    extra.number("ridge_coefficients_largest_relative_difference_to_hand",
                 largest_relative_difference(a.data(), b.data(), a.size()));
    extra.number("ridge_coefficients_largest_relative_difference_to_eigen",
                 largest_relative_difference(a.data(), by_eigen.data(), a.size()));

    // -- prediction ------------------------------------------------------------------------------------------------
    bench::race predictions;
    std::vector<double> predicted(rows), predicted_by_hand(rows + pack_width), product(rows);
    predictions.enter("predict", [&] { fitted.predict(data, all, predicted); });
    predictions.enter("hand", [&] {
      for (const auto& run : runs) {
        bench::hand::predict(raw, run.fixed, run.begin, run.end, a.data(), a.back(), predicted_by_hand.data());
      }
    });
    predictions.enter("Eigen, ready X", [&] {
      bench::naive::eigen_predict(x.data(), rows, bench::study30::size, stride, a.data(), a.back(), product.data());
    });
    predictions.enter("materialise, Eigen", [&] {
      bench::plan_to_matrix(evaluation, all, x.data(), stride);
      bench::naive::eigen_predict(x.data(), rows, bench::study30::size, stride, a.data(), a.back(), product.data());
    });
    predictions.run(chosen.repeat);
    extra.number("predict_batch_ns_per_row", predictions.nanoseconds("predict") * per_row);
    extra.number("predict_batch_ratio_to_hand", predictions.ratio("predict", "hand"));
    extra.number("predict_eigen_ready_x_ns_per_row", predictions.nanoseconds("Eigen, ready X") * per_row);
    extra.number("predict_materialise_eigen_ns_per_row", predictions.nanoseconds("materialise, Eigen") * per_row);

    // -- one step -----------------------------------------------------------------------------------------------------
    constexpr std::size_t hot = 32, scattered = 2048, calls = 64 * scattered;
    const bench::kv_lists kv = bench::kv_lengths_of(data);
    bench::random_numbers random(chosen.seed + 1);
    std::vector<bench::aggregate_record> aggregate;
    std::vector<bench::listed_record> listed;
    const rafter::deployment& engine = data.deployment(2);
    for (std::size_t row = 0; row < rows; ++row) {
      aggregate.push_back(bench::aggregates(data, row));
      listed.push_back(bench::lists(data, kv, row));
    }
    std::vector<std::size_t> near(hot), far(scattered);
    for (auto& row : near) row = random.next() % rows;
    for (auto& row : far) row = random.next() % rows;
    const auto bound_aggregate = fitted.bind<bench::aggregate_record>(engine);
    const auto bound_listed = fitted.bind<bench::listed_record>(engine);
    const auto features_of = bench::study30::bind<bench::aggregate_record>(engine);
    const bench::hand::constants fixed = bench::hand::prepare(engine);
    bench::race steps;
    const auto each = [&](const char* name, const std::vector<std::size_t>& chosen_rows, auto predict) {
      steps.enter(name, [&chosen_rows, predict] {
        for (std::size_t call = 0; call < calls; ++call) {
          double time = predict(chosen_rows[call % chosen_rows.size()]);
          bench::keep(time);
        }
      });
    };
    each("nothing, hot", near, [&](std::size_t row) { return aggregate[row].prefill_tokens; });
    each("nothing, scattered", far, [&](std::size_t row) { return aggregate[row].prefill_tokens; });
    each("linear, hot", near, [&](std::size_t row) { return bound_aggregate(aggregate[row]).value; });
    each("linear, scattered", far, [&](std::size_t row) { return bound_aggregate(aggregate[row]).value; });
    each("linear with lists, hot", near, [&](std::size_t row) { return bound_listed(listed[row]).value; });
    each("linear with lists, scattered", far, [&](std::size_t row) { return bound_listed(listed[row]).value; });
    each("features, hot", near, [&](std::size_t row) {
      auto features = features_of(aggregate[row]);
      bench::keep(features);
      return features[0];
    });
    each("unbound, hot", near, [&](std::size_t row) { return fitted.predict(aggregate[row], engine).value; });
    each("hand, hot", near, [&](std::size_t row) {
      const bench::hand::columns at = bench::hand::columns_of(aggregate[row]);
      double partial[4] = {a.back(), 0.0, 0.0, 0.0};
      bench::hand::evaluate<false, double>(
          at, fixed, 0, [&](std::size_t k, double value) RAFTER_INLINE_LAMBDA { partial[k % 4] += a[k] * value; });
      return (partial[0] + partial[1]) + (partial[2] + partial[3]);
    });
    steps.run(chosen.repeat);
    const auto per_call = [&](const char* name) { return steps.nanoseconds(name) / static_cast<double>(calls); };
    out.number("step_linear_ns", per_call("linear, hot") - per_call("nothing, hot"));
    extra.number("step_empty_loop_hot_ns", per_call("nothing, hot"));
    extra.number("step_empty_loop_scattered_ns", per_call("nothing, scattered"));
    extra.number("step_linear_hand_ns", per_call("hand, hot") - per_call("nothing, hot"));
    extra.number("step_linear_scattered_ns", per_call("linear, scattered") - per_call("nothing, scattered"));
    extra.number("step_linear_with_lists_ns", per_call("linear with lists, hot") - per_call("nothing, hot"));
    extra.number("step_linear_with_lists_scattered_ns",
                 per_call("linear with lists, scattered") - per_call("nothing, scattered"));
    extra.number("step_features_ns", per_call("features, hot") - per_call("nothing, hot"));
    extra.number("step_linear_unbound_ns", per_call("unbound, hot") - per_call("nothing, hot"));
    extra.number("kv_lengths_per_step", static_cast<double>(kv.lengths.size()) * per_row);
    nonlinear_steps(data, aggregate, near, far, calls, chosen.repeat, out, extra);
  }
  nonlinear_passes(data, chosen.repeat, extra);
  nonlinear_fits(data, chosen.repeat, out, extra);
  trees(data, chosen.seed, chosen.repeat, chosen.threads, out, extra);

  out.member("not_yet", "[]");
  out.number("rows", static_cast<double>(rows));
  out.number("requests", static_cast<double>(data.total_requests()));
  out.number("groups", static_cast<double>(data.runs().size()));
  out.number("features", static_cast<double>(bench::study30::size));
  out.number("instructions", static_cast<double>(bench::study30_plan::size));
  out.number("threads", 1.0);
  out.number("repeat", static_cast<double>(chosen.repeat));
  out.number("pack_width", static_cast<double>(pack_width));
  out.text("compiler", compiler());
  out.member("extra", extra.str());
  std::printf("%s\n", out.str().c_str());
}
