// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/analytical/operation_table.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <string>
#include <vector>

#include "rafter/hardware/h100.hpp"
#include "support/message.hpp"

namespace {

using namespace rafter;
using products = operation_table<operations::matrix_product>;
using attention = operation_table<operations::decode_attention>;

const accelerator_record h100 = record_of<h100_sxm>();
const std::array<double, 3> square{16, 4096, 4096};
const std::array<double, 4> gqa{16, 32, 8, 128};

/// 1, 2 and 8 tokens.
products three_points(beyond_measured beyond) {
  const std::vector<products::point> points{{square, {8}, 40e-6}, {square, {1}, 10e-6}, {square, {2}, 11e-6}};
  return {points, h100, beyond};
}
/// Requests 1, 4 and 16 by KV 16, 64 and 256, but for (16, 256) and (4, 16); time a power law of both.
double power_law(double requests, double kv) { return 2e-6 * std::pow(requests, 0.5) * std::pow(kv, 0.75); }
attention grid(beyond_measured beyond) {
  std::vector<attention::point> points;
  for (const double requests : {1.0, 4.0, 16.0}) {
    for (const double kv : {16.0, 64.0, 256.0}) {
      const bool hole = (requests == 16.0 && kv == 256.0) || (requests == 4.0 && kv == 16.0);
      if (!hole) points.push_back({gqa, {requests, kv}, power_law(requests, kv)});
    }
  }
  return {points, h100, beyond};
}

TEST(OperationTable, AMeasuredPointIsGivenBackBitForBit) {
  const products table = three_points(beyond_measured::refuse);
  EXPECT_EQ(table.seconds(square, {1}), 10e-6);
  EXPECT_EQ(table.seconds(square, {2}), 11e-6);
  EXPECT_EQ(table.seconds(square, {8}), 40e-6);
  const attention two = grid(beyond_measured::refuse);
  EXPECT_EQ(two.seconds(gqa, {4, 64}), power_law(4, 64));
  EXPECT_EQ(two.seconds(gqa, {16, 16}), power_law(16, 16));
}

TEST(OperationTable, BetweenPointsTheLogarithmsAreLinear) {
  const products table = three_points(beyond_measured::refuse);
  EXPECT_DOUBLE_EQ(table.seconds(square, {4}), std::sqrt(11e-6 * 40e-6));
  EXPECT_NEAR(table.seconds(square, {3}), 11e-6 * std::pow(40.0 / 11.0, std::log(1.5) / std::log(4.0)), 1e-19);
}

TEST(OperationTable, AnIncompleteGridReproducesAPowerLawFromTheLinesThatReachAPoint) {
  const attention table = grid(beyond_measured::refuse);
  for (const auto& [requests, kv] :
       {std::pair(2.0, 30.0), std::pair(4.0, 20.0), std::pair(8.0, 100.0), std::pair(2.0, 256.0)}) {
    const double time = table.seconds(gqa, {requests, kv});
    if (requests == 8.0) {  // the line of 16 requests ends at 64: nothing above reaches
      EXPECT_TRUE(std::isnan(time));
    } else {
      EXPECT_NEAR(time, power_law(requests, kv), 1e-12 * power_law(requests, kv)) << requests << ' ' << kv;
    }
  }
}

TEST(OperationTable, RepeatedPointsCountAsTheirMedian) {
  const std::vector<products::point> points{{square, {1}, 3e-6}, {square, {1}, 100e-6}, {square, {1}, 5e-6}};
  const products table(points, h100);
  EXPECT_EQ(table.size(), 1U);
  EXPECT_EQ(table.seconds(square, {1}), 5e-6);
}

TEST(OperationTable, RefusesWhatWasNotMeasured) {
  const products table = three_points(beyond_measured::refuse);
  EXPECT_TRUE(std::isnan(table.seconds(square, {0.5})));
  EXPECT_TRUE(std::isnan(table.seconds(square, {9})));
  EXPECT_TRUE(std::isnan(table.seconds({16, 4096, 4095}, {2})));
  EXPECT_TRUE(std::isnan(table.seconds({8, 4096, 4096}, {2})));
  EXPECT_TRUE(std::isnan(products().seconds(square, {1})));
}

TEST(OperationTable, BeyondItsPointsAShapeFollowsTheRoofline) {
  const products table = three_points(beyond_measured::roofline_scaled);
  const auto roofline = [&](double m) {  // written again: compute or memory, whichever is slower
    return std::max(2.0 * m * 4096.0 * 4096.0 / 989.4e12, 2.0 * (4096.0 * 4096.0 + 2.0 * m * 4096.0) / 3.35e12);
  };
  EXPECT_DOUBLE_EQ(table.seconds(square, {8192}), 40e-6 * roofline(8192) / roofline(8));
  EXPECT_DOUBLE_EQ(table.seconds(square, {0.5}), 10e-6 * roofline(0.5) / roofline(1));
}

TEST(OperationTable, BeyondALineTheNeighbouringLinesAreContinuedAndThenInterpolated) {
  const attention table = grid(beyond_measured::roofline_scaled);
  const auto bytes = [](double requests,
                        double kv) {  // bound by memory: 2 KV·h·2 B each entry, 2 H·h·2 B each request
    return requests * (2.0 * kv * 8 * 128 * 2 + 2.0 * 32 * 128 * 2);
  };
  const double low = table.seconds(gqa, {4, 128}), high = power_law(16, 64) * bytes(16, 128) / bytes(16, 64);
  EXPECT_DOUBLE_EQ(table.seconds(gqa, {16, 128}), high);
  EXPECT_DOUBLE_EQ(table.seconds(gqa, {8, 128}), std::sqrt(low * high));
  EXPECT_DOUBLE_EQ(table.seconds(gqa, {64, 32}), table.seconds(gqa, {16, 32}) * bytes(64, 32) / bytes(16, 32));
}

TEST(OperationTable, AnUnmeasuredShapeTakesTheEfficienciesOfTheTwoOfNearestWork) {
  const std::array<double, 3> half{16, 2048, 4096}, twice{16, 8192, 4096}, far{16, 65536, 4096},
      asked{16, 3072, 4096};
  const auto memory = [](double n) { return 2.0 * (4096 + 4096 * n + n); };
  const auto efficiency_of = [&](double n, double time) { return time / (memory(n) / 3.35e12); };
  const auto apart = [&](double n) {
    return std::pow(std::log(3072 / n), 2) + std::pow(std::log(memory(3072) / memory(n)), 2);
  };
  const products table(std::vector<products::point>{{half, {1}, 7e-6}, {twice, {1}, 3e-5}, {far, {1}, 1e-3}}, h100,
                       beyond_measured::roofline_scaled);
  const double near = 1.0 / apart(2048), other = 1.0 / apart(8192);
  const double efficiency = std::exp(
      (near * std::log(efficiency_of(2048, 7e-6)) + other * std::log(efficiency_of(8192, 3e-5))) / (near + other));
  EXPECT_NEAR(table.seconds(asked, {1}), efficiency * memory(3072) / 3.35e12, 1e-18);
  EXPECT_TRUE(std::isnan(table.seconds({8, 3072, 4096}, {1}))) << "no shape of another number format stands in";
}

TEST(OperationTable, OneMeasuredShapeStandsInAlone) {
  const products table = three_points(beyond_measured::roofline_scaled);
  const double ratio = (4096 + 4096.0 * 2048 + 2048) / (4096 + 4096.0 * 4096 + 4096);
  EXPECT_DOUBLE_EQ(table.seconds({16, 2048, 4096}, {1}), 10e-6 * ratio);
}

TEST(OperationTable, RefusesATimeThatIsNotPositiveNamingThePoint) {
  const std::vector<products::point> points{{square, {3}, 0.0}};
  const std::string text = message_of([&] { products(points, h100); });
  EXPECT_NE(text.find("matrix product (bits 16, n 4096, k 4096) at tokens 3"), std::string::npos) << text;
}

TEST(OperationTable, NewShapesDoNotMixWithThoseThatAreThere) {
  std::vector<products::point> first{{square, {1}, 1e-6}};
  const std::vector<products::point> second{{square, {2}, 9e-6}, {{16, 64, 64}, {2}, 2e-6}};
  add_new_shapes(first, std::span<const products::point>(second));
  ASSERT_EQ(first.size(), 2U);
  EXPECT_EQ(first[1].seconds, 2e-6);
}

TEST(RooflineSeconds, IsTheLongestOfComputeMemoryAndLink) {
  EXPECT_DOUBLE_EQ(roofline_seconds({989.4e12, 3.35e12 / 2, 0.0, precision::bf16}, h100), 1.0);
  EXPECT_DOUBLE_EQ(roofline_seconds({989.4e12, 3.35e12 * 2, 0.0, precision::bf16}, h100), 2.0);
  EXPECT_DOUBLE_EQ(roofline_seconds({0.0, 0.0, 450e9 * 3, precision::bf16}, h100), 3.0);
  EXPECT_TRUE(std::isnan(roofline_seconds({1.0, 0.0, 0.0, precision::fp4}, h100)));
}

}  // namespace
