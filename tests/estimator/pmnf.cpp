// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/estimator/pmnf.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "rafter/evaluation/evaluate.hpp"
#include "rafter/validation/leave_one_group_out.hpp"
#include "support/engine_steps.hpp"

namespace {

using namespace rafter;
using namespace rafter::literals;

struct tokens_t : decltype(feature_set{"prefill"_f = prefill_tokens, "decode"_f = decode_tokens,
                                       "layers"_f = architecture::layers}) {};
inline constexpr tokens_t tokens{};
struct few : pmnf_options {
  static constexpr std::array<term_exponents, 6> own{
      {{1, 1, 0}, {1, 2, 0}, {2, 1, 0}, {0, 1, 1}, {1, 1, 1}, {3, 2, 0}}};
  static constexpr std::span<const term_exponents> exponents = own;
};
using searched = pmnf<tokens, few>;
struct plain_squares : few {
  static constexpr bool relative = false;
};

/// 1 ms, 2 us per prefill token, 10 us per decode token and layer.
double law(const tiny::engine_step& s) {
  return 1e-3 + 2e-6 * s.prefill_tokens + 1e-5 * s.decode_tokens * tiny::mixture_of(s)[1];
}
dataset<tiny::aggregated> steps(std::size_t count = 300) {
  return tiny::dataset_of(tiny::random_engine_steps(count, 4), [](const auto& s, std::size_t) { return law(s); });
}

TEST(Pmnf, FindsALawThatIsThere) {
  const auto data = steps();
  const auto fitted = searched::fit(data, row_set::all(300));
  EXPECT_EQ(fitted.formula(), "0.001 + 2e-06 · prefill + 1e-05 · decode · layers");
  std::vector<double> predicted(300);
  fitted.predict(data, row_set::all(300), predicted);
  for (std::size_t row = 0; row < 300; ++row) EXPECT_NEAR(predicted[row], data.target()[row], 1e-12);
}

TEST(Pmnf, PredictsAModelThatItHasNotSeen) {
  const auto data = steps();
  const auto report = evaluate<searched>(data, lomo{});
  for (const fold_result& one : report.results[0].folds) EXPECT_LT(one.errors.mape, 1e-9) << one.held_out;
}

TEST(Pmnf, PredictsARecordWithTheBitsOfItsColumn) {
  const auto source = tiny::random_engine_steps(60, 4);
  const auto data = steps(60);
  const auto fitted = searched::fit(data, row_set::all(60));
  std::vector<double> predicted(60);
  fitted.predict(data, row_set::all(60), predicted);
  struct record {
    double prefill_tokens, decode_tokens;
  };
  for (std::size_t row = 0; row < 60; ++row) {
    const record one{source[row].prefill_tokens, source[row].decode_tokens};
    const deployment& engine = tiny::engines()[source[row].engine];
    EXPECT_EQ(fitted.predict(one, engine).value, predicted[row]);
    EXPECT_EQ(fitted.bind<record>(engine)(one).value, predicted[row]);
  }
}

TEST(Pmnf, PredictsSomeRowsAsIfAllWereAskedFor) {
  const auto data = steps(100);
  const auto fitted = searched::fit(data, row_set::all(100));
  std::vector<double> all(100);
  fitted.predict(data, row_set::all(100), all);
  const row_set some = row_set::of({3, 4, 5, 50, 99});
  std::vector<double> few_rows(5);
  fitted.predict(data, some, few_rows);
  EXPECT_EQ(few_rows, (std::vector<double>{all[3], all[4], all[5], all[50], all[99]}));
}

TEST(Pmnf, NeverReadsRowsThatItIsNotToSee) {
  const auto data = steps();
  const row_set seen = row_set::where(300, [](std::size_t row) { return row % 3 != 0; });
  std::vector<double> times(data.target().begin(), data.target().end());
  for (std::size_t row = 0; row < 300; row += 3) times[row] = std::nan("");
  EXPECT_EQ(searched::fit(data.with_target(times), seen).formula(), searched::fit(data, seen).formula());
}

TEST(Pmnf, SaysHowItChose) {
  const auto fitted = searched::fit(steps(), row_set::all(300));
  const auto lines = fitted.findings();
  ASSERT_EQ(lines.size(), 3U);
  EXPECT_EQ(lines[0], "step time [s] = " + fitted.formula());
  EXPECT_NE(lines[1].find("chosen by the rows of each model left out"), std::string::npos) << lines[1];
  EXPECT_NE(lines[2].find("with 0, "), std::string::npos);
  EXPECT_EQ(fitted.summary().rows, 300U);
  EXPECT_EQ(fitted.summary().parameters, 3U);
  EXPECT_EQ(fitted.summary().identifiable, 3U);
}

TEST(Pmnf, RowsOfOneModelAreLeftOutInBlocks) {
  const auto data = steps();
  const row_set one = data.groups(group::model).rows_of(0);
  EXPECT_NE(searched::fit(data, one).findings()[1].find("of 5 blocks of rows"), std::string::npos);
}

TEST(Pmnf, OneRowIsAConstant) {
  const auto data = steps();
  const auto fitted = searched::fit(data, row_set::of({7}));
  EXPECT_EQ(fitted.form().constant, data.target()[7]);
  EXPECT_EQ(fitted.summary().status, "ok; 0 terms, nothing to cross-validate on");
}

TEST(Pmnf, ReportsShowTheFormula) {
  const auto report = evaluate<searched>(steps(), lomo{});
  ASSERT_EQ(report.results[0].folds[0].findings.size(), 3U);
  EXPECT_EQ(report.results[0].folds[0].findings[0],
            "step time [s] = 0.001 + 2e-06 · prefill + 1e-05 · decode · layers");
}

template <class Estimator> std::string refusal(const dataset<tiny::aggregated>& data, const row_set& rows) {
  try {
    Estimator::fit(data, rows);
  } catch (const fit_error& why) {
    return why.what();
  }
  return "fitted";
}

struct balance_t : decltype(feature_set{"balance"_f = prefill_tokens - decode_tokens}) {};
inline constexpr balance_t balance{};
struct ratio_t : decltype(feature_set{"ratio"_f = prefill_tokens / (prefill_tokens - prefill_tokens)}) {};
inline constexpr ratio_t infinite_ratio{};

TEST(Pmnf, RefusesMetricsBelowZeroNamingTheRow) {
  const auto data = steps(20);
  std::size_t row = 0;
  while (data[row].get(prefill_tokens) >= data[row].get(decode_tokens)) ++row;
  EXPECT_EQ(
      (refusal<pmnf<balance>>(data, row_set::all(20))),
      "metric 'balance' is negative on row " + std::to_string(row) + " (made.csv:" + std::to_string(row + 2) + ")");
}

TEST(Pmnf, RefusesMetricsThatAreNotFinite) {
  const auto data = steps(20);
  EXPECT_EQ(refusal<pmnf<infinite_ratio>>(data, row_set::all(20)),
            std::string("metric 'ratio' is ") + (data[0].get(prefill_tokens) > 0.0 ? "infinite" : "not a number") +
                " on row 0 (made.csv:2)");
}

TEST(Pmnf, RefusesTargetsWithoutARelativeError) {
  const auto data = steps(20);
  std::vector<double> left(data.target().begin(), data.target().end());
  left[4] = -1.0;
  const auto residual = data.with_target(left, "left");
  EXPECT_EQ(refusal<searched>(residual, row_set::all(20)),
            "target 'left' is not positive, so has no relative error, on row 4 (made.csv:6)");
  EXPECT_EQ((refusal<pmnf<tokens, plain_squares>>(residual, row_set::all(20))), "fitted");
  EXPECT_EQ(refusal<searched>(data, row_set{}), "no rows to fit on");
}

struct with_code_t : decltype(feature_set{"prefill"_f = prefill_tokens, "code"_f = model_code}) {};
inline constexpr with_code_t with_code{};
static_assert(!transfers_under<pmnf<with_code>, lomo>);
static_assert(transfers_under<searched, lomo>);
static_assert(estimator_on<searched, dataset<tiny::aggregated>>);

}  // namespace
