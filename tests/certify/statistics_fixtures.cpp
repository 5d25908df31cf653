// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// Every test statistic and p value against scipy 1.10.1, whose values lie in the external folder fixtures/metrics (its
// README states the generator, definitions and tolerances used here). metrics_fixtures.cpp checks the metrics.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "../support/data.hpp"
#include "rafter/statistics/bootstrap.hpp"
#include "rafter/statistics/distribution_tests.hpp"
#include "rafter/statistics/paired_tests.hpp"

namespace {

using namespace rafter;

/// The columns of a file of numbers.
std::vector<std::vector<double>> read_columns(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  std::vector<std::vector<double>> columns;
  while (std::getline(file, line)) {
    std::istringstream cells(line);
    std::size_t column = 0;
    for (std::string cell; std::getline(cells, cell, ','); ++column) {
      if (column == columns.size()) columns.emplace_back();
      columns[column].push_back(std::stod(cell));
    }
  }
  return columns;
}

struct fixture {
  std::vector<double> actual, predicted, other, differences, standardised;
};

fixture read_case(const std::filesystem::path& path) {
  auto columns = read_columns(path);
  fixture made{columns.at(0), columns.at(1), columns.at(2), {}, {}};
  accurate_sum sum;
  for (std::size_t i = 0; i < made.actual.size(); ++i) {
    const double d = std::fabs(made.predicted[i] - made.actual[i]) - std::fabs(made.other[i] - made.actual[i]);
    made.differences.push_back(std::nearbyint(d * 1e9) / 1e9);
    made.standardised.push_back(made.predicted[i] - made.actual[i]);
    sum.add(made.standardised.back());
  }
  const auto n = static_cast<double>(made.actual.size());
  accurate_sum squares;
  for (double& e : made.standardised) e -= sum.value() / n;
  for (const double e : made.standardised) squares.add(e * e);
  for (double& e : made.standardised) e /= std::sqrt(squares.value() / (n - 1.0));
  return made;
}

using named_values = std::map<std::string, double>;
struct check {
  std::function<named_values(const fixture&)> values;
  double p_tolerance = 1e-10;  // relative; statistics are held to 1e-12
};

check wilcoxon(signed_rank_options options) {
  const double tolerance = options.method == p_value_method::exact ? 1e-12 : 1e-10;
  return {[=](const fixture& f) {
            const auto test = wilcoxon_signed_rank(f.differences, options);
            return named_values{{"statistic", test.statistic}, {"p", test.p}};
          },
          tolerance};
}

check two_samples(p_value_method method) {
  return {[=](const fixture& f) {
            const auto test = kolmogorov_smirnov(f.actual, f.predicted, method);
            return named_values{{"D", test.distance}, {"p", test.p}};
          },
          1e-8};
}

check one_sample(p_value_method method) {
  return {[=](const fixture& f) {
            const auto test = kolmogorov_smirnov(f.standardised, rafter::detail::normal_below, method);
            return named_values{{"D", test.distance}, {"p", test.p}};
          },
          1e-8};
}

const std::map<std::string, check> checks = {
    {"wilcoxon_approx_wilcox_nocorr", wilcoxon({.method = p_value_method::asymptotic})},
    {"wilcoxon_approx_wilcox_corr", wilcoxon({.method = p_value_method::asymptotic, .continuity_correction = true})},
    {"wilcoxon_approx_pratt", wilcoxon({.zeros = zero_differences::pratt, .method = p_value_method::asymptotic})},
    {"wilcoxon_approx_greater",
     wilcoxon({.alternative = alternative::greater, .method = p_value_method::asymptotic})},
    {"wilcoxon_exact_two-sided", wilcoxon({.method = p_value_method::exact})},
    {"wilcoxon_exact_less", wilcoxon({.alternative = alternative::less, .method = p_value_method::exact})},
    {"wilcoxon_exact_greater", wilcoxon({.alternative = alternative::greater, .method = p_value_method::exact})},
    {"n_zero_d", {[](const fixture& f) {
       return named_values{{"", static_cast<double>(wilcoxon_signed_rank(f.differences).zeros)}};
     }}},
    {"tied_abs_d",  // here: values of |d| that are there already, zeros included
     {[](const fixture& f) {
       std::set<double> sizes;
       for (const double d : f.differences) sizes.insert(std::fabs(d));
       return named_values{{"", static_cast<double>(f.differences.size() - sizes.size())}};
     }}},
    {"mape_sklearn_eps_clip",  // no metric of the library: it divides zero rows by 2.2e-16
     {[](const fixture& f) {
        accurate_sum sum;
        for (std::size_t i = 0; i < f.actual.size(); ++i) {
          sum.add(std::fabs(f.predicted[i] - f.actual[i]) / std::max(std::fabs(f.actual[i]), 0x1p-52));
        }
        return named_values{{"", sum.value() / static_cast<double>(f.actual.size())}};
      },
      1e-12}},
    {"ttest_paired", {[](const fixture& f) {
       const auto test = t_test(f.differences);
       return named_values{{"t", test.t}, {"df", test.degrees_of_freedom}, {"p", test.p}};
     }}},
    {"ttest_paired_ci95_of_mean_diff",
     {[](const fixture& f) {
        const auto test = t_test(f.differences);
        return named_values{{"0", test.lower}, {"1", test.upper}};
      },
      1e-9}},  // scipy's quantile of t is off by 5e-10: its tail is 0.025 - 6e-11
    {"ks_2samp_actual_pred_exact", two_samples(p_value_method::exact)},
    {"ks_2samp_actual_pred_asymp", two_samples(p_value_method::asymptotic)},
    {"ks_1samp_standardised_error_vs_normal_exact", one_sample(p_value_method::exact)},
    {"ks_1samp_standardised_error_vs_normal_asymp", one_sample(p_value_method::asymptotic)},
    {"kendall_p",
     {[](const fixture& f) {
        return named_values{{"", kendall_test(f.actual, f.predicted).p}};
      },
      1e-8}},
    {"spearman_p", {[](const fixture& f) {
       return named_values{{"", spearman_test(f.actual, f.predicted).p}};
     }}},
    {"pearson_p", {[](const fixture& f) {
       return named_values{{"", pearson_test(f.actual, f.predicted).p}};
     }}},
    {"sign_test_binom_two_sided", {[](const fixture& f) {
       const auto test = sign_test(f.differences);
       return named_values{{"pos", static_cast<double>(test.positive)},
                           {"n", static_cast<double>(test.positive + test.negative)},
                           {"p", test.p}};
     }}},
};

class StatisticsFixtures : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = data_folder() / "fixtures" / "metrics";
    if (!std::filesystem::exists(folder_ / "expected.json")) {
      GTEST_SKIP() << "skipped: reference values of tests, no " << (folder_ / "expected.json").string();
    }
  }
  nlohmann::json read(const std::string& name) const {
    std::ifstream file(folder_ / name);
    return nlohmann::json::parse(file);
  }
  std::filesystem::path folder_;
};

void expect_all(const nlohmann::json& expected, const named_values& found, double p_tolerance,
                const std::string& what) {
  std::size_t compared = 0;
  const auto compare = [&](const std::string& key, const nlohmann::json& value) {
    if (key == "note") return;
    ++compared;
    const double wanted = value.get<double>();
    const bool is_p = key == "p" || key.empty() || what.find("ci95") != std::string::npos;
    ASSERT_TRUE(found.contains(key)) << what << ": " << key;
    EXPECT_NEAR(found.at(key), wanted, (is_p ? p_tolerance : 1e-12) * std::fabs(wanted)) << what << ": " << key;
  };
  if (expected.is_number()) {
    compare("", expected);
  } else if (expected.is_array()) {
    for (std::size_t i = 0; i < expected.size(); ++i) compare(std::to_string(i), expected[i]);
  } else {
    for (const auto& [key, value] : expected.items()) compare(key, value);
  }
  EXPECT_EQ(compared, found.size()) << what;
}

TEST_F(StatisticsFixtures, EveryTestAgreesWithScipy) {
  const nlohmann::json cases = read("expected.json");
  ASSERT_EQ(cases.size(), 3U);
  std::map<std::string, int> covered;
  for (const auto& one : cases) {
    const std::string name = one.at("case");
    const fixture f = read_case(folder_ / (name + ".csv"));
    nlohmann::json wanted = one.at("tests");
    wanted.erase("note");
    wanted["pearson_p"] = one.at("metrics").at("pearson_p");
    wanted["mape_sklearn_eps_clip"] = one.at("metrics").at("mape_sklearn_eps_clip");
    for (const auto& [key, expected] : wanted.items()) {
      const auto found = checks.find(key);
      ASSERT_NE(found, checks.end()) << name << ": nothing is compared with " << key;
      expect_all(expected, found->second.values(f), found->second.p_tolerance, name + ": " + key);
      ++covered[key];
    }
  }
  EXPECT_EQ(covered.size(), checks.size()) << "a check without a reference value";
}

TEST_F(StatisticsFixtures, BootstrapLimitsOfGivenResamplesAgreeWithScipy) {
  const nlohmann::json expected = read("bootstrap_expected.json");
  const std::vector<double> ape = read_columns(folder_ / "bootstrap_data.csv").at(2);
  const auto columns = read_columns(folder_ / "bootstrap_indices.csv");
  ASSERT_EQ(columns.size(), ape.size());
  std::vector<std::size_t> chosen;
  for (std::size_t b = 0; b < columns.front().size(); ++b) {
    for (const auto& column : columns) chosen.push_back(static_cast<std::size_t>(column[b]));
  }
  const given_rows resamples(chosen, ape.size());
  const auto median = [](std::span<const double> values) {
    std::vector<double> sorted(values.begin(), values.end());
    std::sort(sorted.begin(), sorted.end());
    return quantile_of_sorted(sorted, 0.5);
  };
  std::map<std::string, std::vector<resampled_statistic>> drawn;
  drawn["mean"] = {resample(resamples, mean_of(ape)), resample(resamples, statistic_of(ape, accurate_mean)),
                   resample(resamples, means_of({ape}, [](std::span<const double> m) { return m[0]; }))};
  drawn["median"] = {resample(resamples, quantile_of(ape, 0.5)), resample(resamples, statistic_of(ape, median))};
  drawn["p90"] = {resample(resamples, quantile_of(ape, 0.9))};
  ASSERT_EQ(expected.at("statistics").size(), drawn.size());
  for (const auto& [name, wanted] : expected.at("statistics").items()) {
    for (const resampled_statistic& one : drawn.at(name)) {
      SCOPED_TRACE(name);
      const auto near = [&](double value, const nlohmann::json& number, double tolerance) {
        EXPECT_NEAR(value, number.get<double>(), tolerance * std::fabs(number.get<double>()));
      };
      const std::vector<std::pair<std::string, bootstrap_method>> methods = {
          {"percentile", bootstrap_method::percentile},
          {"basic", bootstrap_method::basic},
          {"bca", bootstrap_method::bca}};
      for (const auto& [key, method] : methods) {
        const bootstrap_interval made = interval_of(one, method);
        const double tolerance = method == bootstrap_method::bca ? 1e-10 : 1e-12;
        near(made.lower, wanted.at(key).at(0), tolerance);
        near(made.upper, wanted.at(key).at(1), tolerance);
        near(made.estimate, wanted.at("estimate"), 1e-12);
        near(made.standard_error, wanted.at("se"), 1e-12);
        near(made.z0, wanted.at("z0"), 1e-10);
        near(made.acceleration, wanted.at("acceleration"), 1e-10);
        EXPECT_EQ(made.resamples, expected.at("resamples").get<std::size_t>());
      }
      const bootstrap_interval bca = interval_of(one, bootstrap_method::bca);
      near(bca.lower_probability, wanted.at("bca_probabilities").at(0), 1e-10);
      near(bca.upper_probability, wanted.at("bca_probabilities").at(1), 1e-10);
    }
  }
}

}  // namespace
