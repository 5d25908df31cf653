// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// Split conformal intervals against every value of fixtures/conformal.
#include <gtest/gtest.h>

#include <cmath>
#include <cstddef>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <type_traits>
#include <vector>

#include "../support/csv.hpp"
#include "../support/data.hpp"
#include "rafter/metrics/conformal_quantile.hpp"

namespace {

using namespace rafter;

struct table_row {
  double actual, predicted, scale;
  int group;
};

double number(const nlohmann::json& value) {
  constexpr double infinite = std::numeric_limits<double>::infinity();
  return !value.is_string() ? value.get<double>() : value == "-inf" ? -infinite : infinite;
}
void expect_close(double found, double expected, double tolerance) {
  if (std::isinf(expected)) {
    EXPECT_EQ(found, expected);
  } else {
    EXPECT_NEAR(found, expected, tolerance * std::abs(expected));
  }
}

/// What the fixture says of one score at one alpha. @returns how many values were compared
template <class Score>
std::size_t compare(const nlohmann::json& expected, const std::vector<table_row>& calibration,
                    const std::vector<table_row>& test, const csv_table& scores) {
  const double alpha = expected.at("alpha");
  std::vector<double> own;
  for (std::size_t i = 0; i < calibration.size(); ++i) {
    own.push_back(Score::of(calibration[i].actual, calibration[i].predicted, calibration[i].scale));
    expect_close(own.back(), scores.number(i, std::string(Score::name)), 1e-13);
  }
  EXPECT_EQ(own.size(), expected.at("n_cal").get<std::size_t>());
  EXPECT_EQ(conformal_rank(own.size(), alpha), expected.at("k_rank_1based").get<std::size_t>());
  const double q = conformal_quantile(own, alpha);
  expect_close(q, number(expected.at("quantile")), 1e-13);
  const auto covers = [](const table_row& row, double quantile) {
    return Score::lower(row.predicted, quantile, row.scale) <= row.actual &&
           row.actual <= Score::upper(row.predicted, quantile, row.scale);
  };
  std::size_t covered = 0;
  double width = 0.0;
  for (std::size_t i = 0; i < test.size(); ++i) {
    const double lower = Score::lower(test[i].predicted, q, test[i].scale),
                 upper = Score::upper(test[i].predicted, q, test[i].scale);
    covered += covers(test[i], q);
    width += upper - lower;
    if (i < 5) {
      // No lower limit: the fixture says -inf of every score; of a factor it is 0.
      const bool no_limit = std::is_same_v<Score, log_ratio_score> && lower == 0.0;
      expect_close(no_limit ? -std::numeric_limits<double>::infinity() : lower,
                   number(expected.at("first5_lower")[i]), 1e-13);
      expect_close(upper, number(expected.at("first5_upper")[i]), 1e-13);
    }
  }
  EXPECT_EQ(test.size(), expected.at("test_n").get<std::size_t>());
  EXPECT_EQ(covered, expected.at("test_covered").get<std::size_t>());
  expect_close(static_cast<double>(covered) / static_cast<double>(test.size()), expected.at("test_coverage"), 1e-15);
  expect_close(width / static_cast<double>(test.size()), number(expected.at("mean_width")), 1e-12);
  std::size_t compared = calibration.size() + 17;
  for (const auto& cell : expected.at("groupwise")) {
    const int group = cell.at("group");
    std::vector<double> inside;
    for (std::size_t i = 0; i < calibration.size(); ++i) {
      if (calibration[i].group == group) inside.push_back(own[i]);
    }
    EXPECT_EQ(inside.size(), cell.at("n_cal").get<std::size_t>());
    EXPECT_EQ(conformal_rank(inside.size(), alpha), cell.at("k").get<std::size_t>());
    const double own_q = conformal_quantile(inside, alpha);
    expect_close(own_q, number(cell.at("quantile")), 1e-13);
    std::size_t rows = 0, inside_covered = 0;
    for (const table_row& row : test) {
      if (row.group == group) ++rows, inside_covered += covers(row, own_q);
    }
    EXPECT_EQ(rows, cell.at("test_n").get<std::size_t>());
    EXPECT_EQ(inside_covered, cell.at("test_covered").get<std::size_t>());
    compared += 5;
  }
  return compared;
}

TEST(ConformalFixtures, EveryValueWithinItsTolerance) {
  const auto root = data_folder() / "fixtures" / "conformal";
  if (!std::filesystem::exists(root / "expected.json")) {
    GTEST_SKIP() << "no fixtures/conformal under RAFTER_DATA: reference conformal intervals are not checked";
  }
  const csv_table data(root / "data.csv"), scores(root / "scores_calibration.csv");
  std::vector<table_row> calibration, test;
  for (std::size_t i = 0; i < data.rows.size(); ++i) {
    const table_row row{data.number(i, "y"), data.number(i, "pred"), data.number(i, "sigma"),
                        static_cast<int>(data.number(i, "group"))};
    (data.number(i, "is_calibration") != 0.0 ? calibration : test).push_back(row);
  }
  const auto unscaled = [](std::vector<table_row> rows) {  // sigma is for the normalised score alone
    for (table_row& row : rows) row.scale = 1.0;
    return rows;
  };
  const auto calibration_alike = unscaled(calibration), test_alike = unscaled(test);
  std::ifstream in(root / "expected.json");
  const nlohmann::json expected = nlohmann::json::parse(in);
  std::size_t compared = 0, cases = 0;
  for (const auto& each : expected) {
    const std::string score = each.at("score");
    SCOPED_TRACE(score + " at alpha " + each.at("alpha").dump());
    if (score == absolute_score::name) {
      compared += compare<absolute_score>(each, calibration_alike, test_alike, scores);
    } else if (score == normalised_score::name) {
      compared += compare<normalised_score>(each, calibration, test, scores);
    } else if (score == log_ratio_score::name) {
      compared += compare<log_ratio_score>(each, calibration_alike, test_alike, scores);
    } else {
      ADD_FAILURE() << "a score that this test does not know";
    }
    ++cases;
  }
  EXPECT_GE(cases, 3U);
  std::printf("conformal: %zu cases, %zu values\n", cases, compared);
}

}  // namespace
