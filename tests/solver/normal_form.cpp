// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/solver/normal_form.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "rafter/core/random.hpp"
#include "rafter/solver/non_negative_least_squares.hpp"
#include "rafter/solver/ordinary_least_squares.hpp"

namespace {

using namespace rafter;
constexpr std::size_t none = normal_form_term::none;

/// Rows of metrics spread evenly in the logarithm from 1 to 4000 (some 0), and a y of them.
struct made {
  std::size_t rows, metrics, folds;
  std::vector<double> x, y;
  std::vector<std::uint32_t> fold;

  made(std::size_t n, std::size_t m, std::size_t k, const std::function<double(const double*)>& law,
       double noise = 0.0, double zeros = 0.0)
      : rows(n), metrics(m), folds(k), x(n * m), y(n), fold(n) {
    rafter::detail::seeded_numbers random(7);
    std::vector<double> one(m);
    for (std::size_t row = 0; row < n; ++row) {
      for (std::size_t j = 0; j < m; ++j) {
        one[j] = random.uniform() < zeros ? 0.0 : std::floor(std::exp(random.uniform() * std::log(4000.0)));
        x[j * n + row] = one[j];
      }
      y[row] = law(one.data()) * (1.0 + noise * random.normal());
      fold[row] = static_cast<std::uint32_t>(random.below(k));
    }
  }
  normal_form_rows view() const {
    return {.rows = rows, .metrics = metrics, .x = x.data(), .y = y.data(), .fold = fold.data(), .folds = folds};
  }
};

normal_form_term single(std::size_t metric, term_exponents exponents) {
  return {.metric = metric, .exponents = exponents, .second = none, .second_exponents = {}};
}
const normal_form_term linear = single(0, {1, 1, 0});
const normal_form_term linear_log = single(0, {1, 1, 1});

void expect_near_relative(double value, double expected, double tolerance) {
  EXPECT_NEAR(value, expected, tolerance * std::abs(expected));
}

TEST(NormalForm, AFactorIsItsPowerTimesItsLogarithm) {
  for (const term_exponents& one : all_exponents) {
    for (const double x : {0.5, 1.0, 7.0, 1e3, 3e12}) {
      const double expected =
          std::pow(x, static_cast<double>(one.numerator) / one.denominator) * std::pow(std::log2(1.0 + x), one.logs);
      expect_near_relative(term_factor(x, one), expected, 1e-14);
    }
  }
}

TEST(NormalForm, AnAbsentMetricMakesEveryTermZero) {
  for (const term_exponents& one : all_exponents) EXPECT_EQ(term_factor(0.0, one), 0.0);
  for (const term_exponents& one : extra_p_exponents) EXPECT_EQ(term_factor(0.0, one), 0.0);
}

TEST(NormalForm, PacksHaveTheBitsOfSingleValues) {
  for (const term_exponents& one : all_exponents) {
    for (const double x : {0.0, 0.3, 17.0, 12345.0}) {
      EXPECT_EQ(term_factor(broadcast<pack>(x), one)[1], term_factor(x, one));
    }
  }
}

TEST(NormalForm, TheLatticesHoldNoPairTwice) {
  const auto distinct = [](const auto& lattice) {
    for (std::size_t i = 0; i < lattice.size(); ++i) {
      for (std::size_t j = 0; j < i; ++j) {
        const auto& a = lattice[i];
        const auto& b = lattice[j];
        if (a.numerator * b.denominator == b.numerator * a.denominator && a.logs == b.logs) return false;
      }
    }
    return true;
  };
  EXPECT_TRUE(distinct(extra_p_exponents));
  EXPECT_TRUE(distinct(all_exponents));
}

TEST(NormalForm, RecoversOneTermExactly) {
  for (const term_exponents& planted : extra_p_exponents) {
    const made data(400, 1, 5, [&](const double* x) { return 3e-4 + 2e-6 * term_factor(x[0], planted); });
    const normal_form found = search_normal_form(data.view());
    ASSERT_EQ(found.terms.size(), 1U) << text_of(single(0, planted), std::vector<std::string_view>{"x"});
    EXPECT_EQ(found.terms[0], single(0, planted));
    expect_near_relative(found.constant, 3e-4, 1e-9);
    expect_near_relative(found.coefficients[0], 2e-6, 1e-9);
  }
}

TEST(NormalForm, RecoversOneTermUnderTwoPercentNoise) {
  for (const term_exponents& planted : {term_exponents{1, 1, 1}, {1, 1, 0}, {2, 1, 0}, {1, 2, 0}, {3, 2, 0}}) {
    const made data(
        2000, 1, 5, [&](const double* x) { return 1e-5 + 2e-6 * term_factor(x[0], planted); }, 0.02);
    const normal_form found = search_normal_form(data.view());
    ASSERT_EQ(found.terms.size(), 1U);
    EXPECT_EQ(found.terms[0], single(0, planted));
    expect_near_relative(found.coefficients[0], 2e-6, 0.005);
    EXPECT_NEAR(found.cross_validated_error, 0.02, 0.002);
    EXPECT_NEAR(found.cross_validated_smape, 0.02 * std::sqrt(2.0 / 3.14159265), 0.002);  // mean |normal|
  }
}

double two_metrics(const double* x) { return 1e-3 + 4e-6 * x[0] + 3e-7 * std::pow(x[1], 1.5); }

TEST(NormalForm, RecoversTwoMetricsThatAdd) {
  for (const double noise : {0.0, 0.02}) {
    const made data(2000, 2, 5, two_metrics, noise, 0.1);
    const normal_form found = search_normal_form(data.view());
    ASSERT_EQ(found.terms.size(), 2U) << noise;
    EXPECT_EQ(found.terms[0], linear);
    EXPECT_EQ(found.terms[1], single(1, {3, 2, 0}));
    expect_near_relative(found.constant, 1e-3, noise == 0.0 ? 1e-9 : 0.02);
  }
}

TEST(NormalForm, RecoversAProduct) {
  for (const double noise : {0.0, 0.02}) {
    const made data(
        2000, 2, 5, [](const double* x) { return 1e-3 + 4e-9 * x[0] * x[1] + 1e-6 * x[0]; }, noise);
    const normal_form found = search_normal_form(data.view());
    ASSERT_EQ(found.terms.size(), 2U) << noise;
    EXPECT_EQ(found.terms[0], linear);
    EXPECT_EQ(found.terms[1], (normal_form_term{0, {1, 1, 0}, 1, {1, 1, 0}}));
    expect_near_relative(found.coefficients[1], 4e-9, noise == 0.0 ? 1e-9 : 0.02);
  }
}

TEST(NormalForm, RecoversThreeTerms) {
  const made data(
      3000, 3, 5, [](const double* x) { return 1e-3 + 4e-6 * x[0] + 2e-9 * x[1] * x[1] + 5e-5 * std::sqrt(x[2]); },
      0.0, 0.1);
  const normal_form found = search_normal_form(data.view());
  ASSERT_EQ(found.terms.size(), 3U);
  EXPECT_EQ(found.terms[0], linear);
  EXPECT_EQ(found.terms[1], single(1, {2, 1, 0}));
  EXPECT_EQ(found.terms[2], single(2, {1, 2, 0}));
  expect_near_relative(found.coefficients[2], 5e-5, 1e-9);
}

/// What one hypothesis leaves of each fold, from materialised columns and the library's other solvers.
double naive_error(const made& data, const std::vector<normal_form_term>& terms, bool relative, bool non_negative) {
  const auto column = [&](std::size_t row, std::size_t k) {
    std::vector<double> x(data.metrics);
    for (std::size_t m = 0; m < data.metrics; ++m) x[m] = data.x[m * data.rows + row];
    return terms[k].value(x.data());
  };
  double squares = 0.0, total = 0.0;
  for (std::size_t fold = 0; fold < data.folds; ++fold) {
    std::vector<std::size_t> train;
    for (std::size_t row = 0; row < data.rows; ++row) {
      if (data.fold[row] != fold) train.push_back(row);
    }
    const std::size_t n = train.size();
    std::vector<double> x(n * terms.size()), y(n), weight(n);
    for (std::size_t i = 0; i < n; ++i) {
      for (std::size_t k = 0; k < terms.size(); ++k) x[k * n + i] = column(train[i], k);
      y[i] = data.y[train[i]];
      weight[i] = relative ? 1.0 / (y[i] * y[i]) : 1.0;
    }
    const array_design rows(n, terms.size(), x.data(), y.data(), weight.data());
    const normal_equations sums = normal_equations::of(rows);
    const linear_solution solved = non_negative
                                       ? non_negative_least_squares{.non_negative_intercept = true}.solve(sums, &rows)
                                       : ordinary_least_squares{}.solve(sums, &rows);
    for (std::size_t row = 0; row < data.rows; ++row) {
      if (data.fold[row] != fold) continue;
      double left = data.y[row] - solved.intercept;
      for (std::size_t k = 0; k < terms.size(); ++k) left -= solved.coefficients[k] * column(row, k);
      const double root = relative ? 1.0 / data.y[row] : 1.0;
      squares += root * root * left * left;
      total += root * root * data.y[row] * data.y[row];
    }
  }
  return std::sqrt(squares / total);
}

TEST(NormalForm, TheCrossValidatedErrorIsThatOfFitsToMaterialisedColumns) {
  const made data(600, 2, 4, two_metrics, 0.1, 0.2);
  const std::vector<std::vector<normal_form_term>> hypotheses{
      {},
      {linear},
      {linear_log, single(1, {3, 2, 0})},
      {single(0, {1, 2, 0}), single(1, {1, 1, 0})},
      {linear, single(1, {1, 1, 0}), {0, {1, 1, 0}, 1, {1, 2, 0}}},
      {linear, single(0, {1, 3, 0}), single(1, {2, 1, 1})}};
  for (const bool relative : {true, false}) {
    for (const bool non_negative : {true, false}) {
      for (const auto& terms : hypotheses) {
        const double error =
            normal_form_error(data.view(), terms, {.relative = relative, .non_negative = non_negative});
        if (std::isinf(error)) continue;  // a coefficient is on its bound: another hypothesis
        expect_near_relative(error, naive_error(data, terms, relative, non_negative), 1e-7);
      }
    }
  }
  EXPECT_TRUE(std::isfinite(normal_form_error(data.view(), hypotheses[2])));
  EXPECT_TRUE(std::isfinite(normal_form_error(data.view(), hypotheses[4], {.non_negative = false})));
}

TEST(NormalForm, TheWinnerIsTheLeastOfAllPairsTriedOneByOne) {
  const made data(
      200, 1, 3, [](const double* x) { return 1e-3 + 1e-6 * x[0] + 3e-5 * std::sqrt(x[0]); }, 0.05);
  const std::array<term_exponents, 5> few{{{1, 1, 0}, {1, 2, 0}, {0, 1, 1}, {2, 1, 0}, {1, 1, 1}}};
  const normal_form found = search_normal_form(data.view(), {.exponents = few, .max_terms = 2});
  double best = std::numeric_limits<double>::infinity();
  for (std::size_t a = 0; a < few.size(); ++a) {
    for (std::size_t b = a + 1; b < few.size(); ++b) {
      best = std::min(best, normal_form_error(data.view(), {single(0, few[a]), single(0, few[b])}));
    }
  }
  expect_near_relative(found.error_by_terms[2], best, 1e-12);
  EXPECT_EQ(found.hypotheses, 1U + 5U + 10U);
  EXPECT_EQ(found.candidates, 5U);
}

TEST(NormalForm, CoefficientsAreTheLeastSquaresSolutionToManyDigits) {
  const made data(
      500, 1, 5, [](const double* x) { return 1e-3 + 1e-6 * x[0] + 2e-5 * std::sqrt(x[0]); }, 0.01);
  const normal_form found = search_normal_form(data.view());
  double gradient_of_constant = 0.0, size = 0.0;
  for (std::size_t row = 0; row < data.rows; ++row) {
    const double weight = 1.0 / (data.y[row] * data.y[row]);
    gradient_of_constant += weight * (data.y[row] - found.predict(&data.x[row]));
    size += weight * data.y[row];
  }
  EXPECT_LT(std::abs(gradient_of_constant), 1e-12 * size);
}

TEST(NormalForm, ASimplerFormWinsWithinTheTolerance) {
  const made data(
      2000, 1, 5, [](const double* x) { return 1e-4 + 1e-6 * x[0]; }, 0.02);
  EXPECT_EQ(search_normal_form(data.view()).terms.size(), 1U);
  EXPECT_LE(search_normal_form(data.view()).error_by_terms[2], search_normal_form(data.view()).error_by_terms[1]);
}

TEST(NormalForm, NoiseAloneIsAConstant) {
  const made data(
      500, 2, 5, [](const double*) { return 5e-3; }, 0.02);
  const normal_form found = search_normal_form(data.view());
  EXPECT_TRUE(found.terms.empty());
  expect_near_relative(found.constant, 5e-3, 0.01);
}

TEST(NormalForm, EqualTargetsAreExactlyAConstant) {
  const made data(50, 1, 5, [](const double*) { return 5e-3; });
  const normal_form found = search_normal_form(data.view());
  EXPECT_TRUE(found.terms.empty());
  expect_near_relative(found.constant, 5e-3, 1e-15);
  EXPECT_LT(found.training_error, 1e-15);
}

TEST(NormalForm, OneRowIsAConstant) {
  const double x = 3.0, y = 0.25;
  const std::uint32_t fold = 0;
  const normal_form found =
      search_normal_form({.rows = 1, .metrics = 1, .x = &x, .y = &y, .fold = &fold, .folds = 1});
  EXPECT_TRUE(found.terms.empty());
  EXPECT_EQ(found.constant, 0.25);
  EXPECT_TRUE(std::isnan(found.cross_validated_error));
  EXPECT_EQ(found.hypotheses, 0U);
}

TEST(NormalForm, MetricsThatDoNotVaryAreLeftOut) {
  for (const double value : {0.0, 8.0}) {
    made data(200, 2, 4, [](const double* x) { return 1e-4 + 1e-6 * x[0]; });
    for (std::size_t row = 0; row < data.rows; ++row) data.x[data.rows + row] = value;
    const normal_form found = search_normal_form(data.view());
    ASSERT_EQ(found.terms.size(), 1U);
    EXPECT_EQ(found.terms[0].metric, 0U);
  }
}

TEST(NormalForm, CoefficientsMayBeNegativeWhereThatIsAllowed) {
  const auto law = [](const double* x) { return 1.0 + 1e-3 * x[0] - 5e-3 * std::sqrt(x[0]); };
  const made data(500, 1, 5, law);
  const normal_form free = search_normal_form(data.view(), {.non_negative = false});
  ASSERT_EQ(free.terms.size(), 2U);
  expect_near_relative(free.coefficients[1], -5e-3, 1e-8);
  EXPECT_EQ(free.formula(std::vector<std::string_view>{"x"}), "1 + 0.001 · x - 0.005 · x^(1/2)");
  const normal_form bounded = search_normal_form(data.view());
  for (const double c : bounded.coefficients) EXPECT_GT(c, 0.0);
  EXPECT_GE(bounded.constant, 0.0);
}

TEST(NormalForm, LargeMetricsKeepTheirDigits) {
  const made data(400, 1, 5, [](const double* x) { return 1e-3 + 1e-40 * std::pow(x[0] * 1e10, 3.0); });
  made scaled = data;
  for (double& value : scaled.x) value *= 1e10;
  const normal_form found = search_normal_form(scaled.view());
  ASSERT_EQ(found.terms.size(), 1U);
  EXPECT_EQ(found.terms[0], single(0, {3, 1, 0}));
  expect_near_relative(found.coefficients[0], 1e-40, 1e-9);
}

TEST(NormalForm, WritesItsFormula) {
  normal_form form;
  form.constant = 1.2e-5;
  form.terms = {linear_log, {0, {3, 2, 0}, 1, {0, 1, 2}}, single(1, {2, 1, 0})};
  form.coefficients = {3.4e-9, 2.0, 1.0};
  EXPECT_EQ(form.formula(std::vector<std::string_view>{"tokens", "kv"}),
            "1.2e-05 + 3.4e-09 · tokens · log2(1 + tokens) + 2 · tokens^(3/2) · log2(1 + kv)^2 + 1 · kv^2");
}

std::string refusal(made data, const normal_form_options& options = {}) {
  try {
    search_normal_form(data.view(), options);
  } catch (const solver_error& refused) {
    return refused.what();
  }
  return "accepted";
}

TEST(NormalForm, RefusesWhatMakesNoSense) {
  const made good(20, 2, 4, two_metrics);
  EXPECT_EQ(refusal(good), "accepted");
  made bad = good;
  bad.x[23] = -1.0;
  EXPECT_EQ(refusal(bad), "metric 1 is negative on row 3");
  bad = good;
  bad.x[5] = std::numeric_limits<double>::infinity();
  EXPECT_EQ(refusal(bad), "metric 0 is not a finite number on row 5");
  bad = good;
  bad.y[2] = -1.0;
  EXPECT_EQ(refusal(bad), "y is not positive on row 2: it has no relative error");
  EXPECT_EQ(refusal(bad, {.relative = false}), "accepted");
  bad = good;
  bad.fold[7] = 4;
  EXPECT_EQ(refusal(bad), "row 7 is in fold 4 of 4");
  EXPECT_EQ(refusal(good, {.max_terms = 4}), "the normal form has at most three terms");
  const std::array<term_exponents, 1> sixths{{{1, 6, 0}}};
  EXPECT_EQ(refusal(good, {.exponents = sixths}), "the exponents 1/6 and 0 are no term of the normal form");
}

}  // namespace
