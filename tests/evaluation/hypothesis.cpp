// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/evaluation/hypothesis.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "support/message.hpp"

namespace {

using namespace rafter::hypotheses;
using rafter::evaluation_report, rafter::fold_result, rafter::predictor_result, rafter::row_set, rafter::step_view;

/// Two rows for each (fold, label), each predicted with the given relative error: of model "a" or "b" alternately.
struct made_evaluation {
  evaluation_report report;
  step_view view;

  made_evaluation() {
    report.split = "lomo";
    view.groups[static_cast<std::size_t>(group::model)].emplace();
    view.groups[static_cast<std::size_t>(group::routing)].emplace();
  }
  /// @param errors  signed, of the folds "f0", "f1", ...; each is of two rows, +error and +error
  made_evaluation& with(std::string name, std::initializer_list<double> errors) {
    predictor_result& one = report.results.emplace_back();
    one.predictor = std::move(name);
    std::size_t row = 0;
    for (const double error : errors) {
      fold_result& part = one.folds.emplace_back();
      part.held_out = "f" + std::to_string(one.folds.size() - 1);
      part.rows = 2;
      part.fit.parameters = 4;
      part.predictions.rows = row_set::of({row, row + 1});
      part.predictions.actual = {1.0, 2.0};
      part.predictions.predicted = {1.0 * (1.0 + error), 2.0 * (1.0 + error)};
      part.errors = rafter::summarize_errors(part.predictions.actual, part.predictions.predicted);
      row += 2;
    }
    while (view.rows < row) {  // f0 and f1 are dense, later ones mixtures; each fold has a row of a and one of b
      view.groups[static_cast<std::size_t>(group::model)]->push_back(view.rows % 2 == 0 ? "a" : "b");
      view.groups[static_cast<std::size_t>(group::routing)]->push_back(view.rows < 4 ? "dense" : "moe");
      ++view.rows;
    }
    return *this;
  }
  evidence known(std::string name = "lomo") const { return {{std::move(name), &report, &view}}; }
};

truth asked(const condition& what, const evidence& known) { return what(scope{.known = &known}).holds; }
evidence_line line_of(const condition& what, const evidence& known) {
  return what(scope{.known = &known}).lines.at(0);
}
std::string why(const condition& what, const evidence& known) { return what(scope{.known = &known}).why_unknown; }

made_evaluation three() { return made_evaluation().with("good", {0.05, -0.10, 0.15}).with("bad", {0.5, 0.1, -0.6}); }

// ---- three values -----------------------------------------------------------------------------------------------

TEST(Truth, IsKleenesLogic) {
  using enum truth;
  const truth all[] = {no, unknown, yes};
  const truth both[3][3] = {{no, no, no}, {no, unknown, unknown}, {no, unknown, yes}};
  const truth either[3][3] = {{no, unknown, yes}, {unknown, unknown, yes}, {yes, yes, yes}};
  for (int i = 0; i < 3; ++i) {
    for (int j = 0; j < 3; ++j) {
      EXPECT_EQ(all_of(all[i], all[j]), both[i][j]);
      EXPECT_EQ(any_of(all[i], all[j]), either[i][j]);
    }
  }
  EXPECT_EQ(negated(no), yes);
  EXPECT_EQ(negated(unknown), unknown);
  EXPECT_EQ(negated(yes), no);
}
TEST(Conditions, JoinByTheSameLogicAndKeepWhatIsUnknown) {
  const auto made = three();
  const evidence known = made.known();
  const condition yes = of("good", every_fold(mape < 20_pct)), no = of("bad", every_fold(mape < 20_pct)),
                  nobody = of("nobody", every_fold(mape < 20_pct));
  EXPECT_EQ(asked(yes && no, known), truth::no);
  EXPECT_EQ(asked(yes && nobody, known), truth::unknown);
  EXPECT_EQ(asked(no && nobody, known), truth::no);
  EXPECT_EQ(asked(yes || nobody, known), truth::yes);
  EXPECT_EQ(asked(no || nobody, known), truth::unknown);
  EXPECT_EQ(asked(!nobody, known), truth::unknown);
  EXPECT_EQ(asked(!no, known), truth::yes);
  EXPECT_NE(why(yes && nobody, known).find("no predictor 'nobody'"), std::string::npos);
  EXPECT_EQ(why(no && nobody, known), "") << "what is decided needs no excuse";
}

// ---- quantifiers ------------------------------------------------------------------------------------------------

TEST(Quantifiers, OfFoldsNameTheFoldThatDecides) {
  const auto made = three();
  const evidence known = made.known();
  const evidence_line holds = line_of(of("good", every_fold(mape < 20_pct)), known);
  EXPECT_EQ(holds.holds, truth::yes);
  EXPECT_EQ(holds.decided_by, "f2");  // the nearest to the threshold
  EXPECT_NEAR(holds.measured, 0.15, 1e-12);
  EXPECT_NEAR(holds.margin, 0.05, 1e-12);
  const evidence_line fails = line_of(of("bad", every_fold(mape < 20_pct)), known);
  EXPECT_EQ(fails.holds, truth::no);
  EXPECT_EQ(fails.decided_by, "f2");  // the farthest beyond it: 60 %
  EXPECT_NEAR(fails.margin, -0.4, 1e-12);
  const evidence_line any = line_of(of("bad", any_fold(mape > 55_pct)), known);
  EXPECT_EQ(any.holds, truth::yes);
  EXPECT_EQ(any.decided_by, "f2");
  EXPECT_EQ(asked(of("good", any_fold(mape > 15.1_pct)), known), truth::no);
}
TEST(Quantifiers, TakeSeveralComparisonsOfTheSameRows) {
  const auto made = three();
  const evidence known = made.known();
  EXPECT_EQ(asked(of("good", every_fold(mape < 20_pct && abs(mspe) < 12_pct)), known), truth::no);
  EXPECT_EQ(asked(of("good", any_fold(mape > 12_pct && mspe < 0_pct)), known), truth::no) << "in different folds";
  EXPECT_EQ(asked(of("good", any_fold(mape > 12_pct || mspe < 0_pct)), known), truth::yes);
  EXPECT_EQ(asked(of("good", every_fold(!(mape > 20_pct))), known), truth::yes);
  const finding found = of("good", every_fold(mape < 20_pct && mspe < 12_pct))(scope{.known = &known});
  ASSERT_EQ(found.lines.size(), 3U);
  EXPECT_EQ(found.lines[0].decided_by, "f2");
  EXPECT_EQ(found.lines[1].holds, truth::yes);
  EXPECT_EQ(found.lines[2].holds, truth::no);
  EXPECT_EQ(found.lines[2].condition, "mspe < 12 %");
}
TEST(Quantifiers, OfLabelsGoOverTheRowsOfAllFolds) {
  auto made = three();
  for (fold_result& one : made.report.results[0].folds) {  // model b is predicted twice too long
    one.predictions.predicted[1] = 2.0 * one.predictions.actual[1];
  }
  const evidence known = made.known();
  const evidence_line line = line_of(of("good", every(labels_of(group::model), mape < 50_pct)), known);
  EXPECT_EQ(line.holds, truth::no);
  EXPECT_EQ(line.decided_by, "b");
  EXPECT_NEAR(line.measured, 1.0, 1e-12);
  EXPECT_EQ(asked(of("good", any(labels_of(group::model), mape < 11_pct)), known), truth::yes);  // a: (5+10+15)/3 %
}
TEST(Quantifiers, CountFoldsLabelsAndCombinations) {
  const auto made = three();
  const evidence known = made.known();
  EXPECT_EQ(asked(of("good", count_of(folds(), mape < 12_pct) >= 2), known), truth::yes);
  EXPECT_EQ(asked(of("good", count_of(folds(), mape < 12_pct) > 2), known), truth::no);
  EXPECT_EQ(line_of(of("good", count_of(folds(), mape < 12_pct) > 2), known).measured, 2.0);
  EXPECT_EQ(
      line_of(of("good", count_of(labels_of(group::model, group::routing), mape < 12_pct) >= 2), known).measured,
      2.0);  // a and b of dense: 7.5 %; of moe: 15 %
  EXPECT_EQ(asked(of("good", share_of(labels_of(group::model, group::routing), mape < 12_pct) >= 50_pct), known),
            truth::yes);
  EXPECT_EQ(asked(of("good", share_of(folds(), mape < 12_pct) >= out_of(12, 16)), known), truth::no);
}
TEST(Quantifiers, DoNotCountToMoreThanThereAre) {
  const auto made = three();
  const evidence known = made.known();
  EXPECT_EQ(asked(of("good", count_of(folds(), mape < 90_pct) >= 12), known), truth::unknown);
  EXPECT_EQ(why(of("good", count_of(folds(), mape < 90_pct) >= 12), known), "there are only 3 folds");
  EXPECT_EQ(asked(of("good", count_of(folds(), mape < 90_pct) < 12), known), truth::yes);
}
TEST(Quantifiers, NarrowToTheRowsOfALabel) {
  const auto made = three();
  const evidence known = made.known();
  EXPECT_EQ(asked(of("bad", every(folds().where(group::routing, "dense"), mape < 55_pct)), known), truth::yes);
  EXPECT_EQ(asked(of("bad", every(folds().where(group::routing, "moe"), mape < 55_pct)), known), truth::no);
  EXPECT_EQ(why(of("bad", every(folds().where(group::routing, "dens"), mape < 55_pct)), known),
            "no routing is 'dens'; did you mean 'dense'?");
  EXPECT_EQ(asked(of("good", every(folds().where(group::routing, "moe").at_least(2), mape < 55_pct)), known),
            truth::unknown);
  EXPECT_EQ(why(of("good", every(fold_of("f0").where(group::routing, "moe").at_least(0), mape < 20_pct)), known),
            "there are no rows of fold 'f0' of routing moe");
  row_sets none = fold_of("f0").where(group::routing, "moe");
  none.fewest = 0;
  EXPECT_EQ(asked(of("good", any(none, mape < 20_pct)), known), truth::unknown);
  EXPECT_NE(why(of("good", every(folds().at_least(4), mape < 55_pct)), known).find("there are 3 folds, fewer than 4"),
            std::string::npos);
}
TEST(Quantifiers, OfPredictorsAskEach) {
  const auto made = three();
  const evidence known = made.known();
  EXPECT_EQ(asked(of_each({"good", "bad"}, every_fold(mape < 20_pct)), known), truth::no);
  EXPECT_EQ(asked(of_any({"bad", "good"}, every_fold(mape < 20_pct)), known), truth::yes);
  EXPECT_THROW(of_each({}, every_fold(mape < 20_pct)), hypothesis_error);
}

// ---- quantities -------------------------------------------------------------------------------------------------

TEST(Quantities, AreTheAveragesOfTheReport) {
  const auto made = three();
  const evidence known = made.known();
  const auto value_of = [&](const fraction& what) { return of("bad", what)(scope{.known = &known}).value; };
  const predictor_result& bad = made.report.results[1];
  EXPECT_DOUBLE_EQ(value_of(mean_over_folds(mape)), bad.mean_mape());
  EXPECT_DOUBLE_EQ(value_of(median_over_folds(mape)), bad.median_mape());
  EXPECT_DOUBLE_EQ(value_of(worst_fold(mape)), bad.worst_mape());
  EXPECT_NEAR(value_of(in_fold("f1", mape)), 0.1, 1e-12);
  EXPECT_NEAR(value_of(pooled(mspe)), 0.0, 1e-12);
  EXPECT_NEAR(value_of(pooled(abs(mspe))), 0.0, 1e-12);
  EXPECT_NEAR(value_of(mean_over(labels_of(group::routing), mape)), 0.45, 1e-12);  // (30 + 60)/2 %
  EXPECT_EQ(why(of("bad", in_fold("f9", mape) < 1_pct), known).find("no fold holds out 'f9'"), 0U);
}
TEST(Quantities, Calculate) {
  const auto made = three();
  const evidence known = made.known();
  const auto good = of("good", mean_over_folds(mape)), bad = of("bad", mean_over_folds(mape));  // 10 %, 40 %
  EXPECT_EQ(asked(bad / good > 3.99, known), truth::yes);
  EXPECT_EQ(asked(bad / good > 4.01, known), truth::no);
  EXPECT_EQ(asked(bad - good < 30.1_pct, known), truth::yes);
  EXPECT_EQ(asked(good < bad, known), truth::yes);
  EXPECT_EQ(asked(bad <= good + 29_pct, known), truth::no);
  EXPECT_EQ(asked(within(31_pct, bad, good), known), truth::yes);
  EXPECT_EQ(asked(within(29_pct, bad, good), known), truth::no);
  EXPECT_EQ(asked(bad / good * of("good", parameter_count()) > 15.9, known), truth::yes);
  EXPECT_EQ(asked(bad / of("nobody", mean_over_folds(mape)) > 1, known), truth::unknown);
}
struct bad_estimator {
  static constexpr std::string_view label = "bad";
};
TEST(Quantities, ComparePredictors) {
  const auto made = three();
  const evidence known = made.known();
  EXPECT_EQ(asked(of("good", better_than("bad")), known), truth::yes);
  EXPECT_EQ(asked(of("bad", better_than("good", worst_fold(mape))), known), truth::no);
  EXPECT_EQ(asked(of("good", better_than<bad_estimator>()), known), truth::yes);
  const evidence_line line = line_of(of("good", better_than("bad")), known);
  EXPECT_NEAR(line.measured, 0.1, 1e-12);
  EXPECT_NEAR(line.threshold, 0.4, 1e-12);
}

struct largest_error {  // a metric of one's own, in the unit of the target
  static constexpr std::string_view name = "largest_error", label = "largest error";
  static constexpr bool higher_is_better = false;
  static constexpr double ideal = 0.0;
  static constexpr rafter::metric_unit unit = rafter::metric_unit::target_unit;
  static double evaluate(std::span<const double> actual, std::span<const double> predicted) {
    return rafter::archetype::metric::evaluate(actual, predicted);
  }
};
TEST(Measures, AreAnyMetric) {
  using namespace rafter::literals;
  auto made = three();
  {
    const evidence known = made.known();
    EXPECT_EQ(asked(of("good", every_fold(value<largest_error> < 400_ms)), known), truth::yes);
    EXPECT_EQ(asked(of("good", every_fold(value<largest_error> < 200_ms)), known), truth::no);  // 2 s · 15 %
    EXPECT_EQ(asked(of("good", every_fold(rafter::mape{} < 20_pct)), known), truth::yes);
    EXPECT_EQ(asked(of("good", every_fold(pearson > 0.9)), known), truth::yes);
  }
  for (fold_result& one : made.report.results[0].folds) one.predictions = {};
  const evidence known = made.known();
  EXPECT_EQ(asked(of("good", every_fold(mape < 20_pct)), known), truth::yes) << "the summary has it";
  EXPECT_EQ(why(of("good", every_fold(value<largest_error> < 400_ms)), known),
            "the predictions of good were not kept");
}

predictor_result with_factors(std::initializer_list<std::pair<double, double>> values,
                              rafter::parameter_state second) {
  predictor_result made;
  made.predictor = "physics";
  for (const auto& [a, b] : values) {
    fold_result& one = made.folds.emplace_back();
    one.held_out = "f" + std::to_string(made.folds.size() - 1);
    one.parameters.push_back({.name = "gemm_factor", .unit = "1", .value = a, .note = {}});
    one.parameters.push_back({.name = "attention_factor", .unit = "1", .value = b, .state = second, .note = {}});
    one.parameters.push_back({.name = "overhead", .unit = "s", .value = 100.0 * a * a * a, .note = {}});
  }
  return made;
}
TEST(Variation, IsTheLargestOfTheSelectedParameters) {
  using enum rafter::parameter_state;
  made_evaluation made;
  made.report.results = {with_factors({{1.0, 2.0}, {1.2, 2.2}}, determined)};
  const evidence known = made.known();
  const evidence_line line = line_of(coefficient_of_variation(factors) < 0.3, known);
  EXPECT_EQ(line.holds, truth::yes);
  EXPECT_EQ(line.decided_by, "gemm_factor");
  EXPECT_NEAR(line.measured, std::sqrt(0.02) / 1.1, 1e-12);
  EXPECT_EQ(asked(coefficient_of_variation(all_parameters) < 0.3, known), truth::no);  // overhead: 0.38
  EXPECT_EQ(asked(coefficient_of_variation(parameter("attention_factor")) < 0.07, known), truth::yes);
  EXPECT_EQ(why(coefficient_of_variation(parameter("gem_factor")) < 0.3, known),
            "physics has no parameter 'gem_factor'; did you mean 'gemm_factor'?");
}
TEST(Variation, IsUnknownWhereAParameterIsNotDeterminedUnlessAnotherIsBeyondAnyway) {
  using enum rafter::parameter_state;
  made_evaluation made;
  made.report.results = {with_factors({{1.0, 2.0}, {1.2, 2.2}}, undetermined)};
  const evidence known = made.known();
  EXPECT_EQ(asked(coefficient_of_variation(factors) < 0.3, known), truth::unknown);
  EXPECT_EQ(why(coefficient_of_variation(factors) < 0.3, known), "attention_factor is not determined in all 2");
  EXPECT_EQ(asked(coefficient_of_variation(factors) < 0.1, known), truth::no);  // gemm_factor: 0.13
}
TEST(Importance, IsWhatWasGiven) {
  const auto made = three();
  evidence known = made.known();
  EXPECT_EQ(asked(of("good", importance_stable(0.8)), known), truth::unknown);
  known.evaluations[0].importances.push_back({"good", {.measure = "gain", .folds = 3, .k = 5, .spearman = 0.85}});
  EXPECT_EQ(asked(of("good", importance_stable(0.8)), known), truth::yes);
  EXPECT_EQ(asked(of("good", importance_stable(0.9)), known), truth::no);
  EXPECT_EQ(asked(of("good", importance_kendall() > 0.5), known), truth::unknown) << "undefined there";
}

// ---- what is unknown --------------------------------------------------------------------------------------------

TEST(Unknown, NamesWhatIsMissingAndWhatIsNear) {
  auto made = three();
  predictor_result& refused = made.report.results.emplace_back();
  refused.predictor = "roofline9";
  refused.refused = "it needs the observable 'kv_sum', which schema s does not carry";
  made.report.results.emplace_back().predictor = "empty";
  const evidence known = made.known();
  const condition test = every_fold(mape < 20_pct);
  EXPECT_EQ(why(of("goood", test), known), "no predictor 'goood' was evaluated under 'lomo'; did you mean 'good'?");
  EXPECT_EQ(
      why(of("roofline9", test), known),
      "roofline9 was not evaluated under 'lomo': it needs the observable 'kv_sum', which schema s does not carry");
  EXPECT_EQ(why(of("empty", test), known), "empty has no folds under 'lomo'");
  EXPECT_EQ(why(under("lowo", of("good", test)), known), "there is no evaluation 'lowo'; did you mean 'lomo'?");
  EXPECT_EQ(why(test, known), "it does not say of which predictor");
  EXPECT_EQ(why(of("good", any(labels_of(group::workload), mape < 20_pct)), known),
            "the data has no group 'workload'");
}
TEST(Unknown, IsWhatAMissingEvaluationSays) {
  const auto made = three();
  const evidence known{{"lomo", &made.report, &made.view},
                       {.name = "temporal", .why_not = "the rows have no order in time"}};
  const condition test = of("good", every_fold(mape < 20_pct));
  EXPECT_EQ(why(under("temporal", test), known), "no evaluation 'temporal': the rows have no order in time");
  EXPECT_EQ(why(test, known), "it does not say under which evaluation");
  EXPECT_EQ(asked(under("lomo", test), known), truth::yes);
  const evidence nothing;
  EXPECT_EQ(why(test, nothing), "there is no evaluation");
}
TEST(Unknown, IsAnErrorThatIsNotANumberUnlessAnotherFoldDecides) {
  auto made = three();
  made.report.results[0].folds[1].errors = {};  // NaN
  const evidence known = made.known();
  EXPECT_EQ(asked(of("good", every_fold(mape < 20_pct)), known), truth::unknown);
  EXPECT_EQ(why(of("good", every_fold(mape < 20_pct)), known), "an error of fold 'f1' is undefined");
  EXPECT_EQ(asked(of("good", every_fold(mape < 12_pct)), known), truth::no);
  EXPECT_EQ(asked(of("good", any_fold(mape < 12_pct)), known), truth::yes);
  EXPECT_EQ(asked(of("good", mean_over_folds(mape) < 90_pct), known), truth::unknown);
  EXPECT_EQ(asked(of("good", count_of(folds(), mape < 20_pct) >= 2), known), truth::yes);
  EXPECT_EQ(asked(of("good", count_of(folds(), mape < 20_pct) >= 3), known), truth::unknown);
}
TEST(Unknown, IsAnImplausibleTargetUnlessTakenAtFaceValue) {
  auto made = three();
  made.report.plausibility.audited = true;
  made.report.plausibility.target = "duration";
  made.report.plausibility.all = {"all", 100, 98, 0.1, 0.2, 1.0};
  const evidence known = made.known();
  const condition test = of("good", every_fold(mape < 20_pct));
  EXPECT_EQ(asked(test, known), truth::unknown);
  EXPECT_EQ(why(test, known),
            "the target 'duration' is implausible: 98.00 % of the rows are below the time to read the weights once");
  EXPECT_EQ(asked(at_face_value(test), known), truth::yes);
  EXPECT_EQ(asked(plausible_target(), known), truth::no);
}

// ---- text -------------------------------------------------------------------------------------------------------

TEST(Conditions, SayThemselves) {
  EXPECT_EQ(under("lomo", of("roofline9", every_fold(mape < 20_pct))).text(),
            "every_fold(mape < 20 %) of roofline9 under lomo");
  EXPECT_EQ(of("a", any_fold(abs(mspe) > 5_pct || !(mape < 7.5_pct)) && better_than("b")).text(),
            "(any_fold(abs(mspe) > 5 % || !(mape < 7.5 %)) && better_than(b, mean_over_folds(mape))) of a");
  EXPECT_EQ((count_of(labels_of(group::model, group::workload), mape < 10_pct) >= 12).text(),
            "count_of(models x workloads, mape < 10 %) >= 12");
  EXPECT_EQ((share_of(folds().where(group::routing, "moe"), mape < 10_pct) >= out_of(12, 16)).text(),
            "share_of(folds of routing moe, mape < 10 %) >= 12 of 16");
  EXPECT_EQ((of("t", mean_over_folds(mape)) / of("r", worst_fold(mape)) > 1.5).text(),
            "mean_over_folds(mape) of t / worst_fold(mape) of r > 1.5");
  EXPECT_EQ(within(2_pct, of("a", pooled(mape)), of("b", pooled(mape))).text(),
            "within(2 %, pooled(mape) of a, pooled(mape) of b)");
}

// ---- verdicts ---------------------------------------------------------------------------------------------------

hypothesis claim(const char* predictor, const condition& support, const condition& against) {
  return {
      .name = "1", .claim = "it works", .supported_if = of(predictor, support), .refuted_if = of(predictor, against)};
}
TEST(Verdicts, AreSixAndTheirTableIsKept) {
  const auto made = three();
  const evidence known = made.known();
  const condition yes = mean_over_folds(mape)<90_pct, no = mean_over_folds(mape)> 90_pct, dark = under("lowo", yes);
  const auto kind = [&](const condition& support, const condition& against,
                        const std::optional<condition>& success = std::nullopt,
                        const std::optional<condition>& circuit = std::nullopt) {
    hypothesis asked = claim("good", support, against);
    if (success) asked.success_metric = of("good", *success);
    if (circuit) asked.short_circuit_if = of("good", *circuit);
    return judge(asked, known).kind;
  };
  using enum rafter::verdict_kind;
  EXPECT_EQ(kind(yes, no), supported);
  EXPECT_EQ(kind(yes, no, yes), supported);
  EXPECT_EQ(kind(yes, no, no), weakly_supported);
  EXPECT_EQ(kind(yes, no, dark), weakly_supported);
  EXPECT_EQ(kind(yes, dark), weakly_supported);
  EXPECT_EQ(kind(yes && yes && no, no), weakly_supported);
  EXPECT_EQ(kind(yes && yes && dark, no), weakly_supported);
  EXPECT_EQ(kind(yes && no, no), not_supported) << "half is not most";
  EXPECT_EQ(kind(yes && yes && no, dark), not_supported);
  EXPECT_EQ(kind(no, no), not_supported);
  EXPECT_EQ(kind(no, dark), not_supported);
  EXPECT_EQ(kind(no, yes), refuted);
  EXPECT_EQ(kind(dark, yes), refuted);
  EXPECT_EQ(kind(dark, no), not_testable);
  EXPECT_EQ(kind(dark, dark), not_testable);
  EXPECT_EQ(kind(yes, no, std::nullopt, yes), short_circuited);
  EXPECT_EQ(kind(no, yes, std::nullopt, yes), short_circuited);
  EXPECT_EQ(kind(yes, no, std::nullopt, dark), supported);
  hypothesis circuit = claim("good", no, yes);
  circuit.short_circuit_if = of("good", yes);
  circuit.short_circuit_says = "ask another";
  EXPECT_EQ(judge(circuit, known).reason, "ask another; without that: refuted");
}
TEST(Verdicts, OfAContradictionAreErrorsThatNameTheHypothesis) {
  const auto made = three();
  const evidence known = made.known();
  const hypothesis both = claim("good", mean_over_folds(mape) < 90_pct, any_fold(mape > 1_pct));
  EXPECT_THROW(judge(both, known), hypothesis_error);
  EXPECT_EQ(
      message_of([&] { judge(both, known); }),
      "hypothesis '1' is both supported and refuted: (mean_over_folds(mape) < 90 %) of good and any_fold(mape > 1 %) "
      "of good both hold");
}
TEST(Verdicts, CarryTheirEvidenceAndSayItWithinAHundredColumns) {
  const auto made = three();
  hypothesis asked = claim("bad", every_fold(mape < 20_pct) && better_than("good"), any_fold(mape > 90_pct));
  asked.observed = {of("bad", pooled(mape)), of("bad", parameter_count())};
  const verdict found = judge(asked, made.known());
  EXPECT_EQ(found.conditions.size(), 2U);
  ASSERT_EQ(found.evidence.size(), 5U);
  EXPECT_EQ(found.evidence[0].role, "supported_if");
  EXPECT_EQ(found.evidence[2].role, "refuted_if");
  EXPECT_EQ(found.evidence[3].role, "observed");
  const std::string text = text_of(found);
  EXPECT_NE(text.find("    no      every_fold(mape < 20 %) of bad\n"
                      "              60.00 % (f2), 40.00 points above 20 %\n"),
            std::string::npos)
      << text;
  std::size_t longest = 0, start = 0;
  for (std::size_t end = text.find('\n'); end != std::string::npos; end = text.find('\n', start)) {
    longest = std::max(longest, end - start);
    start = end + 1;
  }
  EXPECT_LE(longest, 100U);
}
TEST(Verdicts, CallAValueTooCloseWhenItsIntervalHoldsTheThreshold) {
  const auto made = three();
  evidence known = made.known();
  known.interval = [](const interval_request& asked) -> std::optional<value_interval> {
    EXPECT_EQ(asked.predictor, "good");
    EXPECT_EQ(asked.evaluation, "lomo");
    EXPECT_EQ(asked.metric, "mape");
    const bool mean = asked.of == interval_request::statistic::mean;
    EXPECT_EQ(asked.sets.size(), mean ? 3U : 1U);
    const double value = asked.evaluate(asked.sets[0].actual, asked.sets[0].predicted);
    return value_interval{value - 0.06, value + 0.06};
  };
  const verdict found = judge(claim("good", every_fold(mape < 20_pct), mean_over_folds(mape) > 50_pct), known);
  EXPECT_EQ(found.kind, rafter::verdict_kind::supported);
  EXPECT_EQ(found.close_calls, 1U);
  EXPECT_TRUE(found.evidence[0].too_close);  // 15 ± 6 %
  EXPECT_FALSE(found.evidence[1].too_close);
  EXPECT_NE(text_of(found).find("TOO CLOSE TO CALL"), std::string::npos);
}
TEST(Section, BeginsWithTheVerdicts) {
  const auto made = three();
  const auto all = judge({claim("good", every_fold(mape < 20_pct), any_fold(mape > 90_pct)),
                          claim("bad", every_fold(mape < 20_pct), any_fold(mape > 50_pct)),
                          claim("nobody", every_fold(mape < 20_pct), any_fold(mape > 50_pct))},
                         made.known());
  const rafter::report_section section = rafter::hypotheses_section(all);
  EXPECT_EQ(section.id, "hypotheses");
  EXPECT_EQ(section.summary, "3 hypotheses: 1 supported, 1 refuted, 1 not testable on this data.");
  const auto& table = std::get<rafter::captioned_table>(section.blocks.at(0)).table;
  EXPECT_EQ(table.rows().at(1).at(1).text, "refuted");
  EXPECT_EQ(section.blocks.size(), 7U);
  EXPECT_EQ(rafter::hypotheses_section({}).blocks.size(), 1U);
}

}  // namespace
