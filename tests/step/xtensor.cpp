// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/step/xtensor.hpp"

#include <gtest/gtest.h>

#include <xtensor/xmath.hpp>

#include "support/engine_steps.hpp"

namespace {

using namespace rafter;

TEST(StepXtensor, ViewsColumnsWithoutCopying) {
  const auto data = tiny::noisy_steps(30, 2);
  const auto tokens = tensor_of(data, prefill_tokens);
  const auto times = target_tensor_of(data);
  EXPECT_EQ(tokens.data(), data.column<prefill_tokens_t>().data());
  EXPECT_EQ(times.data(), data.target().data());
  ASSERT_EQ(tokens.size(), 30U);
  double sum = 0;
  for (std::size_t i = 0; i < 30; ++i) {
    EXPECT_EQ(tokens(i), data.column<prefill_tokens_t>()[i]);
    sum += times(i) * tokens(i);
  }
  EXPECT_NEAR(xt::sum(times * tokens)(), sum, 1e-12 * sum);
}

TEST(StepXtensor, ViewsStepIdsOrNothing) {
  const auto data = tiny::noisy_steps(4, 2);
  EXPECT_EQ(step_id_tensor_of(data)(3), 3.0);
  dataset_builder<tiny::aggregated> build("none");
  EXPECT_EQ(step_id_tensor_of(build.finish()).size(), 0U);
}

}  // namespace
