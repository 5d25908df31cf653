// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// What the named predictors promise by their names; the suite of the concept is run on those that read requests.
#include "rafter/estimator/predictors.hpp"

#include <gtest/gtest.h>

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "concepts/estimator.hpp"
#include "support/engine_steps.hpp"
#include "support/kernel_like_steps.hpp"

namespace {

using namespace rafter;

template <class Estimator> std::vector<std::string> violations() {
  const row_set rows = row_set::where(160, [](std::size_t row) { return row % 5 != 1; });
  return rafter::testing::check_estimator<Estimator>(
      tiny::kernel_like_steps(), rows, [](const row_set& kept) { return tiny::kernel_like_steps(&kept); });
}
const std::vector<std::string> none;

TEST(Predictors, BlackBoxesKeepTheirPromises) {
  EXPECT_EQ(violations<predictors::mean>(), none);
  EXPECT_EQ(violations<predictors::blackbox>(), none);
  EXPECT_EQ(violations<predictors::blackbox_nnls>(), none);
  EXPECT_EQ(violations<predictors::blackbox_relative>(), none);
}
TEST(Predictors, NonNegativeBlackBoxHasNoNegativeTime) {
  // Time falls with decode tokens and the line through it starts below 0.
  const auto data =
      tiny::dataset_of(tiny::random_engine_steps(200, 3, 1), [](const tiny::engine_step& s, std::size_t) {
        return 0.01 + 1e-3 * s.prefill_tokens * s.prefill_tokens / (1 + s.decode_tokens);
      });
  const row_set all = row_set::all(200);
  const auto plain = predictors::blackbox::fit(data, all).solution();
  ASSERT_TRUE(plain.intercept < 0 || plain.coefficients[0] < 0 || plain.coefficients[1] < 0);
  const auto bounded = predictors::blackbox_nnls::fit(data, all).solution();
  EXPECT_GE(bounded.intercept, 0.0);
  EXPECT_GE(bounded.coefficients[0], 0.0);
  EXPECT_GE(bounded.coefficients[1], 0.0);
  EXPECT_FALSE(bounded.at_bound.empty());
}

// Facts that programs and reports rely on.
static_assert(predictors::ridge30::features::size == 30 && predictors::ridge30_anonymous::features::size == 29);
static_assert(predictors::ridge30_proxies::features::size == 30 &&
              predictors::ridge30_proxies_anonymous::features::size == 29);
static_assert(predictors::ridge30::reads_identity(group::model) == "model_code");
static_assert(predictors::ridge30_anonymous::reads_identity(group::model).empty());
static_assert(predictors::ridge_scale_free::reads_identity(group::model).empty());
static_assert(predictors::ridge30::label == predictors::ridge30_anonymous::label);
static_assert(predictors::blackbox::missing_on<tiny::aggregated>().empty());
static_assert(!predictors::ridge30::missing_on<tiny::aggregated>().empty());
static_assert(!predictors::ridge_scale_free::missing_on<tiny::aggregated>().empty());
static_assert(estimator_on<predictors::mean, dataset<tiny::aggregated>> &&
              estimator_on<predictors::blackbox, dataset<tiny::aggregated>>);

}  // namespace
