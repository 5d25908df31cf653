// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/evaluation/error_split.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstddef>
#include <stdexcept>
#include <string>
#include <vector>

#include "rafter/estimator/mean_of_target.hpp"
#include "rafter/estimator/nonlinear.hpp"
#include "rafter/evaluation/evaluate.hpp"
#include "rafter/evaluation/transfer.hpp"
#include "rafter/validation/leave_one_group_out.hpp"
#include "support/engine_steps.hpp"

namespace {

using namespace rafter;
using namespace rafter::literals;

inline constexpr constant<1, 0, units::second / units::token> second_per_token{};
inline constexpr positive<"scale", 5_c> scale{};
struct one_scale : nonlinear<scale * second_per_token * decode_tokens, objective::relative> {};
struct of_prefill : nonlinear<scale * second_per_token * prefill_tokens> {};

constexpr double slope[] = {1.0, 1.0, 1.0, 2.0};  // of each engine [s/token]
double time_of(const tiny::engine_step& s, double wobble, std::size_t i) {
  return slope[s.engine] * s.decode_tokens * (1.0 + (i % 2 == 0 ? wobble : -wobble));
}
dataset<tiny::aggregated> data_with(double wobble) {
  return tiny::dataset_of(tiny::random_engine_steps(300, 21), [&](const tiny::engine_step& s, std::size_t i) {
    return s.engine == 3 ? time_of(s, wobble, i) : time_of(s, 0.0, i);
  });
}
fold without_engine_3(const dataset<tiny::aggregated>& data) {
  for (const fold& part : lomo{}.folds(data)) {
    if (part.held_out == "model-3") return part;
  }
  throw std::runtime_error("no such fold");
}

TEST(ErrorSplit, GivesTheThreeErrorsCountedByHand) {
  const auto data = data_with(0.0);
  const error_split split = split_errors<one_scale>(data, without_engine_3(data));
  EXPECT_EQ(split.held_out, "model-3");
  EXPECT_GT(split.rows, 0U);
  EXPECT_NEAR(split.transferred.mape, 0.5, 1e-9);  // scale 1, where 2 is right
  EXPECT_NEAR(split.transferred.mean_signed_percentage_error, -0.5, 1e-9);
  EXPECT_NEAR(split.uncorrected.mape, 1.5, 1e-9);  // scale 5, the start
  EXPECT_NEAR(split.uncorrected.mean_signed_percentage_error, 1.5, 1e-9);
  EXPECT_NEAR(split.refitted.mape, 0.0, 1e-9);
  EXPECT_NEAR(split.backbone_error(), 0.0, 1e-9);
  EXPECT_NEAR(split.correction_error(), 0.5, 1e-9);
  EXPECT_TRUE(split.refused.empty());
}
TEST(ErrorSplit, LeavesToTheFormWhatNoFitOfItCanExpress) {
  const auto data = data_with(0.1);
  const fold part = without_engine_3(data);
  const error_split split = split_errors<one_scale>(data, part);
  // The relative error is least at s = Σ 1/t / Σ 1/t², t = time per token.
  const auto tokens = data.column(decode_tokens);
  double first = 0.0, second = 0.0;
  part.test.for_each([&](std::size_t row) {
    const double t = data.target()[row] / tokens[row];
    first += 1.0 / t;
    second += 1.0 / (t * t);
  });
  double error = 0.0;
  part.test.for_each(
      [&](std::size_t row) { error += std::abs(first / second * tokens[row] / data.target()[row] - 1.0); });
  error /= static_cast<double>(part.test.size());
  EXPECT_GT(error, 0.05);
  EXPECT_NEAR(split.backbone_error(), error, 1e-9);
  EXPECT_NEAR(split.correction_error(), split.transferred.mape - error, 1e-9);
}
TEST(ErrorSplit, SaysWhyTheFormCannotBeFittedOnTheTestRows) {
  const auto data = data_with(0.0);
  std::vector<std::size_t> with, without;  // prefill tokens, whose logarithm is asked for
  for (std::size_t row = 0; row < data.size(); ++row) {
    (data.column(prefill_tokens)[row] > 0.0 ? with : without).push_back(row);
  }
  const fold part{
      .held_out = "no prefill", .train = row_set::of(with), .validation = {}, .test = row_set::of(without)};
  const error_split split = split_errors<of_prefill>(data, part);
  EXPECT_NE(split.refused.find("at the start"), std::string::npos) << split.refused;
  EXPECT_TRUE(std::isnan(split.refitted.mape));
  EXPECT_TRUE(std::isnan(split.correction_error()));
  EXPECT_EQ(split.transferred.mape, 1.0);  // predicts 0
}
TEST(ErrorSplit, ConcernsTheWorstFoldAndOnlyWhenAskedFor) {
  const auto data = data_with(0.1);
  const auto plain = evaluate<one_scale, mean_of_target>(data, lomo{});
  EXPECT_FALSE(plain.results[0].split);
  const auto asked = evaluate<one_scale, mean_of_target>(data, lomo{}, {.progress = {}, .split_worst_fold = true});
  ASSERT_TRUE(asked.results[0].split);
  EXPECT_EQ(asked.results[0].split->held_out, asked.results[0].worst()->held_out);
  EXPECT_EQ(asked.results[0].split->transferred.mape, asked.results[0].worst_mape());
  EXPECT_FALSE(asked.results[1].split);  // nothing to split: no parameters
}
TEST(ErrorSplit, ReachesNoOtherFigure) {
  const auto data = data_with(0.1);
  const auto plain = evaluate<one_scale>(data, lomo{});
  const auto asked = evaluate<one_scale>(data, lomo{}, {.progress = {}, .split_worst_fold = true});
  for (std::size_t f = 0; f < plain.results[0].folds.size(); ++f) {
    EXPECT_EQ(asked.results[0].folds[f].errors.mape, plain.results[0].folds[f].errors.mape);
    EXPECT_EQ(asked.results[0].folds[f].parameters[0].value, plain.results[0].folds[f].parameters[0].value);
  }
}
TEST(ErrorSplit, SplitsTransfersToOtherData) {
  const auto training =
      tiny::dataset_of(tiny::random_engine_steps(100, 21), [](const tiny::engine_step& s, std::size_t i) {
        return time_of({.decode_tokens = s.decode_tokens, .engine = 0, .workload = {}}, 0.0, i);
      });
  const auto test =
      tiny::dataset_of(tiny::random_engine_steps(50, 22), [](const tiny::engine_step& s, std::size_t i) {
        return time_of({.decode_tokens = s.decode_tokens, .engine = 3, .workload = {}}, 0.0, i);
      });
  const auto outcome = evaluate_transfer<one_scale>(training, test, {.progress = {}, .split_worst_fold = true});
  ASSERT_TRUE(outcome.result.split);
  EXPECT_EQ(outcome.result.split->rows, 50U);
  EXPECT_NEAR(outcome.result.split->transferred.mape, 0.5, 1e-9);
  EXPECT_NEAR(outcome.result.split->refitted.mape, 0.0, 1e-9);
}
TEST(ErrorSplit, ComesWithTheParametersOfEachFold) {
  const auto data = data_with(0.0);
  const auto report = evaluate<one_scale, mean_of_target>(data, lomo{});
  for (const fold_result& one : report.results[0].folds) {
    ASSERT_EQ(one.parameters.size(), 1U);
    EXPECT_EQ(one.parameters[0].name, "scale");
    EXPECT_EQ(one.parameters[0].value, report.fit<one_scale>(one.held_out).parameter("scale"));
    if (one.held_out == "model-3") {
      EXPECT_NEAR(one.parameters[0].value, 1.0, 1e-9);
    }
  }
  for (const fold_result& one : report.results[1].folds) EXPECT_TRUE(one.parameters.empty() && one.findings.empty());
}

}  // namespace
