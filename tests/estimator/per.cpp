// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/estimator/per.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "rafter/estimator/linear.hpp"
#include "rafter/solver/ridge.hpp"
#include "rafter/validation/leave_one_group_out.hpp"
#include "rafter/validation/split_policy.hpp"
#include "support/engine_steps.hpp"

namespace {

using namespace rafter;
using namespace rafter::literals;
using shrunk = linear<tiny::mixture, ridge<1>>;
struct reciprocal_t : decltype(feature_set{"reciprocal"_f = one_token / decode_tokens}) {};
inline constexpr reciprocal_t reciprocal{};
using per_model = per<group::model, shrunk>;

TEST(Per, PredictsEachRowAsTheFitOnItsLabelAlone) {
  const auto data = tiny::noisy_steps(400, 9);
  const row_set rows = row_set::where(400, [](std::size_t row) { return row % 4 != 0; });
  const auto fitted = per_model::fit(data, rows);
  EXPECT_EQ(fitted.parts().size(), 4U);
  std::vector<double> together(400);
  fitted.predict(data, row_set::all(400), together);
  const group_column& models = data.groups(group::model);
  for (std::uint32_t code = 0; code < models.count(); ++code) {
    const row_set own = models.rows_of(code);
    std::vector<double> alone(own.size());
    shrunk::fit(data, own & rows).predict(data, own, alone);
    std::size_t at = 0;
    own.for_each([&](std::size_t row) { EXPECT_EQ(together[row], alone[at++]) << row; });
  }
}

TEST(Per, FindsPartsByLabelInOtherData) {
  const auto data = tiny::noisy_steps(200, 3);
  const auto fitted = per_model::fit(data, row_set::all(200));
  std::vector<double> all(200);
  fitted.predict(data, row_set::all(200), all);
  const row_set last = row_set::where(200, [](std::size_t row) { return row >= 120; });
  const auto other = data.keep(last);
  std::vector<double> some(80);
  fitted.predict(other, row_set::all(80), some);
  EXPECT_EQ(some, std::vector<double>(all.begin() + 120, all.end()));
}

TEST(Per, NamesALabelThatNothingWasFittedFor) {
  const auto data = tiny::noisy_steps(200, 3);
  const fold part = lomo{}.folds(data)[1];
  const auto fitted = per_model::fit(data, part.train);
  std::vector<double> out(part.test.size());
  try {
    fitted.predict(data, part.test, out);
    FAIL() << "predicted";
  } catch (const fit_error& refused) {
    EXPECT_EQ(std::string(refused.what()), "nothing was fitted for model '" + part.held_out + "'");
  }
}

TEST(Per, AddsUpItsParts) {
  const auto data = tiny::noisy_steps(200, 3);
  const fit_summary summary = per_model::fit(data, row_set::all(200)).summary();
  EXPECT_EQ(summary.rows, 200U);
  EXPECT_EQ(summary.parameters, 4U * 7U);
  EXPECT_EQ(summary.identifiable, 4U * 5U);  // layers and ranks are constant within a model
  EXPECT_TRUE(summary.healthy);
}

TEST(Per, TellsWhichPartIsUnhealthy) {
  using unpenalised = per<group::model, linear<tiny::mixture, ridge<0>>>;
  const auto data = tiny::noisy_steps(200, 3);
  row_set rows = data.groups(group::model).rows_of(1);
  const auto few = data.groups(group::model).rows_of(2).to_vector();
  rows = rows | row_set::of({few[0], few[1]});
  const fit_summary summary = unpenalised::fit(data, rows).summary();
  EXPECT_FALSE(summary.healthy);
  EXPECT_EQ(summary.status.find(data.groups(group::model).names()[2] + ": "), 0U) << summary.status;
}

TEST(Per, RefusesToFitOnNothing) { EXPECT_THROW(per_model::fit(tiny::noisy_steps(20, 3), {}), fit_error); }

TEST(Per, NamesTheLabelThatCannotBeFitted) {
  auto steps = tiny::random_engine_steps(100, 3);
  for (auto& s : steps) s.decode_requests = s.decode_tokens = 1;
  std::size_t bad = 0;
  while (steps[bad].engine != 1) ++bad;
  steps[bad].decode_requests = steps[bad].decode_tokens = 0;
  const auto data =
      tiny::dataset_of(steps, [](const auto&, std::size_t i) { return 1.0 + static_cast<double>(i % 3); });
  try {
    per<group::model, linear<reciprocal, ridge<1>>>::fit(data, row_set::all(100));
    FAIL() << "fitted";
  } catch (const fit_error& refused) {
    EXPECT_EQ(std::string(refused.what())
                  .find("model 'model-1': feature 'reciprocal' is infinite on row " + std::to_string(bad)),
              0U)
        << refused.what();
  }
}

// Identity features are constant within a label of their own axis, hence harmless; other axes keep theirs.
struct coded_t : decltype(tiny::mixture | feature_set{feature<"code", model_code_t>{}}) {};
inline constexpr coded_t coded{};
using coded_ridge = linear<coded, ridge<1>>;
static_assert(coded_ridge::reads_identity(group::model) == "code");
static_assert(per<group::model, coded_ridge>::reads_identity(group::model).empty());
static_assert(per<group::workload, coded_ridge>::reads_identity(group::model) == "code");
static_assert(per_model::fitted_per(group::model) && !per_model::fitted_per(group::workload));
static_assert(per<group::workload, per_model>::fitted_per(group::model));

}  // namespace
