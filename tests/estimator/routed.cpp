// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/estimator/routed.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "rafter/estimator/linear.hpp"
#include "rafter/estimator/mean_of_target.hpp"
#include "rafter/evaluation/evaluate.hpp"
#include "rafter/solver/ordinary_least_squares.hpp"
#include "rafter/validation/leave_one_group_out.hpp"
#include "support/engine_steps.hpp"

namespace {

using namespace rafter;
using namespace rafter::literals;
using data_type = dataset<tiny::aggregated>;

struct both_t : decltype(feature_set{"prefill"_f = prefill_tokens, "decode"_f = decode_tokens}) {};
inline constexpr both_t both{};
using by_both = linear<both, ordinary_least_squares>;
inline constexpr auto decode_only = indicator(prefill_requests == 0_c);
inline constexpr auto deep = indicator(architecture::layers > 5_c);  // engines 2 and 3
using phases = routed<decode_only, by_both, otherwise<by_both>>;

data_type steps() {
  return tiny::dataset_of(tiny::random_engine_steps(240, 8), [](const tiny::engine_step& s, std::size_t i) {
    return s.prefill_requests == 0 ? 1e-3 + 1e-5 * s.decode_tokens
                                   : 5e-3 + 2e-5 * s.prefill_tokens + 1e-4 * static_cast<double>(i % 7);
  });
}
const row_set all = row_set::all(240);
row_set without_prompts(const data_type& data) {
  return row_set::where(data.size(), [&](std::size_t row) { return data[row].get(prefill_requests) == 0.0; });
}
template <class Predictor>
std::vector<double> predictions(const Predictor& fitted, const data_type& data, const row_set& rows = all) {
  std::vector<double> out(rows.size());
  fitted.predict(data, rows, out);
  return out;
}

TEST(Routed, EachRowIsPredictedByTheFitOnItsOwnKind) {
  const auto data = steps();
  const row_set decoding = without_prompts(data);
  const row_set prompts = decoding.complement(240);
  const auto together = predictions(phases::fit(data, all), data);
  const auto first = predictions(by_both::fit(data, decoding), data);
  const auto second = predictions(by_both::fit(data, prompts), data);
  for (std::size_t row = 0; row < 240; ++row) {
    EXPECT_EQ(together[row], decoding.contains(row) ? first[row] : second[row]) << row;
  }
}

TEST(Routed, SomeRowsArePredictedAsAllAre) {
  const auto data = steps();
  const auto fitted = phases::fit(data, all);
  const auto every = predictions(fitted, data);
  const row_set some = row_set::where(240, [](std::size_t row) { return row % 5 == 2 || row > 200; });
  const auto few = predictions(fitted, data, some);
  std::size_t at = 0;
  some.for_each([&](std::size_t row) { EXPECT_EQ(few[at++], every[row]); });
}

TEST(Routed, MoreConditionsAreTriedInTurn) {
  const auto data = steps();
  using three = routed<decode_only, mean_of_target, when<deep, by_both>, otherwise<by_both>>;
  using nested = routed<decode_only, mean_of_target, otherwise<routed<deep, by_both, otherwise<by_both>>>>;
  EXPECT_EQ(predictions(three::fit(data, all), data), predictions(nested::fit(data, all), data));
  const row_set deep_prompts = row_set::where(240, [&](std::size_t row) {
    return data[row].get(prefill_requests) > 0.0 && data.deployment_of(row).architecture.layers > 5;
  });
  EXPECT_EQ(predictions(three::fit(data, all), data, deep_prompts),
            predictions(by_both::fit(data, deep_prompts), data, deep_prompts));
}

struct record {
  double prefill_tokens, decode_tokens, prefill_requests;
};

TEST(Routed, PredictsARecordByItsBranch) {
  const auto data = steps();
  const auto fitted = phases::fit(data, all);
  const deployment& engine = tiny::engines()[0];
  const record decoding{0, 20, 0};
  const record prompt{100, 20, 1};
  EXPECT_EQ(fitted.predict(decoding, engine).value, fitted.held()->predict(decoding, engine).value);
  EXPECT_EQ(fitted.predict(prompt, engine).value, fitted.other()->predict(prompt, engine).value);
  EXPECT_NE(fitted.predict(prompt, engine).value, fitted.held()->predict(prompt, engine).value);
}

TEST(Routed, ABranchWithoutTrainingRowsHasNothingToSay) {
  const auto data = steps();
  const row_set decoding = without_prompts(data);
  const auto fitted = phases::fit(data, decoding);
  EXPECT_FALSE(fitted.other());
  EXPECT_EQ(predictions(fitted, data, decoding), predictions(by_both::fit(data, decoding), data, decoding));
  const std::string name(formula(decode_only));
  EXPECT_EQ(fitted.findings().back(), "where not " + name + ": no training rows");
  const std::string expected = "nothing was fitted for steps where not " + name + ": no training row is one";
  try {
    predictions(fitted, data);
    FAIL() << "predicted";
  } catch (const fit_error& why) {
    EXPECT_EQ(why.what(), expected);
  }
  try {
    fitted.predict(record{100, 20, 1}, tiny::engines()[0]);
    FAIL() << "predicted";
  } catch (const fit_error& why) {
    EXPECT_EQ(why.what(), expected);
  }
}

TEST(Routed, NamesTheBranchThatCannotBeFitted) {
  const auto data = steps();
  std::vector<double> hidden(data.target().begin(), data.target().end());
  without_prompts(data).for_each([&](std::size_t row) { hidden[row] = -1.0; });
  using logarithm = linear<both, ordinary_least_squares, objective::log_target>;
  try {
    routed<decode_only, logarithm, otherwise<by_both>>::fit(data.with_target(hidden), all);
    FAIL() << "fitted";
  } catch (const fit_error& why) {
    EXPECT_EQ(std::string(why.what()).find("where " + std::string(formula(decode_only)) + ": "), 0U) << why.what();
  }
}

TEST(Routed, SummariesAddUp) {
  const auto fitted = phases::fit(steps(), all).summary();
  EXPECT_EQ(fitted.rows, 240U);
  EXPECT_EQ(fitted.parameters, 6U);
  EXPECT_TRUE(fitted.healthy);
}

// The condition counts: it may identify a group, or read what a schema lacks.
static_assert(transfers_under<phases, lomo>);
static_assert(!transfers_under<routed<indicator(model_code > 1_c), by_both, otherwise<by_both>>, lomo>);
static_assert(routed<indicator(queue_running > 1_c), by_both, otherwise<by_both>>::missing_on<tiny::aggregated>() ==
              "queue_running");
static_assert(phases::missing_on<tiny::aggregated>().empty());
static_assert(estimator_on<phases, data_type>);
static_assert(estimator_on<routed<decode_only, mean_of_target, when<deep, by_both>, otherwise<by_both>>, data_type>);

}  // namespace
