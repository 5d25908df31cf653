// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/estimator/linear.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <string>
#include <vector>

#include "rafter/solver/ordinary_least_squares.hpp"
#include "rafter/solver/ridge.hpp"
#include "support/engine_steps.hpp"

namespace {

using namespace rafter;
using namespace rafter::literals;
using tiny::engine_step;

constexpr std::size_t width = tiny::mixture_t::size;
struct one_column_t : decltype(feature_set{"decode_tokens"_f = decode_tokens}) {};
inline constexpr one_column_t one_column{};
struct dependent_t : decltype(feature_set{"prefill_tokens"_f = prefill_tokens, "decode_tokens"_f = decode_tokens,
                                          "all_tokens"_f = prefill_tokens + decode_tokens}) {};
inline constexpr dependent_t dependent{};
struct quotients_t : decltype(feature_set{"decode_tokens"_f = decode_tokens, "kv_usage_ratio"_f = kv_usage_ratio,
                                          "per_prefill_token"_f = decode_tokens / prefill_tokens}) {};
inline constexpr quotients_t quotients{};
struct undefined_quotient_t : decltype(feature_set{"share"_f = prefill_tokens / prefill_tokens * decode_tokens}) {};
inline constexpr undefined_quotient_t undefined_quotient{};

using plain = linear<tiny::mixture, ordinary_least_squares>;
using shrunk = linear<tiny::mixture, ridge<1>>;

/// The same rows as plain arrays.
struct materialised {
  std::vector<double> x, y, weight;
  std::size_t rows = 0;
  array_design design(bool weighted = false) const {
    return {rows, width, x.data(), y.data(), weighted ? weight.data() : nullptr};
  }
};
enum class form { time, relative, log };
materialised materialise(const std::vector<engine_step>& steps, const dataset<tiny::aggregated>& data,
                         const row_set& rows, form of) {
  materialised made;
  made.rows = rows.size();
  made.x.resize(width * made.rows);
  std::size_t at = 0;
  rows.for_each([&](std::size_t row) {
    const auto values = tiny::mixture_of(steps[row]);
    for (std::size_t j = 0; j < width; ++j) made.x[j * made.rows + at] = values[j];
    const double time = data.target()[row];
    made.y.push_back(of == form::log ? std::log(time) : time);
    made.weight.push_back(1.0 / (time * time));
    ++at;
  });
  return made;
}

/// Every number of two solutions, relative to the size of what it adds to a prediction.
void expect_same(const linear_solution& a, const linear_solution& b, double tolerance, const std::string& where) {
  ASSERT_EQ(a.coefficients.size(), b.coefficients.size()) << where;
  double scale = std::abs(b.target_mean);
  for (std::size_t j = 0; j < b.coefficients.size(); ++j) {
    scale = std::max(scale, std::abs(b.coefficients[j]) * b.deviation[j]);
  }
  // Where only a small penalty tells dependent columns apart, the sums keep 14 + log10(pivot) digits of the coefficients,
  // and the errors' formula, whatever the path, about twice log10(pivot) fewer.
  const double pivot = b.smallest_pivot > 0.0 ? b.smallest_pivot : 1.0;
  if (b.path == solution_path::gram) tolerance = std::max(tolerance, 1e-14 / pivot);
  const double of_errors = std::max(1e-9, 1e-14 / (pivot * pivot));
  for (std::size_t j = 0; j < b.coefficients.size(); ++j) {
    EXPECT_NEAR(a.coefficients[j] * b.deviation[j], b.coefficients[j] * b.deviation[j], tolerance * scale)
        << where << " column " << j;
    if (std::isfinite(b.standard_errors[j])) {
      EXPECT_NEAR(a.standard_errors[j], b.standard_errors[j], of_errors * b.standard_errors[j])
          << where << " column " << j;
    } else {
      EXPECT_EQ(a.standard_errors[j], b.standard_errors[j]) << where << " column " << j;
    }
  }
  EXPECT_NEAR(a.intercept, b.intercept, 10 * tolerance * (std::abs(b.intercept) + scale)) << where;
  EXPECT_EQ(a.constant_columns, b.constant_columns) << where;
  EXPECT_EQ(a.rank, b.rank) << where;
  EXPECT_EQ(a.rows, b.rows) << where;
}

/// Sets of rows that cut runs, packs and deployments in all the ways there are.
std::vector<row_set> awkward_rows(std::size_t size) {
  std::vector<row_set> sets{row_set::all(size)};
  for (const std::size_t begin : {std::size_t{0}, std::size_t{1}, std::size_t{5}}) {
    for (std::size_t count = 16; count <= 16 + 2 * pack_width + 1; ++count) {
      std::vector<std::size_t> rows;
      for (std::size_t i = 0; i < count; ++i) rows.push_back(begin + i);
      sets.push_back(row_set::of(rows));
    }
  }
  sets.push_back(row_set::where(size, [](std::size_t row) { return row % 3 != 1; }));
  sets.push_back(row_set::where(size, [](std::size_t row) { return row % 29 < 17; }));
  return sets;
}

template <class Objective> void check_against_arrays(form of) {
  const auto steps = tiny::random_engine_steps(700, 11);
  const auto data = tiny::dataset_of(steps, [](const engine_step& s, std::size_t i) {
    return 1e-3 + 2e-5 * s.prefill_tokens + 1e-5 * s.decode_tokens + 1e-4 * static_cast<double>((i * i + 7 * i) % 31);
  });
  for (const row_set& rows : awkward_rows(data.size())) {
    const materialised arrays = materialise(steps, data, rows, of);
    const auto design = arrays.design(of == form::relative);
    const auto sums = normal_equations::of(design);
    const std::string where = std::to_string(rows.size()) + " rows from " + std::to_string(rows.ranges()[0].begin) +
                              " in " + std::to_string(rows.ranges().size()) + " ranges";
    expect_same((linear<tiny::mixture, ridge<1>, Objective>::fit(data, rows).solution()),
                ridge<1>{}.solve(sums, &design), 1e-10, where);
    expect_same((linear<tiny::mixture, ordinary_least_squares, Objective>::fit(data, rows).solution()),
                ordinary_least_squares{}.solve(sums, &design), 1e-10, where);
  }
}

TEST(Linear, FitsLikeTheSolverOnAMaterialisedMatrix) { check_against_arrays<objective::squared>(form::time); }
TEST(Linear, FitsRelativeErrorsLikeTheSolverOnWeightedRows) {
  check_against_arrays<objective::relative>(form::relative);
}
TEST(Linear, FitsLogarithmsLikeTheSolverOnLogTargets) { check_against_arrays<objective::log_target>(form::log); }

TEST(Linear, RecoversTheCoefficientsOfStepsWithoutNoise) {
  const std::array<double, width> truth{2e-5, 3e-4, 5e-3, 1e-5, 7e-4, -4e-6};
  const auto steps = tiny::random_engine_steps(300, 5);
  const auto data = tiny::dataset_of(steps, [&](const engine_step& s, std::size_t) {
    double time = 2e-3;
    const auto x = tiny::mixture_of(s);
    for (std::size_t j = 0; j < width; ++j) time += truth[j] * x[j];
    return time;
  });
  for (const auto& solution :
       {plain::fit(data, row_set::all(300)).solution(),
        linear<tiny::mixture, ordinary_least_squares, objective::relative>::fit(data, row_set::all(300))
            .solution()}) {
    for (std::size_t j = 0; j < width; ++j)
      EXPECT_NEAR(solution.coefficients[j], truth[j], 1e-9 * std::abs(truth[j]));
    EXPECT_NEAR(solution.intercept, 2e-3, 1e-11);
  }
}

TEST(Linear, HasTheStandardErrorsOfSimpleRegression) {
  const auto data = tiny::noisy_steps(97, 3);
  const auto x = data.column<decode_tokens_t>();
  const auto y = data.target();
  const double n = 97;
  double mean_x = 0, mean_y = 0, xx = 0, xy = 0, residual = 0;
  for (std::size_t i = 0; i < 97; ++i) mean_x += x[i] / n, mean_y += y[i] / n;
  for (std::size_t i = 0; i < 97; ++i)
    xx += (x[i] - mean_x) * (x[i] - mean_x), xy += (x[i] - mean_x) * (y[i] - mean_y);
  const double slope = xy / xx;
  for (std::size_t i = 0; i < 97; ++i) residual += std::pow(y[i] - mean_y - slope * (x[i] - mean_x), 2);
  const double variance = residual / (n - 2);
  const auto fitted = linear<one_column, ordinary_least_squares>::fit(data, row_set::all(97)).solution();
  EXPECT_NEAR(fitted.coefficients[0], slope, 1e-12 * std::abs(slope));
  EXPECT_NEAR(fitted.intercept, mean_y - slope * mean_x, 1e-12);
  EXPECT_NEAR(fitted.standard_errors[0], std::sqrt(variance / xx), 1e-10 * std::sqrt(variance / xx));
  const double of_intercept = std::sqrt(variance * (1 / n + mean_x * mean_x / xx));
  EXPECT_NEAR(fitted.intercept_standard_error, of_intercept, 1e-10 * of_intercept);
}

TEST(Linear, SaysInItsSummaryWhatTheRowsDetermine) {
  const auto data = tiny::noisy_steps(120, 8, 0.2, 1);  // one engine: two features are constant
  const fit_summary summary = plain::fit(data, row_set::all(120)).summary();
  EXPECT_EQ(summary.rows, 120U);
  EXPECT_EQ(summary.parameters, width + 1);
  EXPECT_EQ(summary.identifiable, width - 2 + 1);
  EXPECT_TRUE(summary.healthy);
}

TEST(Linear, SaysInItsSummaryThatColumnsDependOnEachOther) {
  const auto data = tiny::noisy_steps(300, 8);
  const fit_summary summary = linear<dependent, ordinary_least_squares>::fit(data, row_set::all(300)).summary();
  EXPECT_FALSE(summary.healthy);
  EXPECT_EQ(summary.identifiable, 3U);
  EXPECT_EQ(summary.status, "rank deficient");
}

TEST(Linear, NamesItsSolverAndObjective) {
  EXPECT_EQ(shrunk::name(), "ridge, alpha 1 on 6 features");
  EXPECT_EQ((linear<tiny::mixture, ordinary_least_squares, objective::relative>::name()),
            "ordinary least squares on 6 features, relative error");
}

TEST(Linear, RefusesToFitOnNothing) {
  const auto data = tiny::noisy_steps(20, 1);
  EXPECT_THROW(plain::fit(data, {}), fit_error);
}

template <class Estimator> std::string refusal(const dataset<tiny::aggregated>& data, const row_set& rows) {
  try {
    Estimator::fit(data, rows);
  } catch (const fit_error& refused) {
    return refused.what();
  }
  return "fitted";
}

TEST(Linear, NamesTheFeatureAndTheRowThatIsNotANumber) {
  auto steps = tiny::random_engine_steps(60, 2);
  for (engine_step& s : steps) s.prefill_requests = 1, s.prefill_tokens = 5;
  steps[37].prefill_requests = steps[37].prefill_tokens = 0;
  const auto data = tiny::dataset_of(steps, [](const engine_step& s, std::size_t) { return 1e-3 * s.decode_tokens; });
  using divides = linear<quotients, ordinary_least_squares>;
  EXPECT_EQ(refusal<divides>(data, row_set::all(60)),
            "feature 'per_prefill_token' is infinite on row 37 (made.csv:39)");
  using nan = linear<undefined_quotient, ordinary_least_squares>;
  EXPECT_EQ(refusal<nan>(data, row_set::all(60)), "feature 'share' is not a number on row 37 (made.csv:39)");
  // Rows that are not fitted are not looked at; the first row fitted sets the shift and may be the bad one.
  EXPECT_EQ(refusal<divides>(data, row_set::of({1, 2, 3, 4, 5, 6, 38, 39})), "fitted");
  EXPECT_EQ(refusal<divides>(data, row_set::where(60, [](std::size_t row) { return row >= 37; })),
            "feature 'per_prefill_token' is infinite on row 37 (made.csv:39)");
}

TEST(Linear, FitsTheSameBitsAgain) {
  const auto data = tiny::noisy_steps(500, 4);
  const row_set rows = row_set::where(500, [](std::size_t row) { return row % 5 != 2; });
  const auto first = shrunk::fit(data, rows).solution();
  const auto second = shrunk::fit(data, rows).solution();
  EXPECT_EQ(first.coefficients, second.coefficients);
  EXPECT_EQ(first.intercept, second.intercept);
  EXPECT_EQ(first.standard_errors, second.standard_errors);
}

}  // namespace
