// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// The nine-parameter kernel model where the truth is known.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "rafter/analytical/kernel_models.hpp"
#include "rafter/architecture/catalog/llama2.hpp"
#include "rafter/architecture/catalog/llama3.hpp"
#include "rafter/estimator/nonlinear.hpp"
#include "rafter/evaluation/inference.hpp"
#include "rafter/hardware/h100.hpp"
#include "support/recovery.hpp"

namespace {

using namespace rafter;

constexpr int seeds = 200;
using kernel9 = nonlinear<analytical::kernel9>;
const by_hand::nine truth{1.3, 1.25, 3.1, 1.1, 15e-6, 40e-6, 50e-6, 4.8, 15e-6};
const char* const names[] = {"gemm_prefill_factor",     "gemm_decode_factor", "prefill_attention_factor",
                             "decode_attention_factor", "layer_floor",        "prefill_attention_floor",
                             "decode_attention_floor",  "elementwise_factor", "elementwise_floor"};

void check(bool counted) {
  auto steps = by_hand::varied_steps(200, 1);
  if (!counted) {
    for (by_hand::step& s : steps) s.elementwise_counted = 0.0;
  }
  const std::vector<deployment> engines{deployment_of(static_deployment<llama2_7b, h100_sxm>{}),
                                        deployment_of(static_deployment<llama3_8b, h100_sxm>{}),
                                        deployment_of(static_deployment<llama2_70b, h100_sxm, 4>{})};
  std::map<std::string, by_hand::coverage> covered;
  const std::size_t live = counted ? 9 : 7;
  for (unsigned seed = 0; seed < seeds; ++seed) {
    const auto data = by_hand::noisy(
        steps, engines, [](const auto& rank, const auto& s) { return by_hand::kernel9(truth, rank, s); }, 0.03,
        100 + seed);
    const auto fitted = kernel9::fit(data, row_set::all(data.size()));
    ASSERT_TRUE(fitted.summary().healthy) << fitted.summary().status;
    EXPECT_EQ(fitted.summary().parameters, 9U);
    EXPECT_EQ(fitted.summary().identifiable, live);
    const parameter_inference table(fitted, 0.95);
    for (std::size_t j = 0; j < live; ++j) {
      const parameter_row& one = table.row(names[j]);
      EXPECT_EQ(one.parameter.state, parameter_state::determined) << names[j];
      covered[names[j]].count(one.low, truth[j], one.high);
    }
    for (std::size_t j = live; j < 9; ++j) {
      EXPECT_EQ(table.row(names[j]).parameter.state, parameter_state::dead);
      EXPECT_EQ(table.row(names[j]).parameter.note, "elementwise_counted 0 on every training row");
    }
  }
  for (const auto& [name, count] : covered) {
    ::testing::Test::RecordProperty(name, count.covered);
    EXPECT_TRUE(count.as_stated()) << name << ": " << count.covered << " of " << count.tried;
  }
}

TEST(RecoveryOfKernel9, CoversAllNineWhereElementwiseKernelsAreCountedOnSomeSteps) { check(true); }
TEST(RecoveryOfKernel9, ReportsThoseOfElementwiseKernelsWhereNoneAreCounted) { check(false); }

}  // namespace
