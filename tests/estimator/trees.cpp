// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/estimator/trees.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>
#include <vector>

#include "rafter/estimator/identity_allowed.hpp"
#include "support/engine_steps.hpp"
#include "support/message.hpp"

namespace {

using namespace rafter;
using namespace rafter::literals;
using tiny::engine_step;
using data_type = dataset<tiny::aggregated>;
constexpr std::size_t width = tiny::mixture_t::size;

struct few {
  static boosting_options options() { return {.rounds = 30, .max_depth = 4}; }
};
struct sampled {
  static boosting_options options() {
    return {.rounds = 20, .max_depth = 4, .subsample = 0.7, .columns_per_tree = 0.7, .seed = 3};
  }
};
using by_log = trees<tiny::mixture, objective::log_target, few>;

/// The rows of the feature set as plain arrays, written again.
struct arrays {
  std::vector<float> x;
  std::vector<double> times;
  arrays(const std::vector<engine_step>& steps, const data_type& data, const row_set& rows) : x(width * rows.size()) {
    std::size_t at = 0;
    rows.for_each([&](std::size_t row) {
      const auto values = tiny::mixture_of(steps[row]);
      for (std::size_t k = 0; k < width; ++k) x[k * rows.size() + at] = static_cast<float>(values[k]);
      times.push_back(data.target()[row]);
      ++at;
    });
  }
  feature_columns columns() const { return {x.data(), times.size(), width}; }
};
template <class Change> std::vector<double> each(std::vector<double> values, Change change) {
  for (double& one : values) one = change(one);
  return values;
}
template <class Predictor> std::vector<double> predictions(const Predictor& fitted, const data_type& data) {
  std::vector<double> out(data.size(), -1.0);
  fitted.predict(data, row_set::all(data.size()), out);
  return out;
}
double mape(const std::vector<double>& predicted, const data_type& data) {
  double sum = 0.0;
  for (std::size_t i = 0; i < predicted.size(); ++i) sum += std::abs(predicted[i] / data.target()[i] - 1.0);
  return sum / static_cast<double>(predicted.size());
}

/// More than one tile of rows, with gaps, so that ranges and tiles do not coincide.
struct setting {
  std::vector<engine_step> steps = tiny::random_engine_steps(1500, 7);
  data_type data = tiny::noisy_steps(1500, 7, 0.1);
  row_set train = row_set::where(1500, [](std::size_t row) { return row % 5 != 2; });
};
const setting& made() {
  static const setting one;
  return one;
}

template <class Objective, class Policy>
void expect_the_solvers_trees(const std::vector<double>& labels, const std::vector<double>& weights,
                              const tree_loss& loss) {
  const setting& on = made();
  const arrays from(on.steps, on.data, on.train);
  boosting_options options = Policy::options();
  if (loss.kind == tree_loss_kind::pseudo_huber) options.max_leaf_step = 2.0 * loss.parameter / options.learning_rate;
  const boosted_trees_fit by_hand =
      fit_boosted_trees({.x = from.columns(), .labels = labels, .weights = weights}, loss, options);
  const auto fitted = trees<tiny::mixture, Objective, Policy>::fit(on.data, on.train);
  ASSERT_EQ(fitted.ensemble().trees.size(), by_hand.ensemble.trees.size());
  EXPECT_TRUE(fitted.ensemble().trees == by_hand.ensemble.trees);
  EXPECT_EQ(fitted.ensemble().base, by_hand.ensemble.base);
  const auto predicted = predictions(fitted, on.data);
  for (std::size_t row = 0; row < on.data.size(); ++row) {
    const auto x = tiny::mixture_of(on.steps[row]);
    ASSERT_EQ(predicted[row], Objective::predict(by_hand.ensemble.predict(x.data()), 1.0)) << row;
  }
}

TEST(Trees, AreTheSolversOnTheSameMatrixForLogarithms) {
  const setting& on = made();
  const arrays from(on.steps, on.data, on.train);
  const auto labels = each(from.times, [](double t) { return rafter::log(t); });
  expect_the_solvers_trees<objective::log_target, few>(labels, {}, tree_loss::squared());
  expect_the_solvers_trees<objective::log_target, sampled>(labels, {}, tree_loss::squared());
}

TEST(Trees, WeighRowsAsTheObjectiveSays) {
  const setting& on = made();
  const arrays from(on.steps, on.data, on.train);
  const auto weights = each(from.times, [](double t) { return (1.0 / t) * (1.0 / t); });
  expect_the_solvers_trees<objective::relative, few>(from.times, weights, tree_loss::squared());
}

TEST(Trees, GiveTheSolverTheOtherLosses) {
  const setting& on = made();
  const arrays from(on.steps, on.data, on.train);
  const auto logs = each(from.times, [](double t) { return rafter::log(t); });
  expect_the_solvers_trees<objective::pseudo_huber<objective::log_target, 0.1_c>, few>(logs, {},
                                                                                       tree_loss::pseudo_huber(0.1));
  expect_the_solvers_trees<objective::quantile<objective::log_target, 0.9_c>, few>(logs, {},
                                                                                   tree_loss::quantile(0.9));
  expect_the_solvers_trees<objective::gamma_deviance, few>(from.times, {}, tree_loss::gamma());
  expect_the_solvers_trees<objective::poisson_deviance, few>(each(from.times, [](double t) { return t * 1e6; }), {},
                                                             tree_loss::poisson());
}

struct shrunk_leaves {
  static boosting_options options() { return {.rounds = 5, .alpha = 1000.0, .max_depth = 4}; }
};
TEST(Trees, TakeTheL1PenaltyOfTimesInMicroseconds) {
  const setting& on = made();
  const arrays from(on.steps, on.data, on.train);
  const auto microseconds = each(from.times, [](double t) { return t * 1e6; });
  const auto by_hand = fit_boosted_trees({.x = from.columns(), .labels = microseconds}, tree_loss::squared(),
                                         shrunk_leaves::options());
  const auto fitted = trees<tiny::mixture, objective::squared, shrunk_leaves>::fit(on.data, on.train);
  const auto predicted = predictions(fitted, on.data);
  for (std::size_t row = 0; row < on.data.size(); ++row) {
    const auto x = tiny::mixture_of(on.steps[row]);
    ASSERT_NEAR(1e6 * predicted[row] / by_hand.ensemble.predict(x.data()), 1.0, 1e-4) << row;
  }
}

struct tokens_t : decltype(feature_set{"prefill_tokens"_f = prefill_tokens, "decode_tokens"_f = decode_tokens}) {};
inline constexpr tokens_t tokens{};
inline constexpr auto per_token =
    (prefill_tokens + decode_tokens) * with_unit<units::second / units::token>(0.00001_c);

TEST(Trees, PredictMultiplesOfTheBaseOfALogRatio) {
  const setting& on = made();
  const auto fitted = trees<tokens, objective::log_ratio_to<per_token>, few>::fit(on.data, on.train);
  const auto predicted = predictions(fitted, on.data);
  for (std::size_t row = 0; row < on.data.size(); ++row) {
    const engine_step& s = on.steps[row];
    const double x[] = {s.prefill_tokens, s.decode_tokens};
    const double base = (s.prefill_tokens + s.decode_tokens) * 0.00001;
    ASSERT_NEAR(predicted[row] / (base * std::exp(fitted.ensemble().predict(x))), 1.0, 1e-14);
  }
  EXPECT_LT(mape(predicted, on.data), 0.2);
}

TEST(Trees, GiveTheSameBitsForBatchBoundAndRecord) {
  const setting& on = made();
  const auto fitted = by_log::fit(on.data, on.train);
  const row_set asked = row_set::where(1500, [](std::size_t row) { return row % 11 != 3 && row != 0; });
  std::vector<double> batch(asked.size(), -1.0);
  fitted.predict(on.data, asked, batch);
  std::size_t at = 0;
  asked.for_each([&](std::size_t row) {
    const deployment& engine = tiny::engines()[on.steps[row].engine];
    ASSERT_EQ(fitted.bind<engine_step>(engine)(on.steps[row]).value, batch[at]) << row;
    ASSERT_EQ(fitted.predict(on.steps[row], engine).value, batch[at]) << row;
    std::vector<double> alone(1);
    fitted.predict(on.data, row_set::of({row}), alone);
    ASSERT_EQ(alone[0], batch[at++]) << row;
  });
}

TEST(Trees, OfSquaredSecondsSplitThoughSecondsAreSmall) {
  const setting& on = made();
  const auto fitted = trees<tiny::mixture, objective::squared, few>::fit(on.data, on.train);
  EXPECT_EQ(fitted.ensemble().trees.size(), 30U);
  for (const auto& tree : fitted.ensemble().trees) EXPECT_GT(tree.leaves(), 1U);
  EXPECT_LT(mape(predictions(fitted, on.data), on.data), 0.2);
  // The same with times in microseconds: their squared gains are those that the options mean.
  const arrays from(on.steps, on.data, on.train);
  const auto microseconds = each(from.times, [](double t) { return t * 1e6; });
  const auto by_hand =
      fit_boosted_trees({.x = from.columns(), .labels = microseconds}, tree_loss::squared(), few::options());
  EXPECT_EQ(fitted.ensemble().leaves(), by_hand.ensemble.leaves());
}

TEST(Trees, OfEveryObjectivePredictPositiveTimesCloseToTheTruth) {
  const setting& on = made();
  const auto expect_close = [&]<class Objective>(double limit) {
    const auto predicted = predictions(trees<tiny::mixture, Objective, few>::fit(on.data, on.train), on.data);
    EXPECT_GT(*std::min_element(predicted.begin(), predicted.end()), 0.0) << Objective::name;
    EXPECT_LT(mape(predicted, on.data), limit) << Objective::name;
  };
  // The noise alone has a mean of 8 %.
  expect_close.operator()<objective::log_target>(0.1);
  expect_close.operator()<objective::relative>(0.1);
  expect_close.operator()<objective::gamma_deviance>(0.1);
  expect_close.operator()<objective::poisson_deviance>(0.1);
  expect_close.operator()<objective::pseudo_huber<objective::log_target, 0.1_c>>(0.1);
}

/// Labels spread over 40 δ: without a bound on its leaves the fit diverges (a mean error of 2450 %).
TEST(Trees, OfARobustLossConvergeFromFarBeyondItsDelta) {
  const setting& on = made();
  const auto predicted = predictions(
      trees<tiny::mixture, objective::pseudo_huber<objective::log_target, 0.05_c>, few>::fit(on.data, on.train),
      on.data);
  EXPECT_LT(mape(predicted, on.data), 0.12);
}

struct unbounded_steps {
  static boosting_options options() { return {.rounds = 30, .max_depth = 4, .max_leaf_step = 0.0}; }
};
TEST(Trees, LeaveABoundOnLeavesThatThePolicySets) {
  const auto options =
      rafter::detail::options_for<tiny::mixture_t::set_type, objective::pseudo_huber<objective::log_target, 0.05_c>,
                                  unbounded_steps>();
  EXPECT_EQ(options.max_leaf_step, 0.0);
}

TEST(Trees, OfAQuantileHaveThatShareOfTheirTrainingRowsBelow) {
  const setting& on = made();
  const auto expect_share = [&]<class Objective>(double level) {
    const auto predicted = predictions(trees<tiny::mixture, Objective, few>::fit(on.data, on.train), on.data);
    std::size_t below = 0;
    on.train.for_each([&](std::size_t row) { below += on.data.target()[row] <= predicted[row]; });
    EXPECT_NEAR(static_cast<double>(below) / static_cast<double>(on.train.size()), level, 0.04);
  };
  expect_share.operator()<objective::quantile<objective::log_target, 0.1_c>>(0.1);
  expect_share.operator()<objective::quantile<objective::log_target, 0.5_c>>(0.5);
  expect_share.operator()<objective::quantile<objective::squared, 0.9_c>>(0.9);
}

struct rising_tokens : few {
  static std::vector<tree_constraint> constraints() { return {{"decode_tokens", +1}, {"kv_usage_ratio", -1}}; }
};
struct misspelt : few {
  static std::vector<tree_constraint> constraints() { return {{"decode_token", +1}}; }
};

TEST(Trees, ObeyConstraintsByName) {
  const setting& on = made();
  const auto free = by_log::fit(on.data, on.train);
  const auto bound = trees<tiny::mixture, objective::log_target, rising_tokens>::fit(on.data, on.train);
  std::size_t free_falls = 0;
  for (std::size_t row = 0; row < 200; ++row) {
    engine_step s = on.steps[row];
    const deployment& engine = tiny::engines()[s.engine];
    double last = 0.0, last_free = 0.0;
    for (int decoding = 1; decoding <= 70; ++decoding) {
      s.decode_tokens = decoding;
      const double now = bound.predict(s, engine).value, now_free = free.predict(s, engine).value;
      ASSERT_GE(now, last) << row;
      free_falls += now_free < last_free;
      last = now;
      last_free = now_free;
    }
    s = on.steps[row];
    last = 1e9;
    for (int usage = 0; usage <= 50; ++usage) {
      s.kv_usage_ratio = usage / 50.0;
      // A product with it rises where there are prompts: hold that product's other factor at zero.
      s.prefill_tokens = 0.0;
      const double now = bound.predict(s, engine).value;
      ASSERT_LE(now, last) << row;
      last = now;
    }
  }
  EXPECT_GT(free_falls, 0U);  // the constraint has something to forbid
}

TEST(Trees, RefuseAConstraintOnAFeatureThatTheyLack) {
  const setting& on = made();
  const auto why = message_of([&] { trees<tiny::mixture, objective::log_target, misspelt>::fit(on.data, on.train); });
  EXPECT_NE(why.find("'decode_token', which is not among those of the trees"), std::string::npos) << why;
  EXPECT_NE(why.find("decode_tokens"), std::string::npos) << why;
}

struct steep : few {
  static std::vector<tree_constraint> constraints() { return {{"decode_tokens", 257}}; }  // 1 as a signed byte
};
TEST(Trees, RefuseAConstraintOfNoDirection) {
  const setting& on = made();
  EXPECT_NE(message_of([&] { trees<tiny::mixture, objective::log_target, steep>::fit(on.data, on.train); }),
            "no exception");
}

TEST(Trees, SayWhatTheyAre) {
  EXPECT_EQ(by_log::name(), "30 boosted trees of depth 4 on 6 features, log ratio");
  const setting& on = made();
  const auto summary = by_log::fit(on.data, on.train).summary();
  EXPECT_EQ(summary.rows, on.train.size());
  EXPECT_EQ(summary.parameters, by_log::fit(on.data, on.train).ensemble().leaves());
  EXPECT_EQ(summary.status, "30 trees");
}

struct coded_t : decltype(feature_set{"tokens"_f = prefill_tokens, "code"_f = model_code}) {};
inline constexpr coded_t coded{};

TEST(Trees, NameTheFeatureThatIdentifiesAGroup) {
  EXPECT_EQ((trees<coded>::reads_identity(group::model)), "code");
  EXPECT_EQ((trees<coded>::reads_identity(group::workload)), "");
  EXPECT_EQ((identity_allowed<trees<coded>>::reads_identity(group::model)), "");
  EXPECT_EQ((identity_allowed<trees<coded>>::name()),
            trees<coded>::name() + ", features that identify groups allowed");
}

struct lengths_t : decltype(feature_set{"tokens"_f = prefill_tokens, "kv"_f = kv_sum}) {};
inline constexpr lengths_t lengths{};

TEST(Trees, NameTheObservableThatASchemaLacks) {
  EXPECT_EQ((trees<lengths>::missing_on<tiny::aggregated>()), "kv_sum");
  EXPECT_EQ((by_log::missing_on<tiny::aggregated>()), "");
}

TEST(Trees, RefuseAnEnsembleOfOtherFeatures) {
  using predictor = trees_predictor<tiny::mixture_t::set_type, objective::log_target>;
  const setting& on = made();
  const tree_ensemble good = by_log::fit(on.data, on.train).ensemble();
  EXPECT_EQ(predictions(predictor(good), on.data), predictions(by_log::fit(on.data, on.train), on.data));
  tree_ensemble other = good;
  other.feature_names[1] = "depth";
  EXPECT_EQ(message_of([&] { predictor{other}; }),
            "feature 1 of the ensemble is 'depth', of the feature set 'layers'");
  other.feature_names.clear();
  EXPECT_EQ(message_of([&] { predictor{other}; }), "no exception");
  other.feature_names.assign(width + 1, "prefill_tokens");
  EXPECT_NE(message_of([&] { predictor{other}; }), "no exception");
  other.feature_names.clear();
  other.features = width + 1;
  EXPECT_EQ(message_of([&] { predictor{other}; }), "the ensemble has 7 features, the feature set 6");
}

}  // namespace
