// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/solver/identifiability.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <random>
#include <string>
#include <vector>

#include "rafter/solver/dense.hpp"
#include "rafter/solver/trust_region.hpp"

namespace {

using namespace rafter;
using columns = std::vector<std::vector<double>>;

/// What a solver would leave of a Jacobian at these parameters: the sums alone, or the factor of the rows as well.
nonlinear_solution solution_with(const columns& jacobian, std::vector<double> at, bool with_factor) {
  const std::size_t n = jacobian.size();
  const std::size_t m = jacobian[0].size();
  nonlinear_solution made;
  made.status = minimum_status::cost_settled;
  made.parameters = std::move(at);
  made.active_mask.assign(n, 0);
  made.gram.assign(n * n, 0.0);
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j < n; ++j) {
      for (std::size_t row = 0; row < m; ++row) made.gram[i * n + j] += jacobian[i][row] * jacobian[j][row];
    }
  }
  made.start_gram = made.gram;
  if (with_factor) {
    std::vector<double> rows((n + 1) * m, 0.0);  // the residual is 0
    for (std::size_t j = 0; j < n; ++j) std::copy(jacobian[j].begin(), jacobian[j].end(), rows.data() + j * m);
    made.factor.assign((n + 1) * (n + 1), 0.0);
    dense::fold_rows(made.factor.data(), n + 1, rows.data(), m, m);
  }
  return made;
}
/// Both ways to the same answer, which they must agree on.
identifiability identified(const columns& jacobian, const std::vector<double>& at,
                           const parameter_bounds& bounds = {}, const std::vector<int>& mask = {}) {
  const std::size_t m = jacobian[0].size();
  nonlinear_solution of_rows = solution_with(jacobian, at, true), of_sums = solution_with(jacobian, at, false);
  if (!mask.empty()) of_rows.active_mask = of_sums.active_mask = mask;
  const identifiability by_rows = identify(of_rows, bounds, m), by_sums = identify(of_sums, bounds, m);
  EXPECT_EQ(by_rows.identifiable, by_sums.identifiable);
  EXPECT_EQ(by_rows.identifiable_at_start, by_sums.identifiable);
  EXPECT_EQ(by_rows.dead, by_sums.dead);
  EXPECT_EQ(by_rows.at_bound, by_sums.at_bound);
  EXPECT_EQ(by_rows.singular_values.size(), by_sums.singular_values.size());
  for (std::size_t k = 0; k < by_rows.identifiable; ++k) {
    EXPECT_NEAR(by_rows.singular_values[k], by_sums.singular_values[k], 1e-7);
  }
  EXPECT_EQ(by_rows.undetermined.size(), by_sums.undetermined.size());
  for (std::size_t k = 0; k < by_rows.undetermined.size(); ++k) {
    EXPECT_EQ(by_rows.undetermined[k].members, by_sums.undetermined[k].members);
    EXPECT_EQ(by_rows.undetermined[k].by_logarithm, by_sums.undetermined[k].by_logarithm);
    for (std::size_t i = 0; i < by_rows.undetermined[k].exponents.size(); ++i) {
      EXPECT_NEAR(by_rows.undetermined[k].exponents[i], by_sums.undetermined[k].exponents[i], 1e-6);
    }
  }
  return by_rows;
}

/// Columns of standard normal numbers, other for each seed.
std::vector<double> column(unsigned seed, double by = 1.0) {
  std::mt19937_64 random(seed);
  std::normal_distribution<double> normal;
  std::vector<double> made(60);
  for (double& value : made) value = by * normal(random);
  return made;
}
std::vector<double> times(std::vector<double> values, double by) {
  for (double& value : values) value *= by;
  return values;
}
std::vector<double> plus(std::vector<double> a, const std::vector<double>& b) {
  for (std::size_t i = 0; i < a.size(); ++i) a[i] += b[i];
  return a;
}

/// The free directions as text: "0 1:1,1" by logarithms, "0 1~1,-1" in units.
std::string told(const identifiability& found) {
  std::string text;
  for (const undetermined_combination& one : found.undetermined) {
    text += text.empty() ? "" : "; ";
    for (std::size_t i = 0; i < one.members.size(); ++i) text += (i == 0 ? "" : " ") + std::to_string(one.members[i]);
    text += one.by_logarithm ? ":" : "~";
    // Which of a direction's two senses is told says nothing.
    const double sense = one.exponents.front() < 0.0 ? -1.0 : 1.0;
    for (std::size_t i = 0; i < one.exponents.size(); ++i) {
      char number[32];
      std::snprintf(number, sizeof number, "%s%.3g", i == 0 ? "" : ",", sense * one.exponents[i]);
      text += number;
    }
  }
  return text;
}

TEST(Identifiability, OfIndependentColumnsIsComplete) {
  const auto found = identified({column(1), column(2, 1e6), column(3, 1e-9)}, {1.0, 1e-6, 1e9});
  EXPECT_TRUE(found.known);
  EXPECT_EQ(found.parameters, 3U);
  EXPECT_EQ(found.identifiable, 3U);
  EXPECT_TRUE(found.undetermined.empty());
  EXPECT_TRUE(found.dead.empty());
}

TEST(Identifiability, KnowsAQuotient) {
  // r = t·a/b: ∂a = t/b, ∂b = −t·a/b².
  const auto t = column(1);
  const double a = 3.0, b = 0.4;
  const auto found = identified({times(t, 1 / b), times(t, -a / (b * b)), column(2)}, {a, b, 5.0});
  EXPECT_EQ(found.identifiable, 2U);
  EXPECT_EQ(told(found), "0 1:1,1");
}
TEST(Identifiability, KnowsAProduct) {
  const auto t = column(1);
  const double a = 30.0, b = 1e-4;
  EXPECT_EQ(told(identified({column(2), times(t, b), times(t, a)}, {1.0, a, b})), "1 2:1,-1");
}
TEST(Identifiability, KnowsAProductOfPowers) {
  const auto t = column(1);  // a²·b: ∂a = 2ab·t, ∂b = a²·t
  const double a = 3.0, b = 7.0;
  EXPECT_EQ(told(identified({times(t, 2 * a * b), times(t, a * a)}, {a, b})), "0 1:0.5,-1");
}
TEST(Identifiability, KnowsASum) {
  const auto t = column(1);
  EXPECT_EQ(told(identified({t, t, column(2)}, {0.3, 2.7, 1.0})), "0 1~1,-1");
}
TEST(Identifiability, KnowsADifference) {
  const auto t = column(1);
  EXPECT_EQ(told(identified({t, column(2), times(t, -1.0)}, {0.3, 1.0, 2.7})), "0 2~1,1");
}
TEST(Identifiability, KnowsASumWhereAParameterIsZero) {
  const auto t = column(1);
  EXPECT_EQ(told(identified({t, t}, {0.0, 2.7})), "0 1~1,-1");
}
TEST(Identifiability, KnowsAProductOfThree) {
  const auto t = column(1);
  const double a = 2.0, b = 3.0, c = 0.7;
  // Two directions: each leaves one of the three out, in which way is a choice.
  const auto found = identified({times(t, b * c), times(t, a * c), times(t, a * b), column(2)}, {a, b, c, 1.0});
  EXPECT_EQ(found.identifiable, 2U);
  ASSERT_EQ(found.undetermined.size(), 2U);
  for (const undetermined_combination& one : found.undetermined) {
    EXPECT_TRUE(one.by_logarithm);
    ASSERT_EQ(one.members.size(), 2U);
    EXPECT_NEAR(one.exponents[0], -one.exponents[1], 1e-9);
  }
  EXPECT_NE(found.undetermined[0].members, found.undetermined[1].members);
}
TEST(Identifiability, KnowsADirectionOfThree) {
  // Only two combinations of three columns: c₂ = c₀ + c₁, so (1, 1, −1) changes nothing.
  const auto a = column(1), b = column(2);
  EXPECT_EQ(told(identified({a, b, plus(a, b), column(3)}, {0.3, 1.9, 2.3, 1.0})), "0 1 2~1,1,-1");
}
TEST(Identifiability, TellsTwoQuotientsApart) {
  const auto s = column(1), t = column(2);
  const auto found = identified({times(s, 2.0), times(t, 5.0), times(s, -8.0), times(t, -0.1)}, {4.0, 0.1, 1.0, 5.0});
  EXPECT_EQ(found.identifiable, 2U);
  EXPECT_EQ(told(found), "0 2:1,1; 1 3:1,1");
}
TEST(Identifiability, TellsASumBesideAQuotient) {
  const auto s = column(1), t = column(2);
  const auto found = identified({times(s, 2.0), t, times(s, -8.0), t, column(3)}, {4.0, 0.1, 1.0, 5.0, 1.0});
  EXPECT_EQ(told(found), "0 2:1,1; 1 3~1,-1");
}
TEST(Identifiability, NamesBothMembersWhateverTheirUnits) {
  // One in microseconds, one around 1: t·(a + T·b) with T = 200 us; the shares of t are a and T·b.
  const auto t = column(1);
  const auto found = identified({t, times(t, 2e-4), column(2)}, {9e-6, 1.3, 1.0});
  ASSERT_EQ(found.undetermined.size(), 1U);
  EXPECT_EQ(found.undetermined[0].members, (std::vector<std::size_t>{0, 1}));
  // By logarithms the second moves by −a/(T·b) where the first moves by 1.
  EXPECT_TRUE(found.undetermined[0].by_logarithm);
  EXPECT_NEAR(found.undetermined[0].exponents[1] / found.undetermined[0].exponents[0], -9e-6 / (2e-4 * 1.3), 1e-6);
}

TEST(Identifiability, ListsWhatHasNoEffect) {
  const std::vector<double> none(60, 0.0);
  const auto found = identified({none, column(1), none}, {1.0, 2.0, 3.0});
  EXPECT_EQ(found.parameters, 3U);
  EXPECT_EQ(found.identifiable, 1U);
  EXPECT_EQ(found.dead, (std::vector<std::size_t>{0, 2}));
  EXPECT_TRUE(found.undetermined.empty());  // a dead parameter is no combination
  EXPECT_EQ(found.singular_values.size(), 1U);
}
TEST(Identifiability, CountsWhatIsAtABoundAndLeavesOutWhatIsHeld) {
  const parameter_bounds bounds{{0.0, 5.0, 0.0}, {1.0, 5.0, 1.0}};
  const auto found = identified({column(1), column(2), column(3)}, {1.0, 5.0, 0.3}, bounds, {1, -1, 0});
  EXPECT_EQ(found.parameters, 2U);
  EXPECT_EQ(found.identifiable, 2U);
  EXPECT_EQ(found.at_bound, (std::vector<std::size_t>{0}));
}
TEST(Identifiability, DoesNotCountAHeldParameterAsPartOfACombination) {
  const auto t = column(1);
  const parameter_bounds bounds{{0.0, 5.0}, {9.0, 5.0}};
  const auto found = identified({t, t}, {1.0, 5.0}, bounds);
  EXPECT_EQ(found.identifiable, 1U);
  EXPECT_TRUE(found.undetermined.empty());
}
TEST(Identifiability, DoesNotFlagWhatIsHardlyButTrulyDetermined) {
  for (const double apart : {1e-3, 1e-4, 1e-5}) {
    const auto t = column(1);
    const auto found = identified({t, plus(t, column(2, apart))}, {1.0, 2.0});
    EXPECT_EQ(found.identifiable, 2U) << apart;
    EXPECT_LT(found.singular_values[1], 2 * apart);
    EXPECT_TRUE(found.undetermined.empty()) << apart;
  }
}
TEST(Identifiability, SeesWithTheFactorWhatTheSumsHaveLost) {
  const auto t = column(1);
  const columns jacobian{t, plus(t, column(2, 1e-9))};
  EXPECT_EQ(identify(solution_with(jacobian, {1.0, 2.0}, true), {}, 60).identifiable, 2U);
  EXPECT_EQ(identify(solution_with(jacobian, {1.0, 2.0}, false), {}, 60).identifiable, 1U);
}
TEST(Identifiability, IsNotKnownWithoutDerivatives) {
  nonlinear_solution blind;
  blind.parameters = {1.0, 2.0};
  blind.active_mask = {0, 1};
  const auto found = identify(blind, {}, 10);
  EXPECT_FALSE(found.known);
  EXPECT_EQ(found.parameters, 2U);
  EXPECT_EQ(found.at_bound, (std::vector<std::size_t>{1}));  // a simplex knows that
}

// At the solution of a fit, not of a Jacobian made by hand.
TEST(Identifiability, FollowsFromTheEndOfAMinimisation) {
  for (const jacobian_path path : {jacobian_path::rows, jacobian_path::automatic}) {
    const auto t = column(1), s = column(2);
    const array_residuals model(60, 4, [&](const double* x, double* out) {
      for (std::size_t i = 0; i < 60; ++i) out[i] = x[0] / x[1] * t[i] + x[2] * s[i] + 0.0 * x[3] - 2.0 * t[i] - s[i];
    });
    const parameter_bounds bounds{{0.1, 0.1, -9.0, 0.0}, {10.0, 10.0, 9.0, 1.0}};
    const nonlinear_solution at = trust_region{.path = path}.minimize(model, {1.0, 1.0, 0.0, 0.5}, bounds);
    const auto found = identify(at, bounds, 60);
    EXPECT_EQ(found.parameters, 4U);
    EXPECT_EQ(found.dead, (std::vector<std::size_t>{3}));
    // Derivatives are central differences here, good to 1e-10: below that only the sums' tolerance sees a quotient.
    EXPECT_NEAR(at.parameters[0] / at.parameters[1], 2.0, 1e-8);
  }
}

}  // namespace
