// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/solver/minimizer.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <vector>

#include "../support/message.hpp"

namespace {

using rafter::minimum_status;
using rafter::parameter_bounds;

struct stays_put {
  std::string name() const { return "stays put"; }
  rafter::nonlinear_solution minimize(const rafter::residual_model&, const std::vector<double>& start,
                                      const parameter_bounds&) const {
    rafter::nonlinear_solution at;
    at.parameters = start;
    return at;
  }
};
struct nameless {
  rafter::nonlinear_solution minimize(const rafter::residual_model&, const std::vector<double>&,
                                      const parameter_bounds&) const;
};
static_assert(rafter::minimizer<stays_put>);
static_assert(!rafter::minimizer<nameless>);
static_assert(!rafter::minimizer<int>);

TEST(Minimizer, OnlyThreeStatusesAreConvergence) {
  EXPECT_TRUE(is_converged(minimum_status::gradient_small));
  EXPECT_TRUE(is_converged(minimum_status::cost_settled));
  EXPECT_TRUE(is_converged(minimum_status::step_small));
  EXPECT_FALSE(is_converged(minimum_status::evaluation_limit));
  EXPECT_FALSE(is_converged(minimum_status::non_finite_start));
  EXPECT_FALSE(is_converged(minimum_status::ill_conditioned));
  EXPECT_EQ(text_of(minimum_status::evaluation_limit), "evaluation limit");
}

TEST(Minimizer, EmptyBoundsAreNone) {
  const parameter_bounds none;
  EXPECT_EQ(none.low(3), -std::numeric_limits<double>::infinity());
  EXPECT_EQ(none.high(0), std::numeric_limits<double>::infinity());
  EXPECT_NO_THROW(none.check({1.0, -2.0}));
  EXPECT_NO_THROW((parameter_bounds{{0.0}, {0.0}}.check({0.0})));
}

TEST(Minimizer, BadBoundsAreNamed) {
  const auto said = [](const parameter_bounds& bounds, const std::vector<double>& start) {
    return message_of([&] { bounds.check(start); });
  };
  EXPECT_EQ(said({{0.0, 2.0}, {1.0, 1.0}}, {0.0, 1.0}),
            "rafter: minimizer: parameter 1 has bounds [2.000000, 1.000000]");
  EXPECT_EQ(said({{0.0}, {}}, {1.0, 1.0}), "rafter: minimizer: 2 parameters with 1 lower and 0 upper bounds");
  EXPECT_EQ(said({{0.0}, {1.0}}, {1.5}),
            "rafter: minimizer: parameter 0 starts at 1.500000, outside its bounds [0.000000, 1.000000]");
  const double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_EQ(said({{nan}, {1.0}}, {0.5}).substr(0, 45), "rafter: minimizer: parameter 0 has bounds [na");
  EXPECT_EQ(said({}, {nan}).substr(0, 46), "rafter: minimizer: parameter 0 starts at nan");
}

}  // namespace
