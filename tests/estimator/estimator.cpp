// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// The concept suites, on one estimator of each kind.
#include "rafter/estimator/estimator.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "concepts/estimator.hpp"
#include "rafter/analytical/roofline.hpp"
#include "rafter/estimator/analytical_model.hpp"
#include "rafter/estimator/linear.hpp"
#include "rafter/estimator/mean_of_target.hpp"
#include "rafter/estimator/per.hpp"
#include "rafter/solver/ridge.hpp"
#include "support/engine_steps.hpp"

namespace {

using namespace rafter;
using data_type = dataset<tiny::aggregated>;

double time_of(const tiny::engine_step& s, std::size_t i) {
  return 1e-3 + 1e-5 * s.prefill_tokens + 1e-6 * static_cast<double>(i * i % 101);
}

template <class Estimator> std::vector<std::string> violations() {
  const auto steps = tiny::random_engine_steps(310, 41);
  const data_type data = tiny::dataset_of(steps, time_of);
  const row_set rows = row_set::where(310, [](std::size_t row) { return row % 7 != 4; });
  return rafter::testing::check_estimator<Estimator>(data, rows, [&](const row_set& kept) {
    auto changed = steps;
    for (std::size_t i = 0; i < changed.size(); ++i) {
      if (!kept.contains(i))
        changed[i].kv_usage_ratio = 0.123, changed[i].decode_requests = changed[i].decode_tokens = 9999;
    }
    return tiny::dataset_of(
        changed, [&](const tiny::engine_step& s, std::size_t i) { return kept.contains(i) ? time_of(s, i) : 1e3; });
  });
}
const std::vector<std::string> none;

TEST(Estimator, MeanKeepsItsPromises) { EXPECT_EQ(violations<mean_of_target>(), none); }
TEST(Estimator, LinearKeepsItsPromises) { EXPECT_EQ((violations<linear<tiny::mixture, ridge<1>>>()), none); }
TEST(Estimator, LogLinearKeepsItsPromises) {
  EXPECT_EQ((violations<linear<tiny::mixture, ridge<1>, objective::log_target>>()), none);
}
TEST(Estimator, AFormulaKeepsItsPromises) { EXPECT_EQ(violations<analytical_model<analytical::floor_time>>(), none); }
TEST(Estimator, OnePerModelKeepsItsPromises) {
  EXPECT_EQ((violations<per<group::model, linear<tiny::mixture, ridge<1>>>>()), none);
}

/// Models that break promises: the suite must notice.
struct cheating_predictor {
  double value = 0;
  mutable int calls = 0;
  fit_summary summary() const { return {.rows = 3, .parameters = 1, .identifiable = 2, .status = ""}; }
  template <class Schema> void predict(const dataset<Schema>&, const row_set& rows, std::span<double> out) const {
    ++calls;
    for (std::size_t i = 0; i < rows.size(); ++i) out[i] = value + calls + static_cast<double>(rows.size());
  }
};
struct cheating {
  static std::string name() { return "peeks at all rows"; }
  static constexpr std::string_view reads_identity(group) { return {}; }
  static constexpr bool fitted_per(group) { return false; }
  template <class Schema> static constexpr std::string_view missing_on() { return {}; }
  template <class Schema> static cheating_predictor fit(const dataset<Schema>& data, const row_set&) {
    cheating_predictor made;
    for (const double v : data.target()) made.value += v;
    return made;
  }
};
TEST(Estimator, ACheatIsFoundOut) {
  const auto found = violations<cheating>();
  const auto said = [&](const char* what) {
    for (const std::string& one : found) {
      if (one == what) return true;
    }
    return false;
  };
  EXPECT_TRUE(said("a second call predicted something else"));
  EXPECT_TRUE(said("the prediction of a row depends on which other rows are asked for"));
  EXPECT_TRUE(said("more parameters are identifiable than there are"));
  EXPECT_TRUE(said("the summary has no status"));
  EXPECT_TRUE(said("the summary counts other rows than were given"));
  EXPECT_TRUE(said("the fit depends on rows that it was not given"));
}

}  // namespace
