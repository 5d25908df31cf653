// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/metrics/metric.hpp"

#include <gtest/gtest.h>

#include <array>
#include <string>

#include "../concepts/metric.hpp"

namespace metric_models {

struct without_a_name {
  static constexpr std::string_view label = "x";
  static constexpr bool higher_is_better = false;
  static constexpr double ideal = 0.0;
  static constexpr rafter::metric_unit unit = rafter::metric_unit::none;
  static double evaluate(std::span<const double>, std::span<const double>) { return 0.0; }
};

}  // namespace metric_models

namespace {

TEST(Metric, NeedsANameAndAnEvaluate) {
  static_assert(rafter::metric<rafter::archetype::metric>);
  static_assert(!rafter::metric<metric_models::without_a_name> && !rafter::metric<int>);
  static_assert(!rafter::interval_metric<rafter::archetype::metric>);
}

TEST(Metric, ArchetypeObeysTheAxioms) { check_metric<rafter::archetype::metric>(); }

TEST(Metric, SaysWhichColumnsDifferInLength) {
  const std::array<double, 3> actual = {1, 2, 3};
  const std::array<double, 2> predicted = {1, 2};
  try {
    rafter::archetype::metric::evaluate(actual, predicted);
    FAIL() << "no exception";
  } catch (const rafter::metric_error& e) {
    EXPECT_STREQ(e.what(), "metric 'archetype_metric': 3 actual values, 2 to compare them with");
  }
}

}  // namespace
