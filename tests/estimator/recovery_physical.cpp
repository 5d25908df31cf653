// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// The corrected roofline where the truth is known: what the steps determine is recovered, what they do not is reported.
#include <gtest/gtest.h>

#include <map>
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
using physical9 = nonlinear<analytical::roofline9<analytical::physical_reading>>;

const by_hand::nine truth{1.3, 0.6, 1.5, 0.4, 1.2, 0.5, 1.4, 0.5, 2e-3};
// Decode attention is bound by memory on every step: its MFU has no effect anywhere.
const std::map<std::string, double> determined{{"prefill_gemm_factor", 1.3},      {"prefill_gemm_mfu", 0.6},
                                               {"prefill_attention_factor", 1.5}, {"prefill_attention_mfu", 0.4},
                                               {"decode_gemm_factor", 1.2},       {"decode_gemm_mfu", 0.5},
                                               {"decode_attention_factor", 1.4},  {"overhead", 2e-3}};

TEST(RecoveryOfRoofline9, CoversWhatIsDeterminedAndReportsWhatIsNot) {
  const auto steps = by_hand::varied_steps(300, 1);
  const std::vector<deployment> engines{deployment_of(static_deployment<llama2_7b, h100_sxm>{})};
  std::map<std::string, by_hand::coverage> covered;
  for (unsigned seed = 0; seed < seeds; ++seed) {
    const auto data = by_hand::noisy(
        steps, engines, [](const auto& rank, const auto& s) { return by_hand::roofline9(truth, rank, s); }, 0.03,
        5000 + seed);
    const auto fitted = physical9::fit(data, row_set::all(data.size()));
    ASSERT_TRUE(fitted.summary().healthy) << fitted.summary().status;
    EXPECT_EQ(fitted.summary().parameters, 9U);
    EXPECT_EQ(fitted.summary().identifiable, 8U);
    const auto findings = fitted.findings();
    ASSERT_EQ(findings.size(), 2U) << seed << ": " << findings.back();
    EXPECT_EQ(findings[0].substr(0, 53), "9 parameters, of which the training rows determine 8");
    EXPECT_EQ(
        findings[1],
        "decode_attention_mfu has no effect on any training row: the branch of a max, min or select that reads it "
        "is never taken");
    const parameter_inference table(fitted, 0.95);
    for (const auto& [name, value] : determined) {
      EXPECT_EQ(table.row(name).parameter.state, parameter_state::determined) << name;
      covered[name].count(table.row(name).low, value, table.row(name).high);
    }
    EXPECT_EQ(table.row("decode_attention_mfu").parameter.state, parameter_state::dead);
  }
  for (const auto& [name, count] : covered) {
    RecordProperty(name, count.covered);
    EXPECT_TRUE(count.as_stated()) << name << ": " << count.covered << " of " << count.tried;
  }
}

}  // namespace
