// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// NIST StRD linear problems: correct digits (log relative error) of coefficients and standard deviations, for every
// *.json in nist/lls. The data are decimals and, for polynomials, powers of them; the extended solver gets both
// beyond double precision, the ordinary ones see doubles.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "../support/data.hpp"
#include "../support/decimal.hpp"
#include "rafter/solver/extended_least_squares.hpp"
#include "rafter/solver/ordinary_least_squares.hpp"

namespace {

using rafter::double_double;

struct nist_problem {
  std::string name;
  bool intercept = true;
  std::size_t rows = 0;
  std::size_t columns = 0;
  std::vector<double> x, x_low, y, y_low;  // x column-major
  std::vector<double> beta, sd;
  double residual_sd = -1.0;  // negative: not stated

  rafter::array_design doubles() const { return {rows, columns, x.data(), y.data()}; }
  rafter::array_design decimals() const {
    return {rows, columns, x.data(), y.data(), nullptr, 0, x_low.data(), y_low.data()};
  }
};

nist_problem read(const nlohmann::json& from) {
  nist_problem made;
  made.name = from.at("name");
  made.intercept = from.at("intercept");
  made.beta = from.at("beta").get<std::vector<double>>();
  made.sd = from.at("sd").get<std::vector<double>>();
  made.residual_sd = from.value("residual_sd", -1.0);
  const std::vector<double> y = from.at("y");
  made.rows = y.size();
  std::vector<std::vector<double_double>> columns;
  if (from.at("model") == "polynomial") {
    const std::vector<double> x = from.at("x");
    const auto degree = from.at("degree").get<std::size_t>();
    columns.assign(degree, std::vector<double_double>(made.rows));
    for (std::size_t i = 0; i < made.rows; ++i) {
      double_double power = 1.0;
      for (std::size_t j = 0; j < degree; ++j) columns[j][i] = power = power * printed_decimal(x[i]);
    }
  } else {
    const std::vector<std::vector<double>> x = from.at("X");
    columns.assign(x.front().size(), std::vector<double_double>(made.rows));
    for (std::size_t i = 0; i < made.rows; ++i) {
      for (std::size_t j = 0; j < columns.size(); ++j) columns[j][i] = printed_decimal(x[i][j]);
    }
  }
  made.columns = columns.size();
  for (const auto& column : columns) {
    for (const double_double value : column) {
      made.x.push_back(value.high);
      made.x_low.push_back(value.low);
    }
  }
  for (const double value : y) {
    const double_double decimal = printed_decimal(value);
    made.y.push_back(decimal.high);
    made.y_low.push_back(decimal.low);
  }
  return made;
}

std::vector<nist_problem> problems() {
  std::vector<nist_problem> all;
  const auto root = data_folder() / "nist" / "lls";
  if (!std::filesystem::is_directory(root)) return all;
  for (const auto& entry : std::filesystem::directory_iterator(root)) {
    if (entry.path().extension() != ".json") continue;
    std::ifstream in(entry.path());
    const nlohmann::json file = nlohmann::json::parse(in);
    for (const auto& each : file.is_array() ? file : nlohmann::json::array({file})) all.push_back(read(each));
  }
  return all;
}

struct digits {
  double coefficients = 16.0;
  double deviations = 16.0;
};

digits compare(const nist_problem& p, const rafter::linear_solution& fit) {
  digits worst;
  const std::size_t skip = p.intercept ? 1 : 0;
  for (std::size_t k = 0; k < p.beta.size(); ++k) {
    const bool first = p.intercept && k == 0;
    worst.coefficients =
        std::min(worst.coefficients, correct_digits(first ? fit.intercept : fit.coefficients[k - skip], p.beta[k]));
    worst.deviations =
        std::min(worst.deviations,
                 correct_digits(first ? fit.intercept_standard_error : fit.standard_errors[k - skip], p.sd[k]));
  }
  return worst;
}

#define RAFTER_NEEDS_NIST(all) \
  if ((all).empty()) GTEST_SKIP() << "no nist/lls under RAFTER_DATA: certified linear problems are not checked"

TEST(NistLinear, ExtendedPrecisionReachesTwelveDigits) {
  const auto all = problems();
  RAFTER_NEEDS_NIST(all);
  for (const auto& p : all) {
    const auto rows = p.decimals();
    const auto fit = rafter::least_squares_extended{p.intercept}.solve(rafter::normal_equations::of(rows), &rows);
    const digits reached = compare(p, fit);
    std::printf("nist  extended  %-10s  beta %4.1f digits  sd %4.1f digits  pivot %.0e\n", p.name.c_str(),
                reached.coefficients, reached.deviations, fit.smallest_pivot);
    RecordProperty("extended_" + p.name, std::to_string(reached.coefficients));
    EXPECT_EQ(fit.path, rafter::solution_path::extended) << p.name;
    EXPECT_GE(reached.coefficients, 12.0) << p.name;
    EXPECT_GE(reached.deviations, 12.0) << p.name;
    if (p.residual_sd >= 0.0) {
      const double mine = std::sqrt(fit.residual_sum_of_squares / fit.degrees_of_freedom);
      EXPECT_GE(correct_digits(mine, p.residual_sd), 12.0) << p.name;
    }
  }
}

void check_double(rafter::least_squares_method method, const char* label) {
  const auto all = problems();
  RAFTER_NEEDS_NIST(all);
  for (const auto& p : all) {
    const auto rows = p.doubles();
    rafter::ordinary_least_squares solver;
    solver.intercept = p.intercept;
    solver.method = method;
    const auto fit = solver.solve(rafter::normal_equations::of(rows), &rows);
    const digits reached = compare(p, fit);
    std::printf("nist  %-9s %-10s  beta %4.1f digits  sd %4.1f digits  path %s\n", label, p.name.c_str(),
                reached.coefficients, reached.deviations, std::string(text_of(fit.path)).c_str());
    ::testing::Test::RecordProperty(std::string(label) + "_" + p.name, std::to_string(reached.coefficients));
    EXPECT_EQ(fit.rank, p.columns) << p.name;
    EXPECT_GE(reached.coefficients, p.name == "Filip" ? 7.0 : 9.0) << p.name;
  }
}

TEST(NistLinear, QrInDoubleReachesNineDigits) { check_double(rafter::least_squares_method::qr, "qr"); }
TEST(NistLinear, SvdInDoubleReachesNineDigits) { check_double(rafter::least_squares_method::svd, "svd"); }
TEST(NistLinear, TheDefaultReachesNineDigits) { check_double(rafter::least_squares_method::automatic, "automatic"); }

}  // namespace
