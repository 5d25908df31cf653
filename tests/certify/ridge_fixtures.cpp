// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// Ridge, OLS and leave-one-out against scikit-learn and 60-digit arithmetic, for every folder in fixtures/ridge.
// The coefficients are compared with the source `exact_mp60` only: scikit-learn's own SVD solver is wrong where the
// centred columns are rank deficient (tolerance.csv, sklearn_outside_tol).
#include <gtest/gtest.h>

#include <boost/math/distributions/students_t.hpp>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "../support/csv.hpp"
#include "../support/data.hpp"
#include "rafter/solver/ordinary_least_squares.hpp"
#include "rafter/solver/ridge.hpp"
#include "rafter/solver/ridge_path.hpp"

namespace {

using rafter::least_squares_method;

struct problem {
  std::string name;
  std::filesystem::path folder;
  std::size_t rows = 0;
  std::size_t columns = 0;
  std::vector<double> x, y;  // x column-major
  std::vector<int> group;
};

std::vector<problem> problems() {
  std::vector<problem> all;
  const auto root = data_folder() / "fixtures" / "ridge";
  if (!std::filesystem::is_directory(root)) return all;
  for (const auto& entry : std::filesystem::directory_iterator(root)) {
    if (!std::filesystem::exists(entry.path() / "data.csv")) continue;
    const csv_table data(entry.path() / "data.csv");
    problem made;
    made.name = entry.path().filename().string();
    made.folder = entry.path();
    made.rows = data.rows.size();
    while (data.has("x" + std::to_string(made.columns))) ++made.columns;
    for (std::size_t j = 0; j < made.columns; ++j) {
      for (std::size_t i = 0; i < made.rows; ++i) made.x.push_back(data.number(i, "x" + std::to_string(j)));
    }
    for (std::size_t i = 0; i < made.rows; ++i) made.y.push_back(data.number(i, "y"));
    for (std::size_t i = 0; data.has("group") && i < made.rows; ++i) {
      made.group.push_back(static_cast<int>(data.number(i, "group")));
    }
    all.push_back(made);
  }
  return all;
}

#define RAFTER_NEEDS_FIXTURES(all) \
  if ((all).empty()) GTEST_SKIP() << "no fixtures/ridge under RAFTER_DATA: reference ridge fits are not checked"

double norm(const std::vector<double>& v) {
  double sum = 0.0;
  for (const double each : v) sum += each * each;
  return std::sqrt(sum);
}

struct mismatch {
  double coefficients = 0.0;
  double predictions = 0.0;
};

// Both relative: ||db|| / ||b|| and max |dprediction| / max |prediction|.
mismatch compare(const problem& p, const rafter::linear_solution& fit, const std::vector<double>& b, double b0,
                 bool standardise) {
  std::vector<double> wrong(p.columns);
  for (std::size_t j = 0; j < p.columns; ++j) {
    wrong[j] = (standardise ? fit.standardised_coefficient(j) : fit.coefficients[j]) - b[j];
  }
  double difference = 0.0;
  double largest = 0.0;
  for (std::size_t i = 0; i < p.rows; ++i) {
    double mine = fit.intercept;
    double theirs = b0;
    for (std::size_t j = 0; j < p.columns; ++j) {
      const double x = p.x[j * p.rows + i];
      const double z = standardise ? (x - fit.mean[j]) / fit.deviation[j] : x;
      theirs += b[j] * z;
      mine += fit.coefficients[j] * x;
    }
    difference = std::max(difference, std::abs(mine - theirs));
    largest = std::max(largest, std::abs(theirs));
  }
  return {norm(wrong) / norm(b), difference / largest};
}

rafter::array_design rows_of(const problem& p) { return {p.rows, p.columns, p.x.data(), p.y.data()}; }

void check_exact(least_squares_method method, const char* label) {
  const auto all = problems();
  RAFTER_NEEDS_FIXTURES(all);
  for (const auto& p : all) {
    const csv_table table(p.folder / "ridge.csv");
    const csv_table tolerance(p.folder / "tolerance.csv");
    const auto rows = rows_of(p);
    const auto sums = rafter::normal_equations::of(rows);
    double worst = 0.0;
    std::size_t checked = 0;
    for (std::size_t r = 0; r < table.rows.size(); ++r) {
      if (table.rows[r][0] != "exact_mp60") continue;
      const double alpha = table.number(r, "alpha");
      const bool intercept = table.number(r, "fit_intercept") == 1.0;
      const bool standardise = table.number(r, "standardize") == 1.0;
      std::vector<double> b(p.columns);
      for (std::size_t j = 0; j < p.columns; ++j) b[j] = table.number(r, "b" + std::to_string(j));
      const auto fit = rafter::ridge_with{alpha, standardise, intercept, true, method}.solve(sums, &rows);
      const mismatch off = compare(p, fit, b, table.number(r, "intercept"), standardise);
      bool found = false;
      for (std::size_t t = 0; t < tolerance.rows.size(); ++t) {
        if (tolerance.number(t, "alpha") != alpha || (tolerance.number(t, "fit_intercept") == 1.0) != intercept ||
            (tolerance.number(t, "standardize") == 1.0) != standardise) {
          continue;
        }
        found = true;
        const double of_b = tolerance.number(t, "suggested_coef_relnorm_tol");
        const double of_prediction = tolerance.number(t, "suggested_pred_relmax_tol");
        const std::string place = p.name + " alpha " + std::to_string(alpha) + " intercept " +
                                  std::to_string(intercept) + " standardised " + std::to_string(standardise) +
                                  " path " + std::string(text_of(fit.path));
        EXPECT_LE(off.coefficients, of_b) << place;
        EXPECT_LE(off.predictions, of_prediction) << place;
        worst = std::max({worst, off.coefficients / of_b, off.predictions / of_prediction});
        if (std::getenv("RAFTER_TEST_VERBOSE") != nullptr) {
          std::printf("  %-60s b %.1e (%.1e)  prediction %.1e (%.1e)  pivot %.1e\n", place.c_str(), off.coefficients,
                      of_b, off.predictions, of_prediction, fit.smallest_pivot);
        }
        ++checked;
      }
      EXPECT_TRUE(found) << p.name << ": no tolerance for row " << r;
    }
    EXPECT_GT(checked, 0U) << p.name;
    std::printf("%-9s %-18s %zu fits, worst error / tolerance %.2g\n", label, p.name.c_str(), checked, worst);
  }
}

TEST(RidgeFixtures, QrMeetsEveryTolerance) { check_exact(least_squares_method::qr, "qr"); }
TEST(RidgeFixtures, SvdMeetsEveryTolerance) { check_exact(least_squares_method::svd, "svd"); }
TEST(RidgeFixtures, TheAutomaticRuleMeetsEveryTolerance) {
  check_exact(least_squares_method::automatic, "automatic");
}

TEST(RidgeFixtures, OrdinaryLeastSquaresInference) {
  const auto all = problems();
  RAFTER_NEEDS_FIXTURES(all);
  for (const auto& p : all) {
    if (!std::filesystem::exists(p.folder / "ols.csv")) continue;
    const csv_table table(p.folder / "ols.csv");
    const auto rows = rows_of(p);
    const auto fit = rafter::ordinary_least_squares{.method = least_squares_method::qr}.solve(
        rafter::normal_equations::of(rows), &rows);
    const double tolerance = p.name.find("collinear") == std::string::npos ? 1e-8 : 1e-5;
    ASSERT_EQ(table.rows.size(), p.columns + 1) << p.name;
    const boost::math::students_t student(fit.degrees_of_freedom);
    for (std::size_t r = 0; r < table.rows.size(); ++r) {
      const bool first = table.rows[r][0] == "intercept";
      const std::size_t j = first ? 0 : std::stoul(table.rows[r][0].substr(1));
      const double b = first ? fit.intercept : fit.coefficients[j];
      const double se = first ? fit.intercept_standard_error : fit.standard_errors[j];
      const std::string place = p.name + " " + table.rows[r][0];
      EXPECT_NEAR(se / table.number(r, "se"), 1.0, tolerance) << place;
      EXPECT_NEAR((b / se) / table.number(r, "t"), 1.0, tolerance) << place;
      const double p_value = table.number(r, "p_two_sided");
      if (p_value > 1e-200) {
        const double mine = 2.0 * boost::math::cdf(boost::math::complement(student, std::abs(b / se)));
        EXPECT_NEAR(mine / p_value, 1.0, std::max(1e-7, tolerance * 10.0)) << place;
      }
    }
  }
}

TEST(RidgeFixtures, LeaveOneOutErrors) {
  const auto all = problems();
  RAFTER_NEEDS_FIXTURES(all);
  for (const auto& p : all) {
    if (!std::filesystem::exists(p.folder / "loo_errors.csv")) continue;
    const csv_table table(p.folder / "loo_errors.csv");
    const auto rows = rows_of(p);
    const auto sums = rafter::normal_equations::of(rows);
    double worst = 0.0;
    for (std::size_t column = 0; column < table.names.size(); ++column) {
      double alpha = 0.0;
      int intercept = -1;
      int standardise = -1;
      ASSERT_EQ(std::sscanf(table.names[column].c_str(), "a%lf_icpt%d_std%d", &alpha, &intercept, &standardise), 3);
      const rafter::ridge_path path(sums, rows, {.intercept = intercept == 1, .standardise = standardise == 1});
      const std::vector<double> mine = path.leave_one_out_errors(rows, alpha);
      ASSERT_EQ(mine.size(), table.rows.size());
      double largest = 0.0;
      for (std::size_t i = 0; i < mine.size(); ++i) largest = std::max(largest, std::abs(table.number(i, column)));
      const double tolerance = p.name.find("wide") != std::string::npos && alpha < 0.1 ? 1e-5 : 1e-8;
      for (std::size_t i = 0; i < mine.size(); ++i) {
        const double off = std::abs(mine[i] - table.number(i, column)) / largest;
        worst = std::max(worst, off / tolerance);
        EXPECT_LE(off, tolerance) << p.name << " " << table.names[column] << " row " << i;
      }
    }
    std::printf("loo       %-18s %zu columns, worst error / tolerance %.2g\n", p.name.c_str(), table.names.size(),
                worst);
  }
}

TEST(RidgeFixtures, ChoosesThePenaltyThatScikitLearnChooses) {
  const auto all = problems();
  RAFTER_NEEDS_FIXTURES(all);
  for (const auto& p : all) {
    if (!std::filesystem::exists(p.folder / "ridgecv.csv")) continue;
    const csv_table table(p.folder / "ridgecv.csv");
    const auto rows = rows_of(p);
    const auto sums = rafter::normal_equations::of(rows);
    for (const bool intercept : {false, true}) {
      for (const bool standardise : {false, true}) {
        std::vector<double> alphas, loo, gcv, dof, rss;
        double chosen = -1.0;
        for (std::size_t r = 0; r < table.rows.size(); ++r) {
          if ((table.number(r, "fit_intercept") == 1.0) != intercept) continue;
          if ((table.number(r, "standardize") == 1.0) != standardise) continue;
          alphas.push_back(table.number(r, "alpha"));
          loo.push_back(table.number(r, "svd_mean_sq_loo"));
          dof.push_back(table.number(r, "eff_dof_incl_intercept"));
          rss.push_back(table.number(r, "rss"));
          gcv.push_back(table.number(r, "gcv"));
          if (table.number(r, "chosen_by_sklearn") == 1.0) chosen = alphas.back();
        }
        if (alphas.empty()) continue;
        const rafter::ridge_path path(sums, rows, {.intercept = intercept, .standardise = standardise});
        const auto scored = path.score(rows, alphas);
        ASSERT_EQ(scored.size(), alphas.size());
        const std::string place = p.name + (intercept ? " intercept" : "") + (standardise ? " standardised" : "");
        const auto best = rafter::best_by_leave_one_out(scored);
        double mine = 0.0;
        double theirs = 0.0;
        for (std::size_t k = 0; k < alphas.size(); ++k) {
          const double tolerance = p.name.find("wide") != std::string::npos && alphas[k] < 0.1 ? 1e-5 : 1e-8;
          EXPECT_NEAR(scored[k].mean_squared_leave_one_out / loo[k], 1.0, tolerance) << place << " " << alphas[k];
          EXPECT_NEAR(scored[k].effective_parameters / dof[k], 1.0, 1e-8) << place << " " << alphas[k];
          EXPECT_NEAR(scored[k].residual_sum_of_squares / rss[k], 1.0, tolerance) << place << " " << alphas[k];
          if (std::isfinite(gcv[k])) {
            EXPECT_NEAR(scored[k].generalised_cross_validation / gcv[k], 1.0, 1e-5) << place << " " << alphas[k];
          }
          if (alphas[k] == best.alpha) mine = loo[k];
          if (alphas[k] == chosen) theirs = loo[k];
        }
        EXPECT_TRUE(best.alpha == chosen || std::abs(mine - theirs) < 1e-9 * theirs)
            << place << ": " << best.alpha << " instead of " << chosen;
      }
    }
  }
}

TEST(RidgeFixtures, LeaveOneGroupOutPredictions) {
  const auto all = problems();
  RAFTER_NEEDS_FIXTURES(all);
  std::size_t checked = 0;
  for (const auto& p : all) {
    if (!std::filesystem::exists(p.folder / "logo_predictions.csv")) continue;
    const csv_table table(p.folder / "logo_predictions.csv");
    for (const std::string& name : table.names) {
      double alpha = 0.0;
      if (std::sscanf(name.c_str(), "pred_a%lf", &alpha) != 1) continue;
      const std::size_t column = table.column(name);
      std::map<int, rafter::normal_equations> groups;
      // One shift for all groups, so that they add and subtract exactly alike: the first row of the data.
      std::vector<double> shift(p.columns + 1);
      for (std::size_t j = 0; j < p.columns; ++j) shift[j] = p.x[j * p.rows];
      shift[p.columns] = p.y[0];
      rafter::normal_equations total(shift);
      std::map<int, problem> rest;
      for (const int group : p.group) rest[group];
      for (auto& [held_out, training] : rest) {
        problem held;
        std::vector<std::size_t> in, out;
        for (std::size_t i = 0; i < p.rows; ++i) (p.group[i] == held_out ? out : in).push_back(i);
        const auto take = [&](problem& into, const std::vector<std::size_t>& which) {
          into.rows = which.size();
          into.columns = p.columns;
          for (std::size_t j = 0; j < p.columns; ++j) {
            for (const std::size_t i : which) into.x.push_back(p.x[j * p.rows + i]);
          }
          for (const std::size_t i : which) into.y.push_back(p.y[i]);
        };
        take(held, out);
        take(training, in);
        groups[held_out] = rafter::normal_equations::of(rows_of(held));
        groups[held_out].move_to(shift);
        total += groups[held_out];
      }
      double largest = 0.0;
      for (std::size_t i = 0; i < p.rows; ++i) largest = std::max(largest, std::abs(table.number(i, column)));
      double worst_down_dated = 0.0;
      double worst_direct = 0.0;
      for (const auto& [held_out, training] : rest) {
        const auto rows = rows_of(training);
        const rafter::ridge_with solver{alpha};
        const auto down_dated = solver.solve(total - groups[held_out], &rows);
        const auto direct = solver.solve(rafter::normal_equations::of(rows), &rows);
        EXPECT_EQ(down_dated.constant_columns, direct.constant_columns) << p.name << " group " << held_out;
        for (std::size_t i = 0; i < p.rows; ++i) {
          if (p.group[i] != held_out) continue;
          std::vector<double> row(p.columns);
          for (std::size_t j = 0; j < p.columns; ++j) row[j] = p.x[j * p.rows + i];
          worst_direct = std::max(worst_direct, std::abs(direct.predict(row.data()) - table.number(i, column)));
          worst_down_dated =
              std::max(worst_down_dated, std::abs(down_dated.predict(row.data()) - table.number(i, column)));
        }
      }
      EXPECT_LE(worst_direct / largest, 1e-9) << p.name << " " << name;
      EXPECT_LE(worst_down_dated / largest, 1e-9) << p.name << " " << name;
      std::printf("logo      %-18s %s: max error / max prediction %.1e direct, %.1e down-dated\n", p.name.c_str(),
                  name.c_str(), worst_direct / largest, worst_down_dated / largest);
      ++checked;
    }
  }
  if (checked == 0) GTEST_SKIP() << "no logo_predictions.csv under RAFTER_DATA";
}

}  // namespace
