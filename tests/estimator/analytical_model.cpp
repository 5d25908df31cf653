// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/estimator/analytical_model.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "rafter/analytical/roofline.hpp"
#include "support/engine_steps.hpp"

namespace {

using namespace rafter;
using namespace rafter::literals;

inline constexpr auto tokens_time =
    (prefill_tokens + 3_c * decode_tokens) / with_unit<units::token / units::second>(1000_c) * architecture::layers;
using by_hand = analytical_model<tokens_time>;
using floor_model = analytical_model<analytical::floor_time>;

TEST(AnalyticalModel, PredictsItsFormula) {
  const auto steps = tiny::random_engine_steps(75, 5);
  const auto data = tiny::dataset_of(steps, [](const auto&, std::size_t) { return 1.0; });
  const row_set rows = row_set::where(75, [](std::size_t row) { return row % 3 != 0; });
  std::vector<double> out(rows.size());
  by_hand::fit(data, rows).predict(data, rows, out);
  std::size_t at = 0;
  rows.for_each([&](std::size_t row) {
    const auto& s = steps[row];
    const double expected =
        (s.prefill_tokens + 3 * s.decode_tokens) / 1000 * tiny::engines()[s.engine].architecture.layers;
    EXPECT_NEAR(out[at++], expected, 1e-13 * expected);
  });
}

TEST(AnalyticalModel, GivesTheSameBitsForBatchAndRecord) {
  const auto steps = tiny::random_engine_steps(75, 5);
  const auto data = tiny::dataset_of(steps, [](const auto&, std::size_t) { return 1.0; });
  const auto model = floor_model::fit(data, row_set::all(75));
  std::vector<double> out(75);
  model.predict(data, row_set::all(75), out);
  for (std::size_t row = 0; row < 75; ++row) {
    EXPECT_EQ(model.predict(steps[row], tiny::engines()[steps[row].engine]).value, out[row]) << row;
  }
}

TEST(AnalyticalModel, FitsNothing) {
  const auto data = tiny::noisy_steps(30, 1);
  const fit_summary summary = floor_model::fit(data, row_set::all(30)).summary();
  EXPECT_EQ(summary.rows, 30U);
  EXPECT_EQ(summary.parameters, 0U);
  EXPECT_TRUE(summary.healthy);
  EXPECT_EQ(summary.status, "nothing fitted");
}

TEST(AnalyticalModel, SaysWhatItIdentifiesAndLacks) {
  using coded = analytical_model<tokens_time * model_code>;
  EXPECT_EQ(coded::reads_identity(group::model), "model_code");
  EXPECT_EQ(coded::reads_identity(group::workload), "");
  EXPECT_EQ(by_hand::reads_identity(group::model), "");
  EXPECT_EQ(floor_model::missing_on<tiny::aggregated>(), "");
  EXPECT_NE(analytical_model<analytical::roofline_step_time>::missing_on<tiny::aggregated>(), "");
  EXPECT_EQ(analytical_model<analytical::roofline_step_time>::missing_on<tiny::listed>(), "");
}

}  // namespace
