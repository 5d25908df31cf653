// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// The study's reading of its nine parameters must be seen to fail: four of them are determined, whatever the steps.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "rafter/analytical/corrected.hpp"
#include "rafter/architecture/catalog/llama2.hpp"
#include "rafter/estimator/nonlinear.hpp"
#include "rafter/evaluation/inference.hpp"
#include "rafter/hardware/h100.hpp"
#include "support/recovery.hpp"

namespace {

using namespace rafter;

constexpr int seeds = 200;
using study9 = nonlinear<analytical::roofline9<analytical::study_reading>>;
const by_hand::nine truth{1.3, 0.6, 1.5, 0.4, 1.2, 0.5, 0, 0, 2e-3};

bool says(const std::vector<std::string>& findings, const std::string& line) {
  return std::find(findings.begin(), findings.end(), line) != findings.end();
}
void expect_the_pathology(const std::vector<std::string>& findings) {
  ASSERT_GE(findings.size(), 6U);
  EXPECT_EQ(findings[0].substr(0, 53), "9 parameters, of which the training rows determine 4");
  for (const std::string name : {"decode_attention_factor", "decode_attention_mfu"}) {
    EXPECT_TRUE(
        says(findings, name + " has no effect on any training row: its term of the model is 0 whatever the step"))
        << findings[1];
  }
  for (const std::string name : {"prefill_gemm", "prefill_attention", "decode_gemm"}) {
    EXPECT_TRUE(says(findings, "only " + name + "_factor/" + name + "_mfu is determined"));
  }
}

TEST(RecoveryOfTheStudysRoofline9, ReportsInEverySeedThatFourParametersAreDetermined) {
  const auto steps = by_hand::varied_steps(200, 1);
  const std::vector<deployment> engines{deployment_of(static_deployment<llama2_7b, h100_sxm>{})};
  by_hand::coverage overhead;
  int near = 0;
  for (unsigned seed = 0; seed < seeds; ++seed) {
    const auto data = by_hand::noisy(
        steps, engines, [](const auto& rank, const auto& s) { return by_hand::study_roofline9(truth, rank, s); },
        0.03, 100 + seed);
    const auto fitted = study9::fit(data, row_set::all(data.size()));
    ASSERT_TRUE(fitted.summary().healthy) << fitted.summary().status;
    EXPECT_EQ(fitted.summary().identifiable, 4U);
    expect_the_pathology(fitted.findings());
    const parameter_inference table(fitted, 0.95);
    for (const parameter_row& one : table.rows()) {
      const bool dead = one.parameter.name.starts_with("decode_attention");
      const parameter_state expected = one.parameter.name == "overhead" ? parameter_state::determined
                                       : dead                           ? parameter_state::dead
                                                                        : parameter_state::undetermined;
      EXPECT_EQ(one.parameter.state, expected) << one.parameter.name;
      EXPECT_EQ(std::isinf(one.high), expected != parameter_state::determined);
    }
    overhead.count(table.row("overhead").low, truth[8], table.row("overhead").high);
    // The quotients are what the steps know.
    const double quotient = fitted.parameter("prefill_gemm_factor") / fitted.parameter("prefill_gemm_mfu");
    near += std::abs(quotient / (truth[0] / truth[1]) - 1) < 0.03;
  }
  RecordProperty("overhead", overhead.covered);
  EXPECT_TRUE(overhead.as_stated()) << overhead.covered;
  EXPECT_EQ(near, seeds);
}
TEST(RecoveryOfTheStudysRoofline9, IsPathologicalOnStepsWithDecodeAttentionToo) {
  // The steps list KV lengths and their times contain decode attention; the model cannot see it.
  const auto data = by_hand::noisy(
      by_hand::varied_steps(200, 2), {deployment_of(static_deployment<llama2_7b, h100_sxm>{})},
      [](const auto& rank, const auto& s) {
        return by_hand::roofline9({1.3, 0.6, 1.5, 0.4, 1.2, 0.5, 1.4, 0.5, 2e-3}, rank, s);
      },
      0.03, 7);
  const auto fitted = study9::fit(data, row_set::all(data.size()));
  EXPECT_EQ(fitted.summary().identifiable, 4U);
  expect_the_pathology(fitted.findings());
}

}  // namespace
