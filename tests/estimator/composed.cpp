// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/estimator/composed.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "rafter/estimator/linear.hpp"
#include "rafter/estimator/mean_of_target.hpp"
#include "rafter/estimator/nonlinear.hpp"
#include "rafter/estimator/per.hpp"
#include "rafter/evaluation/evaluate.hpp"
#include "rafter/solver/ordinary_least_squares.hpp"
#include "rafter/validation/leave_one_group_out.hpp"
#include "support/engine_steps.hpp"

namespace {

using namespace rafter;
using namespace rafter::literals;
using data_type = dataset<tiny::aggregated>;

struct prefill_t : decltype(feature_set{"prefill"_f = prefill_tokens}) {};
inline constexpr prefill_t prefill{};
struct decode_t : decltype(feature_set{"decode"_f = decode_tokens}) {};
inline constexpr decode_t decode{};
struct code_t : decltype(feature_set{"code"_f = model_code}) {};
inline constexpr code_t code{};
struct both_t : decltype(feature_set{"prefill"_f = prefill_tokens, "decode"_f = decode_tokens}) {};
inline constexpr both_t both{};

struct by_prefill : linear<prefill, ordinary_least_squares> {
  static constexpr std::string_view label = "by_prefill";
};
struct by_decode : linear<decode, ordinary_least_squares> {
  static constexpr std::string_view label = "by_decode";
};
using by_code = linear<code, ordinary_least_squares>;
using by_both = linear<both, ordinary_least_squares>;

data_type steps(double decode_time = 1e-4) {
  return tiny::dataset_of(tiny::random_engine_steps(200, 4), [&](const tiny::engine_step& s, std::size_t i) {
    return 1e-2 + 2e-5 * s.prefill_tokens + decode_time * s.decode_tokens + 1e-4 * static_cast<double>(i * i % 13);
  });
}
const row_set some = row_set::where(200, [](std::size_t row) { return row % 3 != 0; });
const row_set all = row_set::all(200);

template <class Predictor> std::vector<double> predictions(const Predictor& fitted, const data_type& data) {
  std::vector<double> out(data.size());
  fitted.predict(data, row_set::all(data.size()), out);
  return out;
}

TEST(SumOf, TheSecondIsFittedToWhatTheFirstLeaves) {
  const auto data = steps();
  const auto fitted = sum_of<by_prefill, by_decode>::fit(data, some);
  const auto first = predictions(by_prefill::fit(data, some), data);
  std::vector<double> left(200);
  for (std::size_t row = 0; row < 200; ++row) left[row] = data.target()[row] - first[row];
  const auto second = predictions(by_decode::fit(data.with_target(left), some), data);
  const auto together = predictions(fitted, data);
  for (std::size_t row = 0; row < 200; ++row) EXPECT_EQ(together[row], first[row] + second[row]);
}

TEST(SumOf, LeavesNothingToASecondStageOfTheSameLinearModel) {
  const auto data = steps();
  const auto alone = predictions(by_both::fit(data, some), data);
  const auto twice = predictions(sum_of<by_both, by_both>::fit(data, some), data);
  for (std::size_t row = 0; row < 200; ++row) EXPECT_NEAR(twice[row], alone[row], 1e-15);
}

TEST(SumOf, MoreThanTwoPartsAreStages) {
  const auto data = steps();
  const auto staged = predictions(sum_of<by_prefill, by_decode, by_both>::fit(data, some), data);
  const auto nested = predictions(sum_of<by_prefill, sum_of<by_decode, by_both>>::fit(data, some), data);
  EXPECT_EQ(staged, nested);
  // Whatever the stages before did, the last one is a least-squares fit of all there is.
  const auto direct = predictions(by_both::fit(data, some), data);
  for (std::size_t row = 0; row < 200; ++row) EXPECT_NEAR(staged[row], direct[row], 1e-14);
}

struct factor_of_decode_t : decltype(feature_set{"decode"_f = decode_tokens}) {};

TEST(ProductOf, TheSecondIsFittedToTheFactorThatTheFirstLeaves) {
  const auto data = steps();
  const auto fitted = product_of<by_prefill, by_decode>::fit(data, some);
  const auto first = predictions(by_prefill::fit(data, some), data);
  std::vector<double> left(200);
  for (std::size_t row = 0; row < 200; ++row) left[row] = data.target()[row] / first[row];
  const auto second = predictions(by_decode::fit(data.with_target(left), some), data);
  const auto together = predictions(fitted, data);
  for (std::size_t row = 0; row < 200; ++row) EXPECT_EQ(together[row], first[row] * second[row]);
}

TEST(ProductOf, FindsAFactorThatIsThere) {
  const auto data = tiny::dataset_of(tiny::random_engine_steps(200, 4), [](const auto& s, std::size_t) {
    return (1e-2 + 2e-5 * s.prefill_tokens) * (1.0 + 0.01 * s.decode_tokens);
  });
  const auto known = data.with_target([&] {
    std::vector<double> times;
    for (std::size_t row = 0; row < 200; ++row) times.push_back(1e-2 + 2e-5 * data[row].get(prefill_tokens));
    return times;
  }());
  const auto law = predictions(by_prefill::fit(known, all), data);
  std::vector<double> factor(200);
  for (std::size_t row = 0; row < 200; ++row) factor[row] = data.target()[row] / law[row];
  const auto solved = by_decode::fit(data.with_target(factor), all).solution();
  EXPECT_NEAR(solved.intercept, 1.0, 1e-12);
  EXPECT_NEAR(solved.coefficients[0], 0.01, 1e-13);
}

TEST(Composed, NeverReadsRowsThatItIsNotToSee) {
  const auto data = steps();
  std::vector<double> hidden(data.target().begin(), data.target().end());
  for (std::size_t row = 0; row < 200; row += 3) hidden[row] = std::nan("");
  EXPECT_EQ(predictions(sum_of<by_prefill, by_decode>::fit(data.with_target(hidden), some), data),
            predictions(sum_of<by_prefill, by_decode>::fit(data, some), data));
  using of_mean = product_of<mean_of_target, by_both>;
  EXPECT_EQ(predictions(of_mean::fit(data.with_target(hidden), some), data),
            predictions(of_mean::fit(data, some), data));
}

inline constexpr auto fitted_law =
    bounded<"overhead", 0_c, 1e-3_c, 1_c, units::second>{} +
    bounded<"token_time", 0_c, 1e-5_c, 1_c, dimension{.token = -1, .second = 1}>{} * prefill_tokens;

TEST(Composed, PartsWithParametersFitWhatIsLeft) {
  const auto data = steps();
  using law = nonlinear<fitted_law, objective::squared>;
  const auto together = predictions(sum_of<law, by_both>::fit(data, some), data);
  const auto direct = predictions(by_both::fit(data, some), data);
  for (std::size_t row = 0; row < 200; ++row) EXPECT_NEAR(together[row], direct[row], 1e-12);
  const auto other =
      predictions(sum_of<by_decode, law>::fit(data, some), data);  // its target is negative on some rows
  for (const double value : other) EXPECT_TRUE(std::isfinite(value));
}

struct record {
  double prefill_tokens, decode_tokens;
};

TEST(Composed, PredictsARecordAsItsParts) {
  const auto data = steps();
  const deployment& engine = tiny::engines()[0];
  const record one{100.0, 20.0};
  const auto sum = sum_of<by_prefill, by_decode>::fit(data, some);
  EXPECT_EQ(sum.predict(one, engine).value,
            sum.first().predict(one, engine).value + sum.second().predict(one, engine).value);
  EXPECT_EQ(sum.bind<record>(engine)(one).value, sum.predict(one, engine).value);
  const auto product = product_of<by_prefill, by_decode>::fit(data, some);
  EXPECT_EQ(product.predict(one, engine).value,
            product.first().predict(one, engine).value * product.second().predict(one, engine).value);
  const auto mean = averaged<by_prefill, by_decode>::fit(data, some);
  EXPECT_EQ(mean.predict(one, engine).value, 0.5 * by_prefill::fit(data, some).predict(one, engine).value +
                                                 0.5 * by_decode::fit(data, some).predict(one, engine).value);
  EXPECT_EQ(mean.bind<record>(engine)(one).value, mean.predict(one, engine).value);
}

template <class Predictor>
concept predicts_records = requires(const Predictor& fitted, const record& one, const deployment& engine) {
  fitted.predict(one, engine);
};
static_assert(predicts_records<decltype(sum_of<by_prefill, by_decode>::fit(steps(), some))>);
static_assert(!predicts_records<decltype(sum_of<mean_of_target, by_decode>::fit(steps(), some))>);  // the mean cannot
static_assert(!predicts_records<decltype(averaged<mean_of_target, by_decode>::fit(steps(), some))>);

TEST(Composed, SummariesAddUp) {
  const auto fitted = sum_of<by_prefill, by_decode>::fit(steps(), some).summary();
  EXPECT_EQ(fitted.rows, some.size());
  EXPECT_EQ(fitted.parameters, 4U);
  EXPECT_EQ(fitted.identifiable, 4U);
  EXPECT_TRUE(fitted.healthy);
  EXPECT_EQ((sum_of<by_prefill, by_decode>::name()), "by_prefill + by_decode");
  EXPECT_EQ((product_of<by_prefill, by_decode>::name()), "by_prefill * by_decode");
}

TEST(Composed, AnUnhealthyPartIsNamed) {
  const auto fitted = averaged<by_prefill, by_decode>::fit(steps(), row_set::of({1, 2})).summary();
  EXPECT_FALSE(fitted.healthy);
  EXPECT_EQ(fitted.status, "by_prefill: too few rows");
}

TEST(Composed, NamesTheRowThatHasNoFactor) {
  const auto data = steps().with_target(std::vector<double>(200, 0.0), "zero");
  try {
    product_of<mean_of_target, by_decode>::fit(data, some);
    FAIL() << "fitted";
  } catch (const fit_error& why) {
    EXPECT_STREQ(why.what(),
                 "zero / prediction of mean of the training target is not a finite number on row 1 (made.csv:3)");
  }
}

TEST(Composed, NamesThePartThatCannotBeFitted) {
  using relative = linear<decode, ordinary_least_squares, objective::log_target>;
  try {
    sum_of<by_prefill, relative>::fit(steps(), some);
    FAIL() << "fitted";
  } catch (const fit_error& why) {
    EXPECT_NE(std::string(why.what()).find("gpu_step_time - prediction of by_prefill"), std::string::npos)
        << why.what();
  }
}

TEST(Averaged, IsTheMeanOfThePredictions) {
  const auto data = steps();
  const auto mean = predictions(averaged<by_prefill, by_decode>::fit(data, some), data);
  const auto first = predictions(by_prefill::fit(data, some), data);
  const auto second = predictions(by_decode::fit(data, some), data);
  for (std::size_t row = 0; row < 200; ++row) EXPECT_NEAR(mean[row], 0.5 * (first[row] + second[row]), 1e-16);
}

// What a part identifies, is fitted per or needs, the whole does.
static_assert(transfers_under<sum_of<by_prefill, by_decode>, lomo>);
static_assert(!transfers_under<sum_of<by_prefill, by_code>, lomo>);
static_assert(!transfers_under<product_of<by_code, by_prefill>, lomo>);
static_assert(!transfers_under<averaged<by_prefill, by_decode, by_code>, lomo>);
static_assert(!transfers_under<sum_of<by_prefill, per<group::model, by_decode>>, lomo>);
static_assert(estimator_on<sum_of<by_prefill, by_decode>, data_type>);
static_assert(estimator_on<product_of<by_prefill, by_decode, by_both>, data_type>);
static_assert(estimator_on<averaged<by_prefill, by_decode>, data_type>);

}  // namespace
