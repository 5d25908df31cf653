// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// Rows that trees are fitted on: what is missing, infinite or constant, too few of them, and those held out to stop early.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>
#include <vector>

#include "rafter/estimator/trees.hpp"
#include "support/engine_steps.hpp"
#include "support/message.hpp"

namespace {

using namespace rafter;
using namespace rafter::literals;
using tiny::engine_step;
using data_type = dataset<tiny::aggregated>;

struct loose {
  static boosting_options options() { return {.rounds = 40, .max_depth = 3}; }
};

struct quotients_t
    : decltype(feature_set{"decode_tokens"_f = decode_tokens, "prompt"_f = prefill_tokens / prefill_requests}) {};
inline constexpr quotients_t quotients{};
struct reciprocal_t
    : decltype(feature_set{"decode_tokens"_f = decode_tokens, "per_usage"_f = decode_tokens / kv_usage_ratio}) {};
inline constexpr reciprocal_t reciprocal{};
struct never_t : decltype(feature_set{"tokens"_f = decode_tokens, "never"_f = (decode_tokens - decode_tokens) /
                                                                              (decode_tokens - decode_tokens)}) {};
inline constexpr never_t never{};
struct constant_t : decltype(feature_set{"one"_f = decode_tokens / decode_tokens}) {};
inline constexpr constant_t constant_feature{};

double time_of(const engine_step& s, std::size_t) {
  return s.prefill_requests == 0 ? 5e-3 : 1e-3 + 1e-6 * s.prefill_tokens;
}

TEST(TreesRows, WithAMissingFeatureGoTheWayThatWasLearnt) {
  const auto steps = tiny::random_engine_steps(600, 3);
  const auto data = tiny::dataset_of(steps, time_of);  // no prefill: 0/0, and five times the time
  const auto fitted = trees<quotients, objective::log_target, loose>::fit(data, row_set::all(600));
  std::size_t missing = 0;
  for (const engine_step& s : steps) {
    const double found = fitted.predict(s, tiny::engines()[s.engine]).value;
    EXPECT_NEAR(found / time_of(s, 0), 1.0, 0.2);
    missing += s.prefill_requests == 0;
  }
  EXPECT_GT(missing, 100U);
}

TEST(TreesRows, WithAnInfiniteFeatureAreRefusedByNameAndLine) {
  auto steps = tiny::random_engine_steps(600, 3);
  steps[520].kv_usage_ratio = 0.0;
  const auto data = tiny::dataset_of(steps, [](const engine_step&, std::size_t) { return 1e-3; });
  const row_set rows = row_set::where(600, [](std::size_t row) { return row % 3 != 0 || row > 515; });
  EXPECT_EQ(message_of([&] { trees<reciprocal>::fit(data, rows); }),
            "feature 'per_usage' is infinite in single precision on row 520 (made.csv:522)");
}

TEST(TreesRows, WithALabelThatIsNoNumberAreRefusedByLine) {
  const auto data = tiny::noisy_steps(20, 3);
  std::vector<double> times(20, 1e-3);
  times[13] = std::nan("");
  EXPECT_EQ(message_of([&] { trees<tiny::mixture>::fit(data.with_target(times), row_set::all(20)); }),
            "the label of target 'derived target' is not a finite number on row 13 (made.csv:15)");
}

TEST(TreesRows, AreNeeded) {
  const auto data = tiny::noisy_steps(20, 1);
  EXPECT_EQ(message_of([&] { trees<tiny::mixture>::fit(data, row_set{}); }), "no rows to fit on");
}

TEST(TreesRows, OfWhichThereIsOneGiveItsTime) {
  const auto data = tiny::noisy_steps(20, 1);
  const auto fitted = trees<tiny::mixture>::fit(data, row_set::of({7}));
  std::vector<double> out(20);
  fitted.predict(data, row_set::all(20), out);
  for (const double time : out) EXPECT_NEAR(time / data.target()[7], 1.0, 1e-6);
}

TEST(TreesRows, WithNothingToTellThemApartGiveTheGeometricMean) {
  const auto data = tiny::noisy_steps(50, 1);
  double logs = 0.0;
  for (const double time : data.target()) logs += std::log(time);
  std::vector<double> out(50);
  trees<constant_feature>::fit(data, row_set::all(50)).predict(data, row_set::all(50), out);
  for (const double time : out) EXPECT_NEAR(time / std::exp(logs / 50.0), 1.0, 1e-6);
}

TEST(TreesRows, OnWhichAFeatureIsAlwaysMissingAreFittedWithoutIt) {
  const auto data = tiny::noisy_steps(200, 1);
  const auto fitted = trees<never, objective::log_target, loose>::fit(data, row_set::all(200));
  for (const auto& tree : fitted.ensemble().trees) {
    for (const auto& node : tree.nodes) EXPECT_NE(node.feature, 1);
  }
  EXPECT_GT(fitted.ensemble().leaves(), fitted.ensemble().trees.size());
}

struct stopping {
  static boosting_options options() {
    return {.rounds = 400, .learning_rate = 0.3, .max_depth = 6, .early_stopping_rounds = 5};
  }
  static constexpr double validation_share = 0.25;
};

TEST(TreesRows, HeldOutStopTheRoundsEarly) {
  const auto data = tiny::noisy_steps(800, 5, 0.3);
  const auto fitted = trees<tiny::mixture, objective::log_target, stopping>::fit(data, row_set::all(800));
  EXPECT_TRUE(fitted.fit().stopped_early);
  EXPECT_LT(fitted.ensemble().trees.size(), 100U);
  EXPECT_EQ(fitted.summary().status, std::to_string(fitted.ensemble().trees.size()) + " trees, stopped early");
  const auto& metric = fitted.fit().validation_metric;
  EXPECT_EQ(fitted.fit().best_round,
            static_cast<std::size_t>(std::min_element(metric.begin(), metric.end()) - metric.begin()) + 1);
}

TEST(TreesRows, HeldOutAreTheLastOfEachExperiment) {
  const auto data = tiny::noisy_steps(800, 5);
  const row_set rows = row_set::where(800, [](std::size_t row) { return row % 9 != 1; });
  row_set held;
  const auto& runs = data.groups(group::experiment);
  for (std::uint32_t code = 0; code < runs.count(); ++code) {
    const std::vector<std::size_t> own = (rows & runs.rows_of(code)).to_vector();
    const auto count = static_cast<std::ptrdiff_t>(std::ceil(0.25 * static_cast<double>(own.size())));
    held = held | row_set::of({own.end() - count, own.end()});
  }
  EXPECT_EQ(rafter::detail::last_rows(data, rows, 0.25), held);
}

/// Times of the rows held out may change what is kept, not what is grown: the first tree is the same.
TEST(TreesRows, HeldOutAreNotFittedOn) {
  const auto data = tiny::noisy_steps(800, 5);
  const row_set held = rafter::detail::last_rows(data, row_set::all(800), 0.25);
  std::vector<double> changed(data.target().begin(), data.target().end());
  held.for_each([&](std::size_t row) { changed[row] *= 3.0; });
  const auto other = data.with_target(changed);
  using stopped = trees<tiny::mixture, objective::log_target, stopping>;
  const auto a = stopped::fit(data, row_set::all(800)), b = stopped::fit(other, row_set::all(800));
  ASSERT_FALSE(a.ensemble().trees.empty());
  ASSERT_FALSE(b.ensemble().trees.empty());
  EXPECT_EQ(a.ensemble().base, b.ensemble().base);
  EXPECT_TRUE(a.ensemble().trees[0] == b.ensemble().trees[0]);
}

struct greedy : stopping {
  static constexpr double validation_share = 0.9;
};
TEST(TreesRows, HeldOutLeaveOneOfEachExperimentToFitOn) {
  const auto data = tiny::noisy_steps(40, 5);
  const row_set held = rafter::detail::last_rows(data, row_set::all(40), greedy::validation_share);
  const auto& runs = data.groups(group::experiment);
  for (std::uint32_t code = 0; code < runs.count(); ++code) {
    EXPECT_LT((held & runs.rows_of(code)).size(), runs.rows_of(code).size());
  }
  EXPECT_NO_THROW((trees<tiny::mixture, objective::log_target, greedy>::fit(data, row_set::all(40))));
}

}  // namespace
