// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// Several measured targets, one parameter vector.
#include <gtest/gtest.h>

#include <cmath>
#include <cstddef>
#include <random>
#include <string>
#include <vector>

#include "rafter/analytical/deployment.hpp"
#include "rafter/estimator/nonlinear.hpp"

namespace {

using namespace rafter;
using namespace rafter::literals;

struct measured {
  static constexpr std::string_view name = "measured";
  using columns =
      column_list<prefill_tokens_t, decode_tokens_t, gemm_time_t, decode_attention_time_t, gpu_step_time_t>;
  using targets = column_list<gpu_step_time_t>;
  static constexpr bool lists_requests = false;
  using deployment_type = deployment;
};

struct row {
  double prefill, decode, gemm, attention, total;
};
/// 10 us a token of GEMM, 30 us a decode token of attention, each with its own noise; no attention without decodes.
std::vector<row> rows_of(std::size_t count, unsigned seed, double noise) {
  std::mt19937_64 random(seed);
  std::normal_distribution<double> normal;
  std::vector<row> made;
  for (std::size_t i = 0; i < count; ++i) {
    row one{static_cast<double>(1 + random() % 300), i % 3 == 0 ? 0.0 : static_cast<double>(1 + random() % 90), 0, 0,
            0};
    one.gemm = 1e-5 * (one.prefill + one.decode) * std::exp(noise * normal(random));
    one.attention = 3e-5 * one.decode * std::exp(noise * normal(random));
    one.total = (one.gemm + one.attention) * std::exp(noise * normal(random));
    made.push_back(one);
  }
  return made;
}
dataset<measured> data_of(const std::vector<row>& rows) {
  dataset_builder<measured> build("parts.csv");
  build.add_deployment({});
  for (std::size_t i = 0; i < rows.size(); ++i) {
    build.begin_row(0, i + 2).set(prefill_tokens, rows[i].prefill).set(decode_tokens, rows[i].decode);
    build.set(gemm_time, rows[i].gemm)
        .set(decode_attention_time, rows[i].attention)
        .set(gpu_step_time, rows[i].total);
    build.end_row();
  }
  return build.finish();
}

inline constexpr bounded<"gemm", 1e-8_c, 1e-4_c, 1_c, units::second / units::token> gemm{};
inline constexpr bounded<"attention", 1e-8_c, 1e-4_c, 1_c, units::second / units::token> attention{};
inline constexpr auto gemm_model = gemm * (prefill_tokens + decode_tokens);
inline constexpr auto attention_model = attention * decode_tokens;
inline constexpr auto total_model = gemm_model + attention_model;
template <auto Weight = 1_c>
using parts = objective::stacked<objective::log_ratio, objective::part_of_step<gemm_time, gemm_model>,
                                 objective::part_of_step<decode_attention_time, attention_model, Weight>>;

TEST(NonlinearParts, RecoverWhatMadeThem) {
  const auto data = data_of(rows_of(60, 1, 0.0));
  const auto fitted = nonlinear<total_model, parts<>>::fit(data, row_set::all(60));
  EXPECT_NEAR(fitted.parameter("gemm"), 1e-5, 1e-14);
  EXPECT_NEAR(fitted.parameter("attention"), 3e-5, 1e-14);
  EXPECT_EQ((nonlinear<total_model, parts<>>::name()), "2 parameters, log ratio with 2 measured parts, trust region");
}

/// The cost by hand; parts of 0 do not count.
double cost(const std::vector<row>& rows, double g, double a, double weight) {
  double sum = 0;
  const auto add = [&](double model, double time, double w) { sum += 0.5 * w * std::pow(std::log(model / time), 2); };
  for (const row& one : rows) {
    add(g * (one.prefill + one.decode) + a * one.decode, one.total, 1);
    add(g * (one.prefill + one.decode), one.gemm, 1);
    if (one.attention > 0) add(a * one.decode, one.attention, weight);
  }
  return sum;
}
template <auto Weight> void check_minimum(double weight) {
  const auto rows = rows_of(90, 2, 0.3);
  const auto data = data_of(rows);
  using fit_of = nonlinear<total_model, parts<Weight>>;
  const auto fitted = fit_of::fit(data, row_set::all(90));
  const double g = fitted.parameter("gemm"), a = fitted.parameter("attention");
  const double least = cost(rows, g, a, weight);
  EXPECT_NEAR(fitted.solution().cost, least, 1e-12 * least);
  for (const double by : {0.9995, 1.0005}) {
    EXPECT_GT(cost(rows, by * g, a, weight), least);
    EXPECT_GT(cost(rows, g, by * a, weight), least);
  }
  // Steps without decodes have no attention to explain: they are no observations of it.
  EXPECT_EQ(fitted.solution().degrees_of_freedom, 90.0 + 90.0 + 60.0 - 2.0);
  const auto problem = fit_of::problem(data, row_set::all(90));
  const double at[] = {g, a};
  EXPECT_LT(check_jacobian(problem.model(), at).worst, 1e-8);
}
TEST(NonlinearParts, CountWithTheirWeightWhereTheyWereMeasured) {
  check_minimum<1_c>(1.0);
  check_minimum<9_c>(9.0);
}
TEST(NonlinearParts, SayMoreThanTheTotalAlone) {
  const auto data = data_of(rows_of(90, 3, 0.3));
  const auto total = nonlinear<total_model>::fit(data, row_set::all(90)).parameters();
  const auto all = nonlinear<total_model, parts<>>::fit(data, row_set::all(90)).parameters();
  for (std::size_t j = 0; j < 2; ++j) EXPECT_LT(all[j].standard_error, 0.7 * total[j].standard_error);
}

// Logs know some times on some rows only.
struct partly_measured {
  static constexpr std::string_view name = "partly_measured";
  using columns = column_list<prefill_tokens_t, decode_tokens_t, gpu_step_time_t, wall_time_t>;
  using targets = column_list<gpu_step_time_t, wall_time_t>;
  static constexpr bool lists_requests = false, partial_targets = true;
  using deployment_type = rafter::deployment;
};
TEST(NonlinearParts, DoNotCountOnRowsThatWereNotMeasured) {
  const auto rows = rows_of(60, 4, 0.2);
  const auto make = [&](auto keep) {
    dataset_builder<partly_measured> build("partly.csv");
    build.add_deployment({});
    for (std::size_t i = 0; i < rows.size(); ++i) {
      build.begin_row(0, i + 2).set(prefill_tokens, rows[i].prefill).set(decode_tokens, rows[i].decode);
      build.set(gpu_step_time, rows[i].total);
      if (keep(i)) build.set(wall_time, 2.0 * rows[i].total);
      build.end_row();
    }
    return build.finish();
  };
  constexpr bounded<"gap", 0.1_c, 1_c, 10_c> gap{};
  using walled = objective::stacked<objective::log_ratio, objective::part_of_step<wall_time, gap * total_model>>;
  const auto fitted =
      nonlinear<total_model, walled>::fit(make([](std::size_t i) { return i % 3 == 1; }), row_set::all(60));
  EXPECT_TRUE(fitted.summary().healthy);
  EXPECT_EQ(fitted.solution().degrees_of_freedom, 60.0 + 20.0 - 3.0);
  // The measured rows' walls are twice the step: the gap answers for the residuals of those rows.
  double logs = 0;
  for (std::size_t i = 1; i < 60; i += 3) {
    const double model = fitted.parameter("gemm") * (rows[i].prefill + rows[i].decode) +
                         fitted.parameter("attention") * rows[i].decode;
    logs += std::log(2.0 * rows[i].total / model) / 20;
  }
  EXPECT_NEAR(std::log(fitted.parameter("gap")), logs, 1e-8);
}

}  // namespace
