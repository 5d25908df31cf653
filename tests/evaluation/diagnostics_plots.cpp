// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/evaluation/diagnostics/plots.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "rafter/evaluation/diagnose.hpp"
#include "support/made_errors.hpp"
#include "support/made_report.hpp"

namespace {
using namespace rafter;

evaluation_report report_on(const step_view& view) {
  evaluation_report report;
  const std::vector<double> error = tiny::made_errors(view.rows, 4);
  report.results.push_back(tiny::made_result("Good_one", view, [&](std::size_t row) { return error[row]; }));
  report.results.push_back(tiny::made_result("bad", view, [&](std::size_t row) { return 2.0 * error[row] - 0.1; }));
  return report;
}
plot only_plot(const report_section& section) { return *tiny::first_block<plot>(section); }

TEST(PlotIds, AreLowerCaseLettersDigitsAndHyphens) { EXPECT_EQ(detail::id_of("Ridge_30<a, b>"), "ridge-30-a-b"); }

TEST(Chosen, KeepsTheLargestAndDrawsEachOtherAlike) {
  std::vector<double> keys(1000, 0.0);
  keys[17] = keys[400] = 3.0;
  std::vector<int> drawn(1000, 0);
  for (std::uint64_t seed = 0; seed < 400; ++seed) {
    const auto found = detail::chosen(1000, 100, seed, keys, 2);
    ASSERT_EQ(std::set<std::size_t>(found.begin(), found.end()).size(), 100U);
    for (const std::size_t i : found) ++drawn[i];
  }
  EXPECT_EQ(drawn[17], 400);
  EXPECT_EQ(drawn[400], 400);
  // 98 of 998 each time: 39 of 400 on average, deviation 6.
  EXPECT_GT(*std::min_element(drawn.begin(), drawn.end()), 10);
  drawn[17] = drawn[400] = 0;
  EXPECT_LT(*std::max_element(drawn.begin(), drawn.end()), 75);
  EXPECT_EQ(detail::chosen(1000, 100, 7, keys, 2), detail::chosen(1000, 100, 7, keys, 2));
  EXPECT_EQ(detail::chosen(3, 100, 7, {1, 2, 3}, 2), (std::vector<std::size_t>{0, 1, 2}));
}

TEST(Plots, ShowTheExtremesAmongTheChosenPointsAndSayHowMany) {
  const step_view view = tiny::made_view(3000);
  const evaluation_report report = report_on(view);
  const report_section section = predicted_against_measured_section(report, {.points = 200});
  ASSERT_EQ(section.blocks.size(), 2U);
  const plot picture = only_plot(section);
  EXPECT_EQ(picture.id, "predicted-against-measured-good-one");
  ASSERT_EQ(picture.series[0].x.size(), 200U);
  EXPECT_NE(picture.note.find("200 of 3,000"), std::string::npos) << picture.note;
  const tested_errors errors = tested_errors_of(report.results[0]);
  std::size_t worst = 0, longest = 0;
  for (std::size_t i = 0; i < errors.size(); ++i) {
    const auto off = [&](std::size_t k) { return std::fabs(std::log(errors.predicted[k] / errors.actual[k])); };
    if (off(i) > off(worst)) worst = i;
    if (errors.actual[i] > errors.actual[longest]) longest = i;
  }
  for (const std::size_t i : {worst, longest}) {
    EXPECT_NE(std::find(picture.series[0].x.begin(), picture.series[0].x.end(), 1e6 * errors.actual[i]),
              picture.series[0].x.end());
  }
}

TEST(Plots, OfErrorsAreTheirDistributionFunction) {
  const step_view view = tiny::made_view(777);
  const evaluation_report report = report_on(view);
  const plot picture = only_plot(error_distribution_section(report));
  ASSERT_EQ(picture.series.size(), 2U);
  const tested_errors errors = tested_errors_of(report.results[0]);
  const plot_series& line = picture.series[0];
  for (std::size_t k = 0; k < line.x.size(); ++k) {
    const auto below = std::count_if(errors.relative.begin(), errors.relative.end(),
                                     [&](double e) { return 100.0 * std::fabs(e) <= line.x[k]; });
    EXPECT_GE(static_cast<double>(below), line.y[k] / 100.0 * 777.0 - 1e-9);
    EXPECT_LT(static_cast<double>(below) - 1.0, line.y[k] / 100.0 * 777.0);
  }
}

TEST(Plots, OfTheRooflineHaveTheRoofAndThePhases) {
  const step_view view = tiny::made_view(500);
  const report_section section = roofline_section(view);
  const plot picture = only_plot(section);
  EXPECT_EQ(picture.series.back().name, "roof of h100");
  EXPECT_DOUBLE_EQ(picture.series.back().x[1], 1e15 / 3e12);
  EXPECT_DOUBLE_EQ(picture.series.back().y[0], picture.series.back().x[0] * 3e12);
  EXPECT_DOUBLE_EQ(picture.series.back().y[2], 1e15);
  std::size_t points = 0;
  for (std::size_t i = 0; i + 1 < picture.series.size(); ++i) points += picture.series[i].x.size();
  const auto working =
      std::count_if(view.find("flops")->begin(), view.find("flops")->end(), [](double work) { return work > 0.0; });
  EXPECT_EQ(points, static_cast<std::size_t>(working));
  step_view unknown = view;
  unknown.peak_flops.clear();
  EXPECT_NE(tiny::first_block<paragraph>(roofline_section(unknown)), nullptr);
}

TEST(Plots, OfFoldsHaveABarForEachFoldOfEachPredictor) {
  const evaluation_report report = report_on(tiny::made_view(300));
  const plot picture = only_plot(fold_section(report));
  ASSERT_EQ(picture.categories.size(), 3U);
  for (const plot_series& bars : picture.series) {
    const predictor_result& of = *report.find(bars.name);
    for (std::size_t f = 0; f < 3; ++f) EXPECT_DOUBLE_EQ(bars.y[f], 100.0 * of.folds[f].errors.mape);
  }
}

TEST(Plots, OfParametersAreRelativeToTheirMean) {
  evaluation_report report;
  report.results.push_back(tiny::parametric_result());
  const plot picture = only_plot(factor_stability_section(report));
  const auto at =
      std::find(picture.categories.begin(), picture.categories.end(), "wild") - picture.categories.begin();
  EXPECT_DOUBLE_EQ(picture.series[0].y[static_cast<std::size_t>(at)], 0.4) << "1 and 4: their mean is 2.5";
  EXPECT_DOUBLE_EQ(picture.series[2].y[static_cast<std::size_t>(at)], 1.6);
  EXPECT_EQ(std::count(picture.categories.begin(), picture.categories.end(), "gone"), 0) << "dead in both folds";
  EXPECT_NE(picture.note.find("left out"), std::string::npos);
}

TEST(ErrorsBySize, AreQuantilesOfEachBinAndKeepEqualSizesTogether) {
  const step_view view = tiny::made_view(1000);
  const tested_errors errors = tested_errors_of(report_on(view).results[0]);
  const std::vector<double>& batch = *view.find("batch_size");
  const error_by_size found = errors_by_size(errors, batch, 8);
  std::size_t rows = 0;
  for (const std::size_t each : found.rows) rows += each;
  EXPECT_EQ(rows, static_cast<std::size_t>(
                      std::count_if(batch.begin(), batch.end(), [](double size) { return size > 0.0; })));
  EXPECT_LE(found.x.size(), 8U);
  // The first bin by hand: sizes ascending until an eighth of the rows are in, and all rows of the last size.
  std::vector<double> sizes;
  for (const double size : batch) {
    if (size > 0.0) sizes.push_back(size);
  }
  std::sort(sizes.begin(), sizes.end());
  const double last = sizes[(sizes.size() + 7) / 8 - 1];
  std::vector<double> of;
  for (std::size_t i = 0; i < errors.size(); ++i) {
    const double size = batch[errors.rows[i]];
    if (size > 0.0 && size <= last) of.push_back(errors.relative[i]);
  }
  std::sort(of.begin(), of.end());
  EXPECT_EQ(found.rows[0], of.size());
  EXPECT_DOUBLE_EQ(found.median[0], quantile_of_sorted(of, 0.5));
  EXPECT_DOUBLE_EQ(found.p10[0], quantile_of_sorted(of, 0.1));
  EXPECT_DOUBLE_EQ(found.p90[0], quantile_of_sorted(of, 0.9));
}

TEST(Plots, HaveIdsOfTheirOwn) {
  const step_view view = tiny::made_view(300);
  evaluation_report report = report_on(view);
  report.results.push_back(tiny::parametric_result());
  std::set<std::string> ids;
  std::size_t plots = 0;
  for (const report_section& section :
       {predicted_against_measured_section(report), error_distribution_section(report), roofline_section(view),
        fold_section(report), factor_stability_section(report), residual_section(report, view),
        accuracy_against_parameters_section(report)}) {
    for (const section_block& block : section.blocks) {
      if (const plot* picture = std::get_if<plot>(&block)) {
        ids.insert(picture->id);
        ++plots;
        for (const plot_series& one : picture->series) EXPECT_EQ(one.x.size(), one.y.size());
      }
    }
  }
  EXPECT_EQ(ids.size(), plots);
  EXPECT_EQ(plots, 2U + 1 + 1 + 1 + 1 + 4 + 1);
}

const report_section& section_of(const evaluation_report& report, const std::string& id) {
  return *std::find_if(report.sections.begin(), report.sections.end(),
                       [&](const report_section& one) { return one.id == id; });
}

TEST(Diagnose, ComparesATestedFileWithTheTrainingFile) {
  const step_view view = tiny::made_view(120);
  std::vector<fold> folds;
  for (std::uint32_t code = 0; code < 3; ++code) {
    folds.push_back({view.labels(group::model)->names()[code], {}, {}, view.labels(group::model)->rows_of(code)});
  }
  diagnose_options options;
  options.bootstrap.resamples = 20;
  evaluation_report report = report_on(view);
  report.test = evaluation_report::test_data{};
  diagnose(report, view, folds, options);
  EXPECT_NE(section_of(report, "overlap-audit").summary.find("was not audited"), std::string::npos);
  report = report_on(view);
  report.test = evaluation_report::test_data{};
  options.training = &view;  // every tested row is a training row
  diagnose(report, view, folds, options);
  EXPECT_NE(section_of(report, "overlap-audit").summary.find("leak by copied step (100.00 % of the tested rows)"),
            std::string::npos)
      << section_of(report, "overlap-audit").summary;
}

TEST(TuningSection, SaysWhatEstimatorsSayOfThemselvesAndNoMore) {
  const step_view view = tiny::made_view(60);
  evaluation_report report = report_on(view);
  report.results[1].tuned = "strength of the ridge, on folds of training rows";
  const report_section section = tuning_section(report);
  ASSERT_EQ(section.blocks.size(), 3U);
  EXPECT_EQ(tiny::first_block<captioned_table>(section)->table.rows().size(), 1U);
  EXPECT_EQ(std::get<paragraph>(section.blocks[1]).text,
            "Good_one does not say that anything is chosen by looking at errors.");
  EXPECT_NE(std::get<paragraph>(section.blocks[2]).text.find("cannot be seen here"), std::string::npos);
}

}  // namespace
