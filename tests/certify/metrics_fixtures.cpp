// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// Every metric against scipy 1.10.1, scikit-learn 1.2.1 and numpy 1.24.2, whose values lie in the external folder
// fixtures/metrics (its README states the generator, definitions and tolerances used here).
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <functional>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "../support/data.hpp"
#include "rafter/core/math.hpp"
#include "rafter/metrics.hpp"

namespace {

struct columns {
  std::vector<double> actual, predicted, lower, upper;
};

columns read_case(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  EXPECT_EQ(line, "actual,pred,pred_b,lower,upper") << path;
  columns read;
  while (std::getline(file, line)) {
    std::istringstream cells(line);
    std::vector<double> row;
    for (std::string cell; std::getline(cells, cell, ',');) row.push_back(std::stod(cell));
    if (row.size() != 5) throw std::runtime_error("fixture row with other than 5 columns: " + line);
    read.actual.push_back(row[0]);
    read.predicted.push_back(row[1]);
    read.lower.push_back(row[3]);
    read.upper.push_back(row[4]);
  }
  return read;
}

template <rafter::metric M> double of(const columns& c) { return M::evaluate(c.actual, c.predicted); }

template <rafter::interval_metric M> double of_interval(const columns& c) {
  return M::evaluate(c.actual, c.lower, c.upper);
}

/// Mean square of log1p(p) - log1p(a): not a metric of the library, but a check of its log1p.
double mean_square_log1p_error(const columns& c) {
  rafter::accurate_sum sum;
  for (std::size_t i = 0; i < c.actual.size(); ++i) {
    const double difference = rafter::log1p(c.predicted[i]) - rafter::log1p(c.actual[i]);
    sum.add(difference * difference);
  }
  return sum.value() / static_cast<double>(c.actual.size());
}

struct check {
  std::function<double(const columns&)> value;
  double tolerance = 1e-12;  // relative
};

const std::map<std::string, check> checks = {
    {"n", {[](const columns& c) { return static_cast<double>(c.actual.size()); }}},
    {"n_zero_actual", {[](const columns& c) { return static_cast<double>(rafter::zero_actual_rows(c.actual)); }}},
    {"mape_skip_zero", {of<rafter::mape>}},
    {"smape_0_to_2", {of<rafter::smape>}},
    {"wape", {of<rafter::wape>}},
    {"mdape_skip_zero", {of<rafter::median_ape>}},
    {"mean_signed_pe_skip_zero", {of<rafter::mean_signed_percentage_error>}},
    {"rmse", {of<rafter::rmse>}},
    {"mae", {of<rafter::mae>}},
    {"median_ae", {of<rafter::median_ae>}},
    {"max_error", {of<rafter::max_error>}},
    {"bias_mean_error", {of<rafter::bias>}},
    {"r2", {of<rafter::r2>, 1e-11}},
    {"explained_variance", {of<rafter::explained_variance>, 1e-11}},
    {"pearson", {of<rafter::pearson>, 1e-11}},
    {"spearman", {of<rafter::spearman>}},
    {"kendall_tau_b", {of<rafter::kendall_tau_b>}},
    {"pinball_lower_q0_1", {[](const columns& c) { return rafter::pinball<10>::evaluate(c.actual, c.lower); }}},
    {"pinball_pred_q0_5", {of<rafter::pinball<50>>}},
    {"pinball_upper_q0_9", {[](const columns& c) { return rafter::pinball<90>::evaluate(c.actual, c.upper); }}},
    {"interval_coverage_closed", {of_interval<rafter::interval_coverage>}},
    {"interval_mean_width", {of_interval<rafter::interval_width>}},
    {"interval_score_alpha0_2", {of_interval<rafter::interval_score<80>>}},
    {"rmsle_log", {of<rafter::log_ratio_rmse>}},
    {"geometric_mean_ratio", {of<rafter::geometric_mean_ratio>}},
    {"msle_sklearn_log1p", {mean_square_log1p_error}},
};

// Not metrics: statistics_fixtures.cpp checks them, with all tests. The first divides zero rows by 2e-16.
const std::set<std::string> not_metrics = {"mape_sklearn_eps_clip", "pearson_p"};

void expect_relative(double value, double expected, double tolerance, const std::string& what) {
  EXPECT_NEAR(value, expected, tolerance * std::fabs(expected)) << what;
}

class MetricsFixtures : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = data_folder() / "fixtures" / "metrics";
    std::ifstream file(folder_ / "expected.json");
    if (!file) GTEST_SKIP() << "skipped: reference values of metrics, no " << (folder_ / "expected.json").string();
    cases_ = nlohmann::json::parse(file);
    ASSERT_EQ(cases_.size(), 3U);
  }
  std::filesystem::path folder_;
  nlohmann::json cases_;
};

TEST_F(MetricsFixtures, EveryMetricAgreesWithScipyScikitLearnAndNumpy) {
  std::set<std::string> covered;
  std::set<std::string> left;
  std::size_t values = 0;
  for (const auto& fixture : cases_) {
    const std::string name = fixture.at("case");
    const columns c = read_case(folder_ / (name + ".csv"));
    for (const auto& [key, expected] : fixture.at("metrics").items()) {
      if (key == "ape_quantiles_linear") continue;
      const auto found = checks.find(key);
      if (found == checks.end()) {
        EXPECT_TRUE(not_metrics.contains(key)) << name << ": no metric for the reference value " << key;
        left.insert(key);
        continue;
      }
      expect_relative(found->second.value(c), expected.get<double>(), found->second.tolerance, name + ": " + key);
      covered.insert(key);
      ++values;
    }
    for (const auto& [key, unused] : fixture.at("tests").items()) {
      if (key != "note") left.insert("tests." + key);
    }
  }
  EXPECT_EQ(covered.size(), checks.size()) << "a metric without a reference value";
  std::cout << values << " values of " << covered.size() << " keys covered; left to statistics_fixtures.cpp:";
  for (const std::string& key : left) std::cout << ' ' << key;
  std::cout << '\n';
}

TEST_F(MetricsFixtures, PercentageErrorQuantilesAgreeWithNumpy) {
  const std::map<std::string, double> levels = {{"p5", 0.05}, {"p25", 0.25}, {"p50", 0.5}, {"p75", 0.75},
                                                {"p90", 0.9}, {"p95", 0.95}, {"p99", 0.99}};
  for (const auto& fixture : cases_) {
    const std::string name = fixture.at("case");
    const columns c = read_case(folder_ / (name + ".csv"));
    const auto errors =
        rafter::detail::sorted_absolute(rafter::detail::signed_percentage_errors(c.actual, c.predicted));
    for (const auto& [key, expected] : fixture.at("metrics").at("ape_quantiles_linear").items()) {
      expect_relative(rafter::quantile_of_sorted(errors, levels.at(key)), expected.get<double>(), 1e-12,
                      name + ": " + key);
    }
    const auto& quantiles = fixture.at("metrics").at("ape_quantiles_linear");
    const rafter::error_summary summary = rafter::summarize_errors(c.actual, c.predicted);
    expect_relative(summary.median_ape, quantiles.at("p50").get<double>(), 1e-12, name);
    expect_relative(summary.p90_ape, quantiles.at("p90").get<double>(), 1e-12, name);
    expect_relative(summary.p99_ape, quantiles.at("p99").get<double>(), 1e-12, name);
    EXPECT_EQ(summary.zero_actual, fixture.at("metrics").at("n_zero_actual").get<std::size_t>());
  }
}

}  // namespace
