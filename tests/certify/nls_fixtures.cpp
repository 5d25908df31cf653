// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// Bounded and robust nonlinear least squares against scipy's trust-region reflective method (fixtures/nls). The
// residuals below are found by the formula text in problems.json: a formula that is not here fails.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "../support/data.hpp"
#include "../support/formula.hpp"
#include "rafter/solver/multi_start.hpp"
#include "rafter/solver/trust_region.hpp"

namespace {

using json = nlohmann::json;
using duals = std::vector<dual>;
using numbers = std::vector<double>;

numbers read_numbers(const json& from) {
  numbers made;
  for (const json& each : from) {
    made.push_back(each.is_number() ? each.get<double>() : std::strtod(each.get<std::string>().c_str(), nullptr));
  }
  return made;
}

// The nine columns of roofline_data.csv: F of four components, B of four, the time.
const std::vector<numbers>& roofline_rows() {
  static const std::vector<numbers> rows = [] {
    std::vector<numbers> read;
    std::ifstream in(data_folder() / "fixtures" / "nls" / "roofline_data.csv");
    std::string line;
    std::getline(in, line);
    while (std::getline(in, line)) {
      std::replace(line.begin(), line.end(), ',', ' ');
      std::istringstream words(line);
      numbers row;
      for (double value = 0.0; words >> value;) row.push_back(value);
      read.push_back(row);
    }
    return read;
  }();
  return rows;
}

dual larger(const dual& a, const dual& b) { return a.value > b.value ? a : b; }

using residuals = duals (*)(const duals& x, const json& data, std::size_t m);

const std::map<std::string, residuals>& formulas() {
  static const std::map<std::string, residuals> known{
      {"r1 = 10 (x2 - x1^2); r2 = 1 - x1",
       [](const duals& x, const json&, std::size_t) {
         return duals{10.0 * (x[1] - x[0] * x[0]), 1.0 - x[0]};
       }},
      {"r_i = y_i - x1 (1 - x2^i), y = 1.5, 2.25, 2.625",
       [](const duals& x, const json&, std::size_t) {
         return duals{1.5 - x[0] * (1.0 - x[1]), 2.25 - x[0] * (1.0 - x[1] * x[1]),
                      2.625 - x[0] * (1.0 - x[1] * x[1] * x[1])};
       }},
      {"r = 10(x2-x1^2), 1-x1, sqrt90 (x4-x3^2), 1-x3, sqrt10 (x2+x4-2), (x2-x4)/sqrt10",
       [](const duals& x, const json&, std::size_t) {
         const double ten = std::sqrt(10.0);
         return duals{
             10.0 * (x[1] - x[0] * x[0]), 1.0 - x[0],         std::sqrt(90.0) * (x[3] - x[2] * x[2]), 1.0 - x[2],
             ten * (x[1] + x[3] - 2.0),   (x[1] - x[3]) / ten};
       }},
      {"u=i, v=16-i, w=min(u,v): r_i = y_i - (x1 + u/(v x2 + w x3))",
       [](const duals& x, const json& data, std::size_t m) {
         const numbers y = data.at("y");
         duals r;
         for (std::size_t i = 0; i < m; ++i) {
           const double u = static_cast<double>(i + 1), v = 16.0 - u;
           r.push_back(y[i] - (x[0] + u / (v * x[1] + std::min(u, v) * x[2])));
         }
         return r;
       }},
      {"r_i = y_i - x1 (u^2 + u x2)/(u^2 + u x3 + x4)",
       [](const duals& x, const json& data, std::size_t m) {
         const numbers y = data.at("y"), u = data.at("u");
         duals r;
         for (std::size_t i = 0; i < m; ++i) {
           r.push_back(y[i] - x[0] * (u[i] * u[i] + u[i] * x[1]) / (u[i] * u[i] + u[i] * x[2] + x[3]));
         }
         return r;
       }},
      {"y_i = exp(-t)-5exp(-10t)+3exp(-4t): r_i = x3 exp(-t x1) - x4 exp(-t x2) + x6 exp(-t x5) - y_i",
       [](const duals& x, const json& data, std::size_t m) {
         const numbers t = data.at("t");
         duals r;
         for (std::size_t i = 0; i < m; ++i) {
           const double y = std::exp(-t[i]) - 5.0 * std::exp(-10.0 * t[i]) + 3.0 * std::exp(-4.0 * t[i]);
           r.push_back(x[2] * exp(-t[i] * x[0]) - x[3] * exp(-t[i] * x[1]) + x[5] * exp(-t[i] * x[4]) - y);
         }
         return r;
       }},
      {"t_i=i/29, i=1..29: r_i = sum_{j=2..n}(j-1) x_j t_i^(j-2) - (sum_{j=1..n} x_j t_i^(j-1))^2 - 1; r_30 = x1; "
       "r_31 = x2 - x1^2 - 1",
       [](const duals& x, const json&, std::size_t) {
         duals r;
         for (int i = 1; i <= 29; ++i) {
           const double t = i / 29.0;
           dual slope, value;
           double power = 1.0;
           for (std::size_t j = 0; j < x.size(); ++j) {
             value = value + power * x[j];
             if (j + 1 < x.size()) slope = slope + static_cast<double>(j + 1) * power * x[j + 1];
             power *= t;
           }
           r.push_back(slope - value * value - 1.0);
         }
         r.push_back(x[0]);
         r.push_back(x[1] - x[0] * x[0] - 1.0);
         return r;
       }},
      {"r_i = x1 + x2 exp(-x3 t) - y",
       [](const duals& x, const json& data, std::size_t m) {
         const numbers t = data.at("t"), y = data.at("y");
         duals r;
         for (std::size_t i = 0; i < m; ++i) r.push_back(x[0] + x[1] * exp(-t[i] * x[2]) - y[i]);
         return r;
       }},
      {"rows of roofline_data.csv: pred = x5 + sum_{k=1..4} x_k max(F_k/x_{5+k}, B_k) (x1..x4 factors, x5 overhead "
       "us, x6..x9 efficiencies); r = ln(pred) - ln(y)",
       [](const duals& x, const json&, std::size_t) {
         duals r;
         for (const numbers& row : roofline_rows()) {
           dual time = x[4];
           for (std::size_t k = 0; k < 4; ++k) time = time + x[k] * larger(row[k] / x[5 + k], row[4 + k]);
           r.push_back(log(time) - std::log(row[8]));
         }
         return r;
       }},
      {"efficiencies fixed at .6 .35 .5 .25: pred = x5 + sum_{k=1..4} x_k max(F_k/eff_k, B_k); r = ln(pred) - ln(y)",
       [](const duals& x, const json& data, std::size_t) {
         const numbers efficiency = data.at("eff");
         duals r;
         for (const numbers& row : roofline_rows()) {
           dual time = x[4];
           for (std::size_t k = 0; k < 4; ++k) time = time + x[k] * std::max(row[k] / efficiency[k], row[4 + k]);
           r.push_back(log(time) - std::log(row[8]));
         }
         return r;
       }},
  };
  return known;
}

struct problem {
  json entry;
  std::string name;
  numbers start, lower, upper;
  rafter::robust_loss loss;

  rafter::array_residuals model() const {
    const std::size_t n = start.size();
    const std::size_t m = entry.at("m");
    const auto evaluate = [f = formulas().at(entry.at("residual").get<std::string>()), data = entry.at("data"), n,
                           m](const double* at) {
      duals x;
      for (std::size_t j = 0; j < n; ++j) x.push_back(dual::parameter(at[j], j));
      return f(x, data, m);
    };
    return {m, n,
            [evaluate](const double* at, double* r) {
              for (const dual& each : evaluate(at)) *r++ = each.value;
            },
            [evaluate, n, m](const double* at, double* jacobian) {
              const duals r = evaluate(at);
              for (std::size_t i = 0; i < m; ++i) {
                for (std::size_t j = 0; j < n; ++j) jacobian[j * m + i] = r[i].slope[j];
              }
            }};
  }
  bool is_roofline9() const { return name.rfind("roofline9", 0) == 0; }
  const json& solution() const { return entry.at("solution"); }
};

std::vector<problem> problems() {
  std::vector<problem> all;
  std::ifstream in(data_folder() / "fixtures" / "nls" / "problems.json");
  if (!in) return all;
  for (const json& each : json::parse(in)) {
    problem made;
    made.entry = each;
    made.name = each.at("name");
    made.start = read_numbers(each.at("x0"));
    made.lower = read_numbers(each.at("lb"));
    made.upper = read_numbers(each.at("ub"));
    const std::map<std::string, rafter::loss_kind> kinds{{"linear", rafter::loss_kind::linear},
                                                         {"soft_l1", rafter::loss_kind::soft_l1},
                                                         {"huber", rafter::loss_kind::huber},
                                                         {"cauchy", rafter::loss_kind::cauchy},
                                                         {"arctan", rafter::loss_kind::arctan}};
    made.loss = {kinds.at(each.at("loss")), each.at("f_scale")};
    all.push_back(made);
  }
  return all;
}

#define RAFTER_NEEDS_NLS(all) \
  if ((all).empty())          \
  GTEST_SKIP() << "no fixtures/nls under RAFTER_DATA: nonlinear least squares is not compared with scipy"

TEST(NlsFixtures, TheCostsAtScipysSolutionsAreScipys) {
  const auto all = problems();
  RAFTER_NEEDS_NLS(all);
  for (const auto& p : all) {
    const numbers x = p.solution().at("x");
    const double cost = p.solution().at("cost");
    EXPECT_NEAR(p.model().cost(x.data(), p.loss), cost, 1e-12 * cost + 1e-25) << p.name;
  }
}

void check(rafter::jacobian_path path, bool tight) {
  const auto all = problems();
  RAFTER_NEEDS_NLS(all);
  for (const auto& p : all) {
    rafter::trust_region method{.loss = p.loss, .path = path};
    if (tight) method.cost_tolerance = method.step_tolerance = method.gradient_tolerance = 0.0;
    const auto fit = method.minimize(p.model(), p.start, {p.lower, p.upper});
    const json& solution = p.solution();
    const double cost =
        p.is_roofline9() ? p.entry.at("same_start_cost").get<double>() : solution.at("cost").get<double>();
    std::printf("nls  %-7s %-24s cost %.12e  over scipy's %+.1e  optimality %.0e  %3zu evaluations  %s\n",
                tight ? "tight" : "default", p.name.c_str(), fit.cost, cost > 0.0 ? fit.cost / cost - 1.0 : fit.cost,
                fit.optimality, fit.evaluations, std::string(text_of(fit.status)).c_str());
    EXPECT_TRUE(fit.converged()) << p.name;
    if (solution.at("zero_residual").get<bool>()) {
      EXPECT_LE(fit.cost, 1e-18) << p.name;
    } else {
      EXPECT_LE(fit.cost, cost * (1.0 + (p.is_roofline9() ? 1e-4 : tight ? 1e-9 : 1e-8))) << p.name;
    }
    if (p.is_roofline9()) continue;
    const numbers x = solution.at("x");
    const numbers tolerance = p.entry.at("suggested_x_rtol");
    const numbers mask = read_numbers(solution.at("active_mask"));
    // Another minimum with the same cost has the parameters of the exchangeable terms swapped.
    const bool exchangeable = p.name.rfind("biggs", 0) == 0;
    for (std::size_t j = 0; j < x.size(); ++j) {
      if (!exchangeable) {
        EXPECT_EQ(fit.active_mask[j], static_cast<int>(mask[j])) << p.name << " parameter " << j + 1;
      }
      if (!tight || tolerance[j] >= 1.0) continue;
      const double off = std::abs(fit.parameters[j] - x[j]);
      EXPECT_LE(off, std::abs(x[j]) < 1e-6 ? 1e-6 : tolerance[j] * std::abs(x[j]))
          << p.name << " parameter " << j + 1;
    }
  }
}

TEST(NlsFixtures, ToRounding) { check(rafter::jacobian_path::automatic, true); }
TEST(NlsFixtures, AtTheDefaultTolerances) { check(rafter::jacobian_path::automatic, false); }

// The fixture's are those of the plain Jacobian, the solver's of the loss-scaled one: equal for the linear loss.
TEST(NlsFixtures, SingularValuesAreThoseOfScipysJacobian) {
  const auto all = problems();
  RAFTER_NEEDS_NLS(all);
  for (const auto& p : all) {
    if (p.is_roofline9() || p.name.rfind("biggs", 0) == 0 || p.loss.kind != rafter::loss_kind::linear) continue;
    const auto fit = rafter::trust_region{.cost_tolerance = 0.0}.minimize(p.model(), p.start, {p.lower, p.upper});
    const numbers expected = p.entry.at("scaled_jacobian_singular_values_free");
    ASSERT_EQ(fit.singular_values.size(), expected.size()) << p.name;
    for (std::size_t k = 0; k < expected.size(); ++k) {
      EXPECT_NEAR(fit.singular_values[k], expected[k], 1e-5) << p.name << " singular value " << k;
    }
  }
}

// The best of scipy's 14 starts, from as many.
TEST(NlsFixtures, MultiStartReachesTheBestOfScipysStarts) {
  const auto all = problems();
  RAFTER_NEEDS_NLS(all);
  for (const auto& p : all) {
    if (!p.is_roofline9()) continue;
    const rafter::multi_start<rafter::trust_region> method{.method = {.loss = p.loss}, .starts = 14};
    const auto fit = method.minimize(p.model(), p.start, {p.lower, p.upper});
    const double cost = p.solution().at("cost");
    std::printf("nls  14 starts %-22s cost %.12e  over scipy's %+.1e  %zu evaluations\n", p.name.c_str(), fit.cost,
                fit.cost / cost - 1.0, fit.evaluations);
    EXPECT_LE(fit.cost, cost * 1.003) << p.name;
    const double log_rmse = std::sqrt(2.0 * p.model().cost(fit.parameters.data(), {}) / 2000.0);
    EXPECT_NEAR(log_rmse, p.entry.at("log_rmse").get<double>(), 1e-4) << p.name;
  }
}

// A component whose rows are all bound by memory says nothing of its efficiency, one whose rows with work are all
// bound by compute fixes only the quotient: each takes one from the rank.
TEST(NlsFixtures, TheRankOfTheRooflineCountsWhatItsRowsDetermine) {
  const auto all = problems();
  RAFTER_NEEDS_NLS(all);
  for (const auto& p : all) {
    if (!p.is_roofline9()) continue;
    const auto fit = rafter::trust_region{.loss = p.loss}.minimize(p.model(), p.start, {p.lower, p.upper});
    std::vector<std::size_t> dead;
    std::size_t quotients = 0;
    for (std::size_t k = 0; k < 4; ++k) {
      std::size_t compute = 0, memory = 0;
      for (const numbers& row : roofline_rows()) {
        const bool by_compute = row[k] / fit.parameters[5 + k] > row[4 + k];
        compute += by_compute ? 1u : 0u;
        memory += !by_compute && row[4 + k] > 0.0 ? 1u : 0u;
      }
      if (compute == 0) dead.push_back(5 + k);
      if (compute > 0 && memory == 0) ++quotients;
    }
    EXPECT_GE(dead.size() + quotients, 2u) << p.name;
    EXPECT_EQ(fit.dead_parameters, dead) << p.name;
    EXPECT_EQ(fit.rank, 9 - dead.size() - quotients) << p.name;
    for (const std::size_t j : dead) EXPECT_EQ(fit.parameters[j], p.start[j]) << p.name;
  }
}

}  // namespace
