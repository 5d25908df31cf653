// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/validation/whole_measurements.hpp"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "concepts/any_dataset.hpp"

namespace {

using namespace rafter;
using rafter::testing::any_dataset;

// Every combination of 12 matrix products with one of 6 prompt attentions or none and one of 8 decode attentions or none.
struct combined {
  std::vector<std::string> gemm, prefill, decode;
  any_dataset data{0};
  combined() {
    for (int g = 0; g < 12; ++g) {
      for (int p = -1; p < 6; ++p) {
        for (int d = -1; d < 8; ++d) {
          gemm.push_back("g" + std::to_string(g));
          prefill.push_back(p < 0 ? std::string(no_measurement) : "p" + std::to_string(p));
          decode.push_back(d < 0 ? std::string(no_measurement) : "d" + std::to_string(d));
        }
      }
    }
    data = any_dataset(gemm.size());
    data.set(group::gemm_measurement, gemm)
        .set(group::prefill_attention_measurement, prefill)
        .set(group::decode_attention_measurement, decode);
  }
};

TEST(WholeMeasurements, NoMeasurementIsOnBothSidesOfAFold) {
  const combined all;
  const auto folds = whole_measurements{.k = 3, .seed = 7}.folds(all.data);
  ASSERT_EQ(folds.size(), 3U);
  check_folds(folds, all.data.size());
  for (const fold& part : folds) {
    for (const auto* column : {&all.gemm, &all.prefill, &all.decode}) {
      std::set<std::string> trained;
      part.train.for_each([&](std::size_t row) { trained.insert((*column)[row]); });
      part.test.for_each([&](std::size_t row) {
        const std::string& label = (*column)[row];
        EXPECT_TRUE(label == no_measurement || trained.count(label) == 0) << label;
      });
    }
  }
}

// 4 of 12 products with (2 of 6 prompts, or none) and (⅓ of 8 decodes, or none), and the same of the complement.
TEST(WholeMeasurements, TestsRowsWhollyInsideAPartAndTrainsOnRowsWhollyOutside) {
  const combined all;
  const auto folds = whole_measurements{.k = 3, .seed = 7}.folds(all.data);
  EXPECT_EQ(folds[0].test.size(), 4U * 3U * 4U);
  EXPECT_EQ(folds[2].test.size(), 4U * 3U * 3U);
  EXPECT_EQ(folds[0].train.size(), 8U * 5U * 6U);
}

TEST(WholeMeasurements, TestsEachMeasurementSomewhere) {
  const combined all;
  std::set<std::string> tested;
  for (const fold& part : whole_measurements{.k = 4}.folds(all.data)) {
    part.test.for_each([&](std::size_t row) { tested.insert(all.gemm[row]); });
  }
  EXPECT_EQ(tested.size(), 12U);
}

TEST(WholeMeasurements, DependsOnTheSeedAlone) {
  const combined all;
  EXPECT_EQ(whole_measurements{.seed = 3}.folds(all.data), whole_measurements{.seed = 3}.folds(all.data));
  EXPECT_NE(whole_measurements{.seed = 3}.folds(all.data), whole_measurements{.seed = 4}.folds(all.data));
}

TEST(WholeMeasurements, NeedsMeasurementsAndNamesWhatThereIsTooLittleOf) {
  const combined all;
  const auto why = [](const whole_measurements& split, const any_dataset& data) -> std::string {
    try {
      split.folds(data);
    } catch (const error& problem) {
      return problem.what();
    }
    return "none";
  };
  EXPECT_EQ(why({.k = 7}, all.data),
            "whole_measurements needs 7 or more of each measurement; prefill_attention_measurement has 6");
  EXPECT_EQ(why({.k = 1}, all.data), "whole_measurements needs k of 2 or more; k is 1");
  EXPECT_NE(why({}, any_dataset(9)).find("gemm_measurement"), std::string::npos);
}

}  // namespace
