// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/feature/matrix.hpp"

#include <gtest/gtest.h>

#include <cstddef>
#include <vector>

#include "rafter/solver/eigen.hpp"
#include "rafter/solver/xtensor.hpp"
#include "support/engine_steps.hpp"

namespace {

using namespace rafter;

TEST(FeatureMatrix, HoldsTheFeaturesOfEachRowInOrder) {
  const auto steps = tiny::random_engine_steps(150, 7);
  const auto data = tiny::dataset_of(steps, [](const auto&, std::size_t) { return 1.0; });
  for (const row_set& rows : {row_set::all(150), row_set::where(150, [](std::size_t row) { return row % 5 != 2; }),
                              row_set::of({149}), row_set{}}) {
    const feature_values matrix = feature_matrix(tiny::mixture, data, rows);
    ASSERT_EQ(matrix.rows(), rows.size());
    ASSERT_EQ(matrix.columns(), 6U);
    std::size_t at = 0;
    rows.for_each([&](std::size_t row) {
      const auto by_hand = tiny::mixture_of(steps[row]);
      const auto by_record = tiny::mixture_t::set_type::evaluate(steps[row], tiny::engines()[steps[row].engine]);
      for (std::size_t j = 0; j < 6; ++j) {
        EXPECT_EQ(matrix(at, j), by_hand[j]) << row << " " << j;
        EXPECT_EQ(matrix(at, j), by_record[j]) << row << " " << j;
      }
      ++at;
    });
  }
}

TEST(FeatureMatrix, KnowsTheNamesOfItsColumns) {
  const feature_values matrix = feature_matrix(tiny::mixture, tiny::noisy_steps(9, 1), row_set::all(9));
  EXPECT_EQ(matrix.names()[0], "prefill_tokens");
  EXPECT_EQ(matrix.names()[5], "prefill_tokens*kv_usage_ratio");
  EXPECT_EQ(matrix.column(1).data(), matrix.data() + 9);
}

TEST(FeatureMatrix, IsAnEigenMatrixAndAnXtensorWithoutACopy) {
  const feature_values matrix = feature_matrix(tiny::mixture, tiny::noisy_steps(40, 3), row_set::all(40));
  const auto map = map_of(matrix);
  const auto tensor = tensor_of(matrix);
  EXPECT_EQ(map.data(), matrix.data());
  EXPECT_EQ(tensor.data(), matrix.data());
  ASSERT_EQ(map.rows(), 40);
  ASSERT_EQ(map.cols(), 6);
  ASSERT_EQ(tensor.shape()[1], 6U);
  for (std::size_t i = 0; i < 40; ++i) {
    for (std::size_t j = 0; j < 6; ++j) {
      EXPECT_EQ(map(static_cast<Eigen::Index>(i), static_cast<Eigen::Index>(j)), matrix(i, j));
      EXPECT_EQ(tensor(i, j), matrix(i, j));
    }
  }
}

}  // namespace
