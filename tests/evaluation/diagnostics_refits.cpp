// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>

#include "rafter/evaluation/diagnostics/ablation.hpp"
#include "rafter/evaluation/diagnostics/learning_curve.hpp"
#include "rafter/solver/ridge.hpp"
#include "rafter/validation/leave_one_group_out.hpp"
#include "support/engine_steps.hpp"
#include "support/made_errors.hpp"

namespace {
using namespace rafter;
using namespace rafter::literals;
using data_type = dataset<tiny::aggregated>;

struct line : linear<tiny::mixture, ridge<1>> {
  static constexpr std::string_view label = "line";
};
struct few {
  static boosting_options options() {
    return {.rounds = 12, .max_depth = 3, .subsample = 0.8, .columns_per_tree = 0.7, .seed = 5};
  }
  static std::vector<tree_constraint> constraints() { return {{"decode_tokens", +1}}; }
  static constexpr double validation_share = 0.2;
};
struct forest : trees<tiny::mixture, objective::log_target, few> {
  static constexpr std::string_view label = "forest";
};

// The same without some features, as feature sets of their own.
struct no_prefill : decltype(without<"prefill_tokens">(tiny::mixture)) {};
inline constexpr no_prefill without_prefill{};
struct no_tokens : decltype(without<"decode_tokens">(without_prefill)) {};
inline constexpr no_tokens without_tokens{};
struct no_usage : decltype(without<"kv_usage_ratio">(tiny::mixture)) {};
inline constexpr no_usage without_usage{};

const ablated_features& find(const std::vector<ablated_features>& all, const std::string& name) {
  for (const ablated_features& one : all) {
    if (one.dropped == name) return one;
  }
  throw std::runtime_error(name);
}
void expect_evaluation(const ablated_features& found, const predictor_result& expected, double tolerance) {
  ASSERT_EQ(found.mapes.size(), expected.folds.size());
  for (std::size_t f = 0; f < found.mapes.size(); ++f) {
    EXPECT_NEAR(found.mapes[f], expected.folds[f].errors.mape, tolerance) << found.dropped << ", fold " << f;
  }
  EXPECT_NEAR(found.mean_mape, expected.mean_mape(), tolerance);
  EXPECT_NEAR(found.worst_mape, expected.worst_mape(), tolerance);
}

TEST(Ablation, OfALineIsTheEvaluationOfTheSmallerFeatureSets) {
  const data_type data = tiny::noisy_steps(400, 3);
  const auto folds = lomo{}.folds(data);
  const std::vector<feature_group> groups{{"tokens", {"prefill_tokens", "decode_tokens", "of another set"}},
                                          {"others", {"of another set"}},
                                          group_of("all", tiny::mixture)};
  const ablation_result found = ablation<line>(data, folds, groups);
  EXPECT_EQ(found.predictor, "line");
  ASSERT_EQ(found.features.size(), tiny::mixture_t::size);
  expect_evaluation(found.baseline, evaluate_on_folds<line>(data, folds).result, 1e-9);
  expect_evaluation(find(found.features, "prefill_tokens"),
                    evaluate_on_folds<linear<without_prefill, ridge<1>>>(data, folds).result, 1e-9);
  expect_evaluation(find(found.groups, "tokens"),
                    evaluate_on_folds<linear<without_tokens, ridge<1>>>(data, folds).result, 1e-9);
  EXPECT_EQ(find(found.groups, "tokens").features, 2U);
  EXPECT_FALSE(find(found.groups, "others").refused.empty());
  EXPECT_FALSE(find(found.groups, "all").refused.empty());
  for (std::size_t i = 1; i < found.features.size(); ++i) {
    EXPECT_GE(found.features[i - 1].mean_change, found.features[i].mean_change);
  }
  const ablated_features& one = find(found.features, "prefill_tokens");
  EXPECT_DOUBLE_EQ(one.mean_change, one.mean_mape - found.baseline.mean_mape);
  EXPECT_DOUBLE_EQ(one.worst_change, one.worst_mape - found.baseline.worst_mape);
}

TEST(Ablation, OfTreesIsTheEvaluationOfTheSmallerFeatureSetBitForBit) {
  const data_type data = tiny::noisy_steps(300, 5);
  const auto folds = lomo{}.folds(data);
  const ablation_result found = ablation<forest>(data, folds);
  expect_evaluation(found.baseline, evaluate_on_folds<forest>(data, folds).result, 0.0);
  expect_evaluation(find(found.features, "kv_usage_ratio"),
                    evaluate_on_folds<trees<without_usage, objective::log_target, few>>(data, folds).result, 0.0);
  // The constraint names a feature that is gone: it cannot be evaluated as a set of its own, and is fitted here.
  EXPECT_TRUE(find(found.features, "decode_tokens").refused.empty());
  const report_section section = ablation_section({found}, 3);
  EXPECT_NE(section.summary.find("forest loses most without " + found.features.front().dropped), std::string::npos);
  EXPECT_EQ(tiny::first_block<captioned_table>(section)->table.rows().size(), 3U);
}

TEST(Ablation, DoesNotDependOnTheNumberOfThreads) {
  const data_type data = tiny::noisy_steps(300, 5);
  const auto folds = lomo{}.folds(data);
  std::vector<std::size_t> told;
  const ablation_result one = ablation<line>(data, folds);
  const ablation_result two = ablation<line>(
      data, folds, {},
      {.progress = [&](std::string_view, std::size_t done, std::size_t) { told.push_back(done); }, .threads = 3});
  EXPECT_EQ(told, (std::vector<std::size_t>{0, 1, 2, 3, 4}));
  ASSERT_EQ(one.features.size(), two.features.size());
  for (std::size_t i = 0; i < one.features.size(); ++i) {
    EXPECT_EQ(one.features[i].dropped, two.features[i].dropped);
    EXPECT_EQ(one.features[i].mapes, two.features[i].mapes);
  }
}

TEST(LearningCurve, GrowsByNestedPartsAndEndsAtTheEvaluation) {
  const data_type data = tiny::noisy_steps(400, 7);
  const auto folds = lomo{}.folds(data);
  std::vector<std::size_t> none;
  const std::vector<double> fractions{0.1, 0.5, 1.0};
  const auto parts = detail::nested_parts(folds[0].train, nullptr, fractions, 4, none);
  const auto rows = static_cast<double>(folds[0].train.size());
  EXPECT_EQ(parts[0].size(), static_cast<std::size_t>(std::ceil(0.1 * rows)));
  EXPECT_EQ(parts[0] & parts[1], parts[0]);
  EXPECT_EQ(parts[2], folds[0].train);
  const learning_curve_result curve =
      learning_curve<line>(data, folds, {.fractions = fractions, .by = {}, .seed = 4, .threads = 1});
  ASSERT_EQ(curve.points.size(), 3U);
  EXPECT_EQ(curve.by, "rows");
  EXPECT_EQ(curve.predictor, "line");
  const predictor_result full = evaluate_on_folds<line>(data, folds).result;
  std::vector<fold> half = folds;
  for (fold& one : half) one.train = detail::nested_parts(one.train, nullptr, fractions, 4, none)[1];
  const predictor_result on_half = evaluate_on_folds<line>(data, half).result;
  EXPECT_EQ(curve.points[2].mean_mape, full.mean_mape());
  EXPECT_EQ(curve.points[2].worst_mape, full.worst_mape());
  EXPECT_EQ(curve.points[1].mean_mape, on_half.mean_mape());
  EXPECT_EQ(curve.points[1].folds, folds.size());
}

TEST(LearningCurve, ByGroupsTakesWholeGroups) {
  const data_type data = tiny::noisy_steps(400, 7);
  const fold part = lomo{}.folds(data)[0];
  const group_column& models = data.groups(group::model);
  std::vector<std::size_t> groups;
  const auto parts = detail::nested_parts(part.train, &models, {0.3, 0.6, 1.0}, 2, groups);
  EXPECT_EQ(groups, (std::vector<std::size_t>{1, 2, 3}));
  for (std::size_t k = 0; k < 3; ++k) {
    std::size_t found = 0;
    for (std::uint32_t code = 0; code < models.count(); ++code) {
      const row_set of = part.train & models.rows_of(code);
      const row_set taken = parts[k] & of;
      EXPECT_TRUE(taken.empty() || taken == of);
      found += taken.empty() ? 0U : 1U;
    }
    EXPECT_EQ(found, groups[k]);
  }
  EXPECT_EQ(parts[0] & parts[1], parts[0]);
  EXPECT_EQ(parts[2], part.train);
  const learning_curve_result curve =
      learning_curve<line>(data, {part}, {.fractions = {0.3, 1.0}, .by = group::model, .seed = 2, .threads = 1});
  EXPECT_EQ(curve.points[0].groups, 1.0);
  const report_section section = learning_curve_section({curve});
  EXPECT_EQ(tiny::first_block<plot>(section)->id, "learning-curve-by-model");
  EXPECT_THROW(learning_curve<line>(data, {part}, {.by = group::rig}), evaluation_error);
}

/// Refuses to fit few rows.
struct hungry {
  static constexpr std::string_view label = "hungry";
  static std::string name() { return "hungry"; }
  static constexpr std::string_view reads_identity(group) { return {}; }
  template <class Schema> static auto fit(const dataset<Schema>& data, const row_set& rows) {
    if (rows.size() < 100) throw fit_error("too few rows for its taste");
    return line::fit(data, rows);
  }
};
TEST(LearningCurve, CountsPartsThatCannotBeFitted) {
  const data_type data = tiny::noisy_steps(300, 9);
  const learning_curve_result curve =
      learning_curve<hungry>(data, lomo{}.folds(data), {.fractions = {0.1, 1.0}, .by = {}, .seed = 1, .threads = 1});
  EXPECT_EQ(curve.points[0].folds, 0U);
  EXPECT_TRUE(std::isnan(curve.points[0].mean_mape));
  EXPECT_NE(curve.points[0].refused.find("too few rows"), std::string::npos);
  EXPECT_EQ(curve.points[1].folds, 4U);
  const report_section section = learning_curve_section({curve});
  EXPECT_NE(tiny::first_block<bullet_list>(section), nullptr);
  EXPECT_EQ(tiny::first_block<plot>(section)->series[0].x.size(), 1U);
}

/// Fits anything, and predicts what is no number.
struct speechless {
  static constexpr std::string_view label = "speechless";
  static std::string name() { return "speechless"; }
  struct fitted {
    fit_summary summary() const { return {}; }
    template <class Schema> void predict(const dataset<Schema>&, const row_set&, std::span<double> out) const {
      std::fill(out.begin(), out.end(), std::nan(""));
    }
  };
  template <class Schema> static fitted fit(const dataset<Schema>&, const row_set&) { return {}; }
};
TEST(LearningCurve, SaysOfAnUndefinedErrorThatItIsNoRefusal) {
  const data_type data = tiny::noisy_steps(300, 9);
  const learning_curve_result curve =
      learning_curve<speechless>(data, lomo{}.folds(data), {.fractions = {1.0}, .by = {}, .seed = 1, .threads = 1});
  EXPECT_EQ(curve.points[0].folds, 0U);
  EXPECT_EQ(curve.points[0].undefined, 4U);
  EXPECT_TRUE(curve.points[0].refused.empty());
  const report_section section = learning_curve_section({curve});
  ASSERT_NE(tiny::first_block<bullet_list>(section), nullptr);
  EXPECT_NE(tiny::first_block<bullet_list>(section)->items[0].find("not a number in 4 of 4 folds"),
            std::string::npos);
}

TEST(Ablation, PutsUnknownChangesLast) {
  ablation_result made;
  made.predictor = "p";
  made.baseline.mapes = {0.1, 0.1};
  const double unknown = std::nan("");
  for (const double mape : {0.2, unknown, 0.4, unknown, 0.3, 0.1}) {
    ablated_features& one = made.features.emplace_back();
    one.dropped = std::to_string(made.features.size());
    one.mapes = {mape, 0.2};
  }
  detail::finish_ablation(made);
  std::string order;
  for (const ablated_features& one : made.features) order += one.dropped;
  EXPECT_EQ(order, "351624");
  EXPECT_NE(ablation_section({made}).summary.find("without 3"), std::string::npos);
}

}  // namespace
