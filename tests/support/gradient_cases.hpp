// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <boost/math/differentiation/autodiff.hpp>
#include <cmath>
#include <cstddef>
#include <random>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "rafter/expression/formula.hpp"
#include "rafter/step/columns.hpp"
#include "support/battery.hpp"
#include "support/steps.hpp"

/// Expressions of three parameters, each with the same formula written by hand for any kind of number: what the tape's
/// derivatives are compared with.
namespace tiny::gradients {

using namespace rafter;
using namespace rafter::literals;

inline constexpr bounded<"a", 0.1_c, 1_c, 4_c> a{};
inline constexpr bounded<"b", 0.1_c, 1_c, 4_c> b{};
inline constexpr bounded<"c", 0.1_c, 1_c, 4_c> c{};
/// Mentioned first, so that every plan lists a, b and c in this order.
inline constexpr auto all_parameters = a + b + c;

inline constexpr auto busy = kv_usage_ratio;
inline constexpr auto running = queue_running;
inline constexpr auto layers = architecture::layers;
inline constexpr auto context = magnitude(context_tokens);
inline constexpr auto fresh = magnitude(new_tokens);

/// What a hand-written formula reads.
struct seen {
  double busy, running, layers;
  const std::vector<request>& requests;

  /// The sum of `term(request)` over the requests that `counts(request)` holds for, and their mean (0 of none).
  template <class Term> auto sum(Term term) const {
    return total(term, [](const request&) { return true; }).first;
  }
  template <class Term, class Counts> auto sum(Term term, Counts counts) const { return total(term, counts).first; }
  template <class Term> auto mean(Term term) const {
    return mean(term, [](const request&) { return true; });
  }
  template <class Term, class Counts> auto mean(Term term, Counts counts) const {
    auto [all, n] = total(term, counts);
    return decltype(all)(n > 0.0 ? all / n : 0.0 * all);
  }

 private:
  template <class Term, class Counts> auto total(Term term, Counts counts) const {
    using number = std::remove_cvref_t<decltype(term(std::declval<const request&>()))>;
    number all(0.0);
    double n = 0.0;
    for (const request& one : requests) {
      if (!counts(one)) continue;
      all = all + term(one);
      n += 1.0;
    }
    return std::pair{all, n};
  }
};
inline bool prefills(const request& one) { return !one.decode; }
inline bool decodes(const request& one) { return one.decode; }

template <class E, class Formula> struct case_of {
  using expression_type = E;
  Formula formula;
};
/// An expression, and a lambda []<class T>(T a, T b, T c, const seen& s) -> T.
template <class E, class Formula> constexpr case_of<E, Formula> same_as(E, Formula formula) { return {formula}; }

template <class T> T smaller(T x, T y) { return y < x ? y : x; }
template <class T> T larger(T x, T y) { return x < y ? y : x; }

/// The columns that the cases read; what follows from requests is reduced.
struct columns_and_requests {
  static constexpr std::string_view name = "columns and requests";
  using columns = column_list<kv_usage_ratio_t, queue_running_t, gpu_step_time_t>;
  using targets = column_list<gpu_step_time_t>;
  static constexpr bool lists_requests = true;
  using deployment_type = deployment;
};

inline const deployment engines[] = {deployment_of(static_deployment<dense, memory_bound>{}),
                                     deployment_of(static_deployment<moe, memory_bound, 2>{})};

template <class Plan, class Record>
std::vector<double> evaluated(const Record& record, const deployment& engine, const double* parameters) {
  using run = rafter::detail::executor<Plan>;
  typename run::slot_array slots{};
  run::bind(slots.data(), engine, parameters);
  std::vector<double> values(Plan::outputs);
  run::step(slots.data(), record, [&](auto k, double v) { values[static_cast<std::size_t>(k())] = v; });
  return values;
}

template <class Cases> struct checks;
template <class... Cases> struct checks<const std::tuple<Cases...>> {
  static constexpr std::size_t size = sizeof...(Cases);
  using ordered = std::remove_cvref_t<decltype(all_parameters)>;
  template <class Binding>
  using differentiated = gradient_plan<Binding, static_cast<int>(size), typename Cases::expression_type..., ordered>;
  template <class Binding> using valued = plan<Binding, typename Cases::expression_type..., ordered>;
  using on_steps = rafter::detail::record_binding<deployment, state_step>;
  using on_columns = dataset<columns_and_requests>::binding_type;

  /// The place of parameter a, b or c in a plan, whose order is that of first mention.
  template <class Plan> static std::size_t place(std::string_view name) {
    for (std::size_t k = 0; k < Plan::tape.parameters.size(); ++k) {
      if (Plan::tape.parameters[k].name == name) return k;
    }
    return Plan::tape.parameters.size();
  }
  static std::string what(std::size_t k, std::size_t parameter) {
    static const std::vector<std::string> texts{std::string(formula(typename Cases::expression_type{}))...};
    return "d/d" + std::string(1, "abc"[parameter]) + " " + texts[k];
  }

  template <class Plan> static std::vector<double> parameters(const double (&abc)[3]) {
    std::vector<double> values(Plan::tape.parameters.size());
    for (std::size_t p = 0; p < 3; ++p) values[place<Plan>(std::string(1, "abc"[p]))] = abc[p];
    return values;
  }

  struct point {
    state_step step;
    double abc[3];
    std::size_t engine;
  };
  static std::vector<point> points(std::uint64_t seed, std::size_t count) {
    std::mt19937_64 random(seed);
    std::uniform_real_distribution<double> value(0.2, 3.5);
    std::vector<point> made;
    for (std::size_t i = 0; i < count; ++i) {
      made.push_back({random_state_step(random), {value(random), value(random), value(random)}, i % 2});
    }
    made.front().step.requests.clear();
    return made;
  }

  /// Values and derivatives against automatic differentiation of the formulas written by hand.
  static void expect_automatic(const std::tuple<Cases...>& cases) {
    namespace autodiff = boost::math::differentiation;
    using number = autodiff::autodiff_fvar<double, 1>;
    using plan_type = differentiated<on_steps>;
    std::size_t nonzero = 0;
    for (const point& at : points(11, 40)) {
      const deployment& engine = engines[at.engine];
      const seen s{at.step.kv_usage_ratio, at.step.queue_running, architecture::layers_t::read(engine),
                   at.step.requests};
      const std::vector<double> got = evaluated<plan_type>(at.step, engine, parameters<plan_type>(at.abc).data());
      for (std::size_t p = 0; p < 3; ++p) {
        number abc[3];
        for (std::size_t q = 0; q < 3; ++q) {
          abc[q] = q == p ? autodiff::make_fvar<double, 1>(at.abc[q]) : number(at.abc[q]);
        }
        const std::size_t by = place<plan_type>(std::string(1, "abc"[p]));
        std::size_t k = 0;
        const auto check = [&](const auto& one) {
          const number expected = one.formula(abc[0], abc[1], abc[2], s);
          const double value = expected.derivative(0), slope = expected.derivative(1);
          const double derived = got[size + 1 + k * plan_type::parameters + by];
          EXPECT_NEAR(got[k], value, 1e-12 * (1.0 + std::fabs(value))) << what(k, p);
          EXPECT_NEAR(derived, slope, 1e-11 * (1.0 + std::fabs(slope) + std::fabs(value))) << what(k, p);
          nonzero += derived != 0.0;
          ++k;
        };
        std::apply([&](const auto&... one) { (check(one), ...); }, cases);
      }
    }
    EXPECT_GT(nonzero, size * 40);  // of 120 comparisons for each case
  }

  /// Derivatives against central differences of the plan's own values.
  static void expect_central_differences() {
    using plan_type = differentiated<on_steps>;
    for (const point& at : points(12, 24)) {
      const deployment& engine = engines[at.engine];
      const std::vector<double> got = evaluated<plan_type>(at.step, engine, parameters<plan_type>(at.abc).data());
      for (std::size_t p = 0; p < 3; ++p) {
        const std::size_t by = place<plan_type>(std::string(1, "abc"[p]));
        const double h = 1e-6;
        double above[3] = {at.abc[0], at.abc[1], at.abc[2]}, below[3] = {at.abc[0], at.abc[1], at.abc[2]};
        above[p] += h;
        below[p] -= h;
        const auto high = evaluated<plan_type>(at.step, engine, parameters<plan_type>(above).data());
        const auto low = evaluated<plan_type>(at.step, engine, parameters<plan_type>(below).data());
        for (std::size_t k = 0; k < size; ++k) {
          const double difference = (high[k] - low[k]) / (above[p] - below[p]);
          const double derived = got[size + 1 + k * plan_type::parameters + by];
          EXPECT_NEAR(derived, difference, 1e-7 * (1.0 + std::fabs(difference) + std::fabs(got[k]))) << what(k, p);
        }
      }
    }
  }

  /// A plan with derivatives gives the values of the plan without them, bit for bit.
  static void expect_values_unchanged() {
    for (const point& at : points(13, 20)) {
      const deployment& engine = engines[at.engine];
      const auto with =
          evaluated<differentiated<on_steps>>(at.step, engine, parameters<differentiated<on_steps>>(at.abc).data());
      const auto without = evaluated<valued<on_steps>>(at.step, engine, parameters<valued<on_steps>>(at.abc).data());
      for (std::size_t k = 0; k < size; ++k) EXPECT_PRED2(same, with[k], without[k]) << what(k, 0);
    }
  }

  /// A step alone and rows of columns in packs give the same bits.
  static void expect_columns_are_steps() {
    using step_plan = differentiated<on_steps>;
    using column_plan = differentiated<on_columns>;
    static_assert(step_plan::size == column_plan::size);
    const std::vector<point> all = points(14, 22);
    dataset_builder<columns_and_requests> build("made");
    for (const deployment& engine : engines) build.add_deployment(engine);
    for (std::size_t i = 0; i < all.size(); ++i) {
      build.begin_row(i / 5 % 2, i + 1);
      for (const request& one : all[i].step.requests) build.add(one);
      build.set(kv_usage_ratio, all[i].step.kv_usage_ratio).set(queue_running, all[i].step.queue_running);
      build.set(gpu_step_time, 1e-3);
      build.end_row();
    }
    const auto data = build.finish();
    const auto values = parameters<column_plan>(all[3].abc);
    const row_set rows = row_set::all(data.size());
    column_evaluation<column_plan, columns_and_requests> evaluation(data, rows);
    if constexpr (column_plan::tape.parametric_reductions) evaluation.reduce(rows, values.data());
    std::size_t compared = 0;
    evaluation.for_each_run(
        rows,
        [&](const auto& slots, row_range range) {
          for (std::size_t row = range.begin; row < range.end; row += pack_width) {
            std::vector<std::vector<double>> expected;
            for (std::size_t i = row; i < std::min(row + pack_width, range.end); ++i) {
              expected.push_back(evaluated<step_plan>(all[i].step, engines[i / 5 % 2], values.data()));
            }
            evaluation.template rows<pack>(slots, row, [&](auto k, pack got) {
              for (std::size_t lane = 0; lane < expected.size(); ++lane, ++compared) {
                EXPECT_PRED2(same, expected[lane][static_cast<std::size_t>(k())], got[lane]) << "output " << k();
              }
            });
          }
        },
        values.data());
    EXPECT_EQ(compared, data.size() * column_plan::outputs);
  }
};

}  // namespace tiny::gradients
