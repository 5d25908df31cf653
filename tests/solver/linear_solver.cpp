// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/solver/linear_solver.hpp"

#include <gtest/gtest.h>

namespace {

// The shortest type that models the concept.
struct always_the_mean {
  static constexpr bool needs_rows = false;
  std::string name() const { return "mean"; }
  rafter::linear_solution solve(const rafter::normal_equations& equations, const rafter::design*) const {
    rafter::linear_solution solution;
    solution.coefficients.assign(equations.columns, 0.0);
    solution.intercept = equations.shift.back() + equations(0, equations.columns + 1) / equations.sum_of_weights();
    return solution;
  }
};
static_assert(rafter::linear_solver<always_the_mean>);

struct nameless {
  [[maybe_unused]] static constexpr bool needs_rows = false;
  rafter::linear_solution solve(const rafter::normal_equations&, const rafter::design*) const { return {}; }
};
static_assert(!rafter::linear_solver<nameless>);

TEST(LinearSolver, TheArchetypePredictsTheMean) {
  const double x[] = {1.0, 5.0, 6.0};
  const double y[] = {1.0, 2.0, 6.0};
  const rafter::array_design rows(3, 1, x, y);
  EXPECT_EQ(always_the_mean{}.solve(rafter::normal_equations::of(rows), nullptr).predict(x), 3.0);
}

TEST(LinearSolver, NumbersInNamesAreShort) {
  EXPECT_EQ(rafter::detail::number_text(0.001), "0.001");
  EXPECT_EQ(rafter::detail::number_text(1.0), "1");
  EXPECT_EQ(rafter::detail::number_text(1.0 / 3.0), "0.3333333333333333");
}

}  // namespace
