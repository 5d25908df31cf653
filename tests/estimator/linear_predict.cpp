// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// The ways to ask a linear predictor: a batch of rows, a bound deployment, one record. All give the same bits.
#include <gtest/gtest.h>

#include <cmath>
#include <cstddef>
#include <vector>

#include "rafter/analytical/roofline.hpp"
#include "rafter/estimator/linear.hpp"
#include "rafter/solver/ridge.hpp"
#include "support/engine_steps.hpp"

namespace {

using namespace rafter;
using namespace rafter::literals;
using tiny::engine_step;

template <class Estimator> void expect_the_same_bits() {
  const auto steps = tiny::random_engine_steps(203, 17);
  const auto data = tiny::dataset_of(steps, [](const engine_step& s, std::size_t i) {
    return 1e-3 + 1e-5 * s.prefill_tokens * (1.0 + double(i % 7));
  });
  const auto fitted = Estimator::fit(data, row_set::where(203, [](std::size_t row) { return row % 4 != 0; }));
  const row_set asked = row_set::where(203, [](std::size_t row) { return row % 11 != 3 && row != 0; });
  std::vector<double> batch(asked.size(), -1.0);
  fitted.predict(data, asked, batch);
  std::size_t at = 0;
  asked.for_each([&](std::size_t row) {
    const deployment& engine = tiny::engines()[steps[row].engine];
    const auto bound = fitted.template bind<engine_step>(engine);
    EXPECT_EQ(bound(steps[row]).value, batch[at]) << row;
    EXPECT_EQ(fitted.predict(steps[row], engine).value, batch[at]) << row;
    std::vector<double> alone(1);
    fitted.predict(data, row_set::of({row}), alone);  // the other rows do not matter
    EXPECT_EQ(alone[0], batch[at]) << row;
    ++at;
  });
}

TEST(LinearPredict, GivesTheSameBitsForBatchBoundAndRecord) {
  expect_the_same_bits<linear<tiny::mixture, ridge<1>>>();
}
TEST(LinearPredict, GivesTheSameBitsForRelativeErrors) {
  expect_the_same_bits<linear<tiny::mixture, ridge<1>, objective::relative>>();
}
TEST(LinearPredict, GivesTheSameBitsForLogTargets) {
  expect_the_same_bits<linear<tiny::mixture, ridge<1>, objective::log_target>>();
}

// Features and base of every kind of deployment quantity, so that a static deployment has something to fold.
struct physical_t
    : decltype(feature_set{
          "prefill_tokens"_f = prefill_tokens,
          "hidden"_f = architecture::hidden,
          "floor_milliseconds"_f = analytical::floor_time * with_unit<units::none / units::second>(1000_c),
          "decode*layers"_f = decode_tokens * architecture::layers,
      }) {};
inline constexpr physical_t physical{};

template <class Estimator> void expect_static_like_run_time() {
  using engine = static_deployment<tiny::dense, tiny::memory_bound, 2>;
  const auto steps = tiny::random_engine_steps(80, 23);
  const auto data = tiny::dataset_of(steps, [](const engine_step& s, std::size_t i) {
    return 1e-3 + 1e-5 * s.prefill_tokens + 1e-6 * double(i % 13);
  });
  const auto fitted = Estimator::fit(data, row_set::all(80));
  const auto folded = fitted.template bind<engine_step>(engine{});
  const auto at_run_time = fitted.template bind<engine_step>(deployment_of(engine{}));
  for (const engine_step& s : steps) {
    EXPECT_EQ(folded(s).value, at_run_time(s).value);
    EXPECT_TRUE(std::isfinite(folded(s).value));
  }
}
TEST(LinearPredict, FoldsAStaticDeploymentToTheSameBits) {
  expect_static_like_run_time<linear<physical, ridge<1>>>();
}
TEST(LinearPredict, FoldsTheBaseOfAStaticDeploymentToTheSameBits) {
  expect_static_like_run_time<linear<physical, ridge<1>, objective::log_ratio_to<analytical::floor_time>>>();
}

TEST(LinearPredict, IsTheSumThatTheSolutionSays) {
  const auto steps = tiny::random_engine_steps(50, 4);
  const auto data = tiny::dataset_of(steps, [](const engine_step& s, std::size_t i) {
    return 1e-3 + 1e-5 * s.prefill_tokens + 1e-5 * double(i % 9);
  });
  const auto fitted = linear<tiny::mixture, ridge<1>>::fit(data, row_set::all(50));
  const auto as_log = linear<tiny::mixture, ridge<1>, objective::log_target>::fit(data, row_set::all(50));
  for (const engine_step& s : steps) {
    const auto x = tiny::mixture_of(s);
    const deployment& engine = tiny::engines()[s.engine];
    EXPECT_NEAR(fitted.predict(s, engine).value, fitted.solution().predict(x.data()), 1e-14);
    EXPECT_NEAR(as_log.predict(s, engine).value, std::exp(as_log.solution().predict(x.data())), 1e-13);
  }
}

TEST(LinearPredict, WritesNothingForNoRows) {
  const auto data = tiny::noisy_steps(30, 1);
  const auto fitted = linear<tiny::mixture, ridge<1>>::fit(data, row_set::all(30));
  std::vector<double> none;
  EXPECT_NO_THROW(fitted.predict(data, {}, none));
}

}  // namespace
