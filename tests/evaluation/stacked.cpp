// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/evaluation/stacked.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "rafter/estimator/linear.hpp"
#include "rafter/estimator/mean_of_target.hpp"
#include "rafter/solver/ordinary_least_squares.hpp"
#include "rafter/validation/leave_one_group_out.hpp"
#include "support/engine_steps.hpp"

namespace {

using namespace rafter;
using namespace rafter::literals;
using data_type = dataset<tiny::aggregated>;

struct prefill_t : decltype(feature_set{"prefill"_f = prefill_tokens}) {};
inline constexpr prefill_t prefill{};
struct decode_t : decltype(feature_set{"decode"_f = decode_tokens, "layers"_f = architecture::layers}) {};
inline constexpr decode_t decode{};
struct by_prefill : linear<prefill, ordinary_least_squares, objective::relative> {
  static constexpr std::string_view label = "by_prefill";
};
struct by_decode : linear<decode, ordinary_least_squares, objective::relative> {
  static constexpr std::string_view label = "by_decode";
};
using three = stacked<lomo, by_prefill, by_decode, mean_of_target>;

data_type steps() {
  return tiny::dataset_of(tiny::random_engine_steps(240, 4), [&](const tiny::engine_step& s, std::size_t i) {
    return 2e-2 + 2e-5 * s.prefill_tokens + 2e-4 * s.decode_tokens + 1e-3 * static_cast<double>(i * i % 13);
  });
}
const row_set some = row_set::where(240, [](std::size_t row) { return row % 5 != 1; });

/// Relative errors on rows held out inside, one vector per part.
template <class... Parts> std::vector<std::vector<double>> inner_errors(const data_type& data, const row_set& rows) {
  std::vector<std::vector<double>> errors;
  const auto add = [&]<class E>() {
    errors.emplace_back();
    for (const fold& part : folds_inside(fold{"outer", rows, {}, {}}, lomo{}, data)) {
      std::vector<double> predicted(part.test.size());
      E::fit(data, part.train).predict(data, part.test, predicted);
      std::size_t at = 0;
      part.test.for_each(
          [&](std::size_t row) { errors.back().push_back(predicted[at++] / data.target()[row] - 1.0); });
    }
  };
  (add.template operator()<Parts>(), ...);
  return errors;
}

TEST(Stacked, NoOtherWeightsOnAGridAreBetterOnTheInnerFolds) {
  const auto data = steps();
  const auto errors = inner_errors<by_prefill, by_decode, mean_of_target>(data, some);
  const auto squares = [&](const std::array<double, 3>& w) {
    double sum = 0.0;
    for (std::size_t i = 0; i < errors[0].size(); ++i) {
      const double e = w[0] * errors[0][i] + w[1] * errors[1][i] + w[2] * errors[2][i];
      sum += e * e;
    }
    return sum;
  };
  const auto weights = three::fit(data, some).weights();
  EXPECT_NEAR(weights[0] + weights[1] + weights[2], 1.0, 1e-15);
  for (const double w : weights) EXPECT_GE(w, 0.0);
  EXPECT_GT(weights[0], 0.1);  // neither of the two says all
  EXPECT_GT(weights[1], 0.1);
  const double least = squares(weights);
  constexpr int grid = 200;
  for (int a = 0; a <= grid; ++a) {
    for (int b = 0; a + b <= grid; ++b) {
      const std::array<double, 3> w{a / double(grid), b / double(grid), (grid - a - b) / double(grid)};
      EXPECT_GE(squares(w), least * (1.0 - 1e-12));
    }
  }
}

TEST(Stacked, PredictsTheWeightedFitsOnAllTrainingRows) {
  const auto data = steps();
  const row_set test = some.complement(240);
  const auto fitted = three::fit(data, some);
  std::vector<double> together(test.size()), first(test.size()), second(test.size()), third(test.size());
  fitted.predict(data, test, together);
  by_prefill::fit(data, some).predict(data, test, first);
  by_decode::fit(data, some).predict(data, test, second);
  mean_of_target::fit(data, some).predict(data, test, third);
  const auto& w = fitted.weights();
  for (std::size_t i = 0; i < test.size(); ++i) {
    EXPECT_NEAR(together[i], w[0] * first[i] + w[1] * second[i] + w[2] * third[i], 1e-16);
  }
}

TEST(Stacked, NeverReadsRowsThatItIsNotToSee) {
  const auto data = steps();
  std::vector<double> hidden(data.target().begin(), data.target().end());
  some.complement(240).for_each([&](std::size_t row) { hidden[row] = std::nan(""); });
  EXPECT_EQ(three::fit(data.with_target(hidden), some).weights(), three::fit(data, some).weights());
}

TEST(Stacked, ThePartThatKnowsTheLawGetsAllTheWeight) {
  const auto data = tiny::dataset_of(tiny::random_engine_steps(240, 4), [](const tiny::engine_step& s, std::size_t) {
    return 1e-2 + 2e-5 * s.prefill_tokens;
  });
  const auto weights = three::fit(data, some).weights();
  EXPECT_NEAR(weights[0], 1.0, 1e-9);
}

TEST(SimplexWeights, PartsWithTheSameErrorsDoNotShareAWeight) {
  EXPECT_EQ(rafter::detail::simplex_weights({1.0, 1.0, 1.0, 1.0}, 2), (std::vector<double>{1.0, 0.0}));
}

TEST(SimplexWeights, IndependentErrorsWeighByTheirInverseSquares) {
  const auto weights = rafter::detail::simplex_weights({4.0, 0.0, 0.0, 1.0}, 2);
  EXPECT_NEAR(weights[0], 0.2, 1e-15);
  EXPECT_NEAR(weights[1], 0.8, 1e-15);
}

TEST(SimplexWeights, AnErrorThatIsAlwaysLargerInTheSameDirectionGetsNone) {
  EXPECT_EQ(rafter::detail::simplex_weights({4.0, 2.0, 2.0, 1.1}, 2), (std::vector<double>{0.0, 1.0}));
}

TEST(SimplexWeights, AnExactPartIsEnough) {
  EXPECT_EQ(rafter::detail::simplex_weights({4.0, 0.0, 0.0, 0.0}, 2), (std::vector<double>{0.0, 1.0}));
}

TEST(Stacked, SaysItsWeights) {
  const auto fitted = three::fit(steps(), some);
  const auto lines = fitted.findings();
  ASSERT_GE(lines.size(), 2U);
  EXPECT_EQ(lines[0].find("weights: 0."), 0U) << lines[0];
  EXPECT_NE(lines[0].find("by_decode"), std::string::npos);
  EXPECT_NE(lines[1].find("held out by nested lomo"), std::string::npos) << lines[1];
  EXPECT_EQ(fitted.summary().parameters, 2U + 3U + mean_of_target::fit(steps(), some).summary().parameters);
}

TEST(Stacked, NamesWhatCannotBeSplit) {
  const auto data = steps();
  const row_set one = data.groups(group::model).rows_of(0);
  try {
    three::fit(data, one);
    FAIL() << "fitted";
  } catch (const fit_error& why) {
    EXPECT_EQ(std::string(why.what())
                  .find("cannot stack: the " + std::to_string(one.size()) + " training rows cannot be split by lomo"),
              0U)
        << why.what();
  }
}

TEST(Stacked, IsAnEstimatorLikeAnother) {
  const auto report = evaluate<three, by_prefill, by_decode>(steps(), lowo{});
  EXPECT_EQ(report.results[0].folds.size(), 2U);
  for (const fold_result& one : report.results[0].folds) {
    EXPECT_FALSE(one.findings.empty());
    EXPECT_TRUE(std::isfinite(one.errors.mape));
  }
}

static_assert(transfers_under<three, lomo>);
static_assert(estimator_on<three, data_type>);
static_assert(three::reads_identity(group::model).empty());

}  // namespace
