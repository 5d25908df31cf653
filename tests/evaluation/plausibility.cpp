// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/evaluation/plausibility.hpp"

#include <gtest/gtest.h>

#include <cstddef>
#include <string>
#include <vector>

#include "support/engine_steps.hpp"

namespace {

using namespace rafter;

/// Bytes of the weights that a dense step surely reads once, by hand: L·(d·Hh + 2·d·Kh + Hh·d + 3·d·f) two-byte numbers,
/// and nothing of the LM head (a step without a finished prefill samples nothing).
double floor_of(const deployment& engine) {
  const auto& a = engine.architecture;
  const double d = a.hidden, h = a.head_dim, H = a.heads, K = a.kv_heads, f = a.intermediate;
  return a.layers * (2 * d * H * h + 2 * d * K * h + 3 * d * f) * 2 / engine.tensor_parallel / 10.0;  // at 10 B/s
}

/// `below` of 1,000 steps of engine 0 take half of the floor, the others four times.
plausibility_report audit_of(std::size_t below, std::size_t worst = 5) {
  std::vector<tiny::engine_step> steps = tiny::random_engine_steps(1000, 3, 1);
  const double floor = floor_of(tiny::engines()[0]);
  const auto data = tiny::dataset_of(steps, [&](const auto&, std::size_t i) {
    return i < below ? floor * (0.5 + 1e-4 * static_cast<double>(i)) : 4 * floor;
  });
  return plausibility(data, worst);
}

TEST(Plausibility, ComparesWithTheTimeToReadTheWeightsOnce) {
  const auto audit = audit_of(1);
  EXPECT_NEAR(audit.all.median_floor, floor_of(tiny::engines()[0]), 1e-12 * audit.all.median_floor);
  EXPECT_NEAR(audit.all.median_ratio, 4.0, 1e-12);
  EXPECT_NEAR(audit.all.lowest_ratio, 0.5, 1e-12);
  EXPECT_EQ(audit.all.rows, 1000U);
  EXPECT_EQ(audit.all.below, 1U);
}

TEST(Plausibility, HasThreeGrades) {
  EXPECT_TRUE(audit_of(0).plausible());
  EXPECT_EQ(audit_of(0).verdict(), "plausible: no row is below the time to read the weights once");
  EXPECT_TRUE(audit_of(10).plausible());
  EXPECT_EQ(audit_of(10).verdict(),
            "plausible as a target, but 10 of 1000 rows (1.00 %) are below the floor: look at them");
  EXPECT_FALSE(audit_of(11).plausible());
  EXPECT_EQ(audit_of(11).verdict(),
            "IMPLAUSIBLE: 1.10 % of the rows are below the time to read the weights once; "
            "'gpu_step_time' cannot be the time of the forward pass");
}

TEST(Plausibility, RoundsTheShare) {
  plausibility_report report;
  report.audited = true;
  report.all.rows = 20110;
  report.all.below = 19762;  // 98.2695 %
  EXPECT_NE(report.verdict().find("98.27 %"), std::string::npos) << report.verdict();
  report.all.below = 20110;
  EXPECT_NE(report.verdict().find("100.00 %"), std::string::npos) << report.verdict();
}

TEST(Plausibility, NamesTheWorstRowsFirst) {
  const auto audit = audit_of(20, 3);
  ASSERT_EQ(audit.worst.size(), 3U);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(audit.worst[i].row, i);
    EXPECT_EQ(audit.worst[i].line, i + 2);
    EXPECT_LT(audit.worst[i].time, audit.worst[i].floor);
  }
  EXPECT_TRUE(audit_of(0).worst.empty());
  EXPECT_EQ(audit_of(2).worst.size(), 2U);
}

TEST(Plausibility, HoldsEachEngineToItsOwnFloorAndGroupsByExperiment) {
  const auto steps = tiny::random_engine_steps(400, 8);
  const auto data = tiny::dataset_of(steps, [](const tiny::engine_step& s, std::size_t) {
    return (s.engine == 1 ? 0.9 : 1.1) * floor_of(tiny::engines()[s.engine]);
  });
  const auto audit = plausibility(data);
  EXPECT_EQ(audit.axis, "experiment");
  const auto& labels = data.groups(group::experiment);
  ASSERT_EQ(audit.groups.size(), labels.count());
  for (std::uint32_t code = 0; code < labels.count(); ++code) {
    const plausibility_group& one = audit.groups[code];
    EXPECT_EQ(one.label, labels.names()[code]);
    EXPECT_EQ(one.rows, labels.rows_of(code).size());
    EXPECT_EQ(one.share_below(), one.label.find("model-1") == 0 ? 1.0 : 0.0) << one.label;
  }
}

TEST(Plausibility, LeavesIdleStepsOut) {
  auto steps = tiny::random_engine_steps(10, 8, 1);
  for (const std::size_t idle : {2U, 5U}) {
    steps[idle].prefill_tokens = steps[idle].prefill_requests = steps[idle].decode_tokens =
        steps[idle].decode_requests = 0;
  }
  const auto audit = plausibility(tiny::dataset_of(steps, [](const auto&, std::size_t) { return 1e6; }));
  EXPECT_EQ(audit.idle, 2U);
  EXPECT_EQ(audit.all.rows, 8U);
  const auto nothing =
      plausibility(tiny::dataset_of({steps[2], steps[5]}, [](const auto&, std::size_t) { return 1e6; }));
  EXPECT_FALSE(nothing.plausible());
  EXPECT_EQ(nothing.verdict(), "not audited: no row has a floor");
}

struct no_tokens_schema {
  static constexpr std::string_view name = "no_tokens";
  using columns = column_list<kv_usage_ratio_t, gpu_step_time_t>;
  using targets = column_list<gpu_step_time_t>;
  static constexpr bool lists_requests = false;
  using deployment_type = rafter::deployment;
};
TEST(Plausibility, SaysWhatItLacks) {
  const auto audit = plausibility(dataset<no_tokens_schema>{});
  EXPECT_FALSE(audit.audited);
  EXPECT_FALSE(audit.plausible());
  EXPECT_EQ(audit.verdict(), "not audited: the schema lacks 'prefill_tokens', so no floor can be computed");
}

}  // namespace
