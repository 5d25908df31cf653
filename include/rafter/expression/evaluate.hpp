// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <limits>
#include <tuple>
#include <type_traits>
#include <utility>

#include "rafter/config.hpp"
#include "rafter/core/math.hpp"
#include "rafter/core/pack.hpp"
#include "rafter/expression/tape.hpp"

namespace rafter::detail {

// ---------------------------------------------------------------------------------------------------------------
// One plan, two evaluations: `double` for a step, `pack` for consecutive rows of columns. Both execute the same
// instructions in the same order, so with -ffp-contract=off they give the same bits.
// ---------------------------------------------------------------------------------------------------------------

template <operation Op, int Detail, class V> RAFTER_ALWAYS_INLINE constexpr V apply(V a, V b, V c) {
  const V one = broadcast<V>(1.0);
  const V zero = broadcast<V>(0.0);
  using enum operation;
  if constexpr (Op == negate)
    return -a;
  else if constexpr (Op == square_root)
    return rafter::sqrt(a);
  else if constexpr (Op == logarithm)
    return rafter::log(a);
  else if constexpr (Op == logarithm_1p)
    return rafter::log1p(a);
  else if constexpr (Op == exponential)
    return rafter::exp(a);
  else if constexpr (Op == round_up)
    return rafter::ceil(a);
  else if constexpr (Op == integer_power)
    return rafter::integer_power<Detail>(a);
  else if constexpr (Op == add)
    return a + b;
  else if constexpr (Op == subtract)
    return a - b;
  else if constexpr (Op == multiply)
    return a * b;
  else if constexpr (Op == divide)
    return a / b;
  else if constexpr (Op == minimum)
    return choose(b < a, b, a);
  else if constexpr (Op == maximum)
    return choose(a < b, b, a);
  else if constexpr (Op == less)
    return choose(a < b, one, zero);
  else if constexpr (Op == less_equal)
    return choose(a <= b, one, zero);
  else if constexpr (Op == greater)
    return choose(a > b, one, zero);
  else if constexpr (Op == greater_equal)
    return choose(a >= b, one, zero);
  else if constexpr (Op == equal)
    return choose(a == b, one, zero);
  else if constexpr (Op == not_equal)
    return choose(a != b, one, zero);
  else if constexpr (Op == logical_and)
    return a * b;
  else if constexpr (Op == logical_or)
    return choose(a < b, b, a);
  else if constexpr (Op == logical_not)
    return one - a;
  else if constexpr (Op == select)
    return choose(a != zero, b, c);
  else {
    static_assert(Op == ratio);
    return choose(b == zero, c, a / b);
  }
}

/// A function of one number, on each lane.
template <class V> RAFTER_ALWAYS_INLINE constexpr V on_each_lane(double (*function)(double), V x) {
  if constexpr (is_pack<V>) {
    V result{};
    for (std::size_t lane = 0; lane < pack_width; ++lane) result[lane] = function(x[lane]);
    return result;
  } else {
    return function(x);
  }
}

/// The state of one reduction while the requests of a step go by.
template <operation Op> struct accumulator {
  double first = 0.0;
  double sum = 0.0;
  double squares = 0.0;
  double count = 0.0;

  RAFTER_ALWAYS_INLINE constexpr void add(double x) {
    if constexpr (Op == operation::reduce_sum) {
      sum += x;
    } else if constexpr (Op == operation::reduce_mean) {
      sum += x;
      count += 1.0;
    } else if constexpr (Op == operation::reduce_count) {
      count += 1.0;
    } else if constexpr (Op == operation::reduce_minimum) {
      sum = x < (count == 0.0 ? x : sum) ? x : (count == 0.0 ? x : sum);
      count = 1.0;
    } else if constexpr (Op == operation::reduce_maximum) {
      sum = (count == 0.0 ? x : sum) < x ? x : (count == 0.0 ? x : sum);
      count = 1.0;
    } else {
      // Shifted by the first value: equal values have deviation exactly 0, large ones do not cancel.
      if (count == 0.0) first = x;
      const double shifted = x - first;
      sum += shifted;
      squares += shifted * shifted;
      count += 1.0;
    }
  }
  RAFTER_ALWAYS_INLINE constexpr double result() const {
    if constexpr (Op == operation::reduce_count) {
      return count;
    } else if constexpr (Op == operation::reduce_mean) {
      return count == 0.0 ? 0.0 : sum / count;
    } else if constexpr (Op == operation::reduce_deviation) {
      if (count == 0.0) return 0.0;
      const double variance = (squares - sum * sum / count) / count;
      return variance > 0.0 ? rafter::sqrt(variance) : 0.0;
    } else {
      return sum;
    }
  }
};

/// What an executor runs in one go.
enum class part { deployment, step, request, reductions, columns };

/// Executes `Plan`'s tape. Everything is forced inline: the value array must live in registers.
template <class Plan> struct executor {
  using binding = typename Plan::binding;
  static constexpr const auto& tape = Plan::tape;
  static constexpr int size = static_cast<int>(Plan::size);
  using slot_array = std::array<double, static_cast<std::size_t>(tape.slots > 0 ? tape.slots : 1)>;

  template <int I> static constexpr const instruction& at = tape.code[static_cast<std::size_t>(I)];

  /// The instructions of a part, ascending: a template is made for these only. `Pass` counts passes over the requests.
  template <part Part, int Pass = 0>
  static constexpr auto listed = [] {
    constexpr auto marks = [] {
      std::array<bool, Plan::size> marked{};
      for (std::size_t i = 0; i < Plan::size; ++i) {
        const instruction& one = tape.code[i];
        const bool reduces = is_reduction(one.op);
        if (Part == part::deployment) marked[i] = one.varies == level::deployment;
        if (Part == part::step) marked[i] = one.varies == level::step && !reduces && one.phase == Pass;
        if (Part == part::columns) marked[i] = one.varies == level::step;
        if (Part == part::reductions) marked[i] = reduces && one.phase == Pass + 1;
        if (Part == part::request && reduces && one.phase == Pass + 1) marked[static_cast<std::size_t>(one.a)] = true;
      }
      if (Part == part::request) {  // what this pass's reductions need of each request
        for (std::size_t i = Plan::size; i-- > 0;) {
          const instruction& one = tape.code[i];
          marked[i] = marked[i] && one.varies == level::request;
          if (!marked[i]) continue;
          for (const int operand : {one.a, one.b, one.c}) {
            if (operand >= 0) marked[static_cast<std::size_t>(operand)] = true;
          }
        }
      }
      return marked;
    }();
    constexpr std::size_t count = [&] {
      std::size_t n = 0;
      for (const bool mark : marks) n += mark;
      return n;
    }();
    std::array<int, count> found{};
    std::size_t n = 0;
    for (int i = 0; i < size; ++i) {
      if (marks[static_cast<std::size_t>(i)]) found[n++] = i;
    }
    return found;
  }();
  template <part Part, int Pass = 0> static constexpr auto indices() {
    return std::make_index_sequence<listed<Part, Pass>.size()>{};
  }

  /// The value of instruction I: a constant, a bound slot, or computed earlier.
  template <class V, int I> RAFTER_ALWAYS_INLINE static constexpr V operand(const double* slots, const V* values) {
    if constexpr (I < 0) {
      return V{};
    } else if constexpr (at<I>.op == operation::constant) {
      return broadcast<V>(at<I>.value);
    } else if constexpr (at<I>.varies <= level::deployment) {
      return broadcast<V>(slots[at<I>.slot]);
    } else {
      return values[I];
    }
  }
  /// Instruction I is only of use where a condition of the deployment holds (or does not): it feeds, through nothing but
  /// operations with one user each, one branch of a `select` on that condition.
  struct guard {
    int condition = -1;  ///< instruction; -1: always of use
    bool holds = true;
  };
  static constexpr guard guard_of(int i) {
    for (;;) {
      int user = -1;
      for (const int output : tape.outputs) {
        if (output == i) return {};
      }
      for (int u = i + 1; u < size; ++u) {
        const instruction& one = tape.code[static_cast<std::size_t>(u)];
        const int uses = (one.a == i) + (one.b == i) + (one.c == i);
        if (uses == 0) continue;
        if (user >= 0 || uses > 1 || is_reduction(one.op)) return {};
        user = u;
      }
      if (user < 0) return {};
      const instruction& one = tape.code[static_cast<std::size_t>(user)];
      if (one.op == operation::select && one.a != i) {
        const instruction& condition = tape.code[static_cast<std::size_t>(one.a)];
        if (condition.varies == level::deployment) return {one.a, one.b == i};
      }
      i = user;
    }
  }
  static constexpr bool costly(operation op) {
    return op == operation::exponential || op == operation::logarithm || op == operation::logarithm_1p ||
           op == operation::curve || op == operation::curve_slope;
  }

  /// Executes instruction I, which is no leaf. A select keeps one branch and computes both, but a costly function in a
  /// branch that no step of this deployment keeps is not called.
  template <class V, int I> RAFTER_ALWAYS_INLINE static constexpr V compute(const double* slots, const V* values) {
    if constexpr (costly(at<I>.op) && at<I>.varies > level::deployment) {
      constexpr guard by = guard_of(I);
      if constexpr (by.condition >= 0) {
        if ((operand<double, by.condition>(slots, nullptr) != 0.0) != by.holds) return V{};
      }
    }
    if constexpr (at<I>.op == operation::curve || at<I>.op == operation::curve_slope) {
      constexpr const curve_fact& table = tape.curves[static_cast<std::size_t>(at<I>.detail)];
      constexpr auto function = at<I>.op == operation::curve ? table.value : table.slope;
      return on_each_lane(function, operand<V, at<I>.a>(slots, values));
    } else {
      return apply<at<I>.op, at<I>.detail, V>(operand<V, at<I>.a>(slots, values), operand<V, at<I>.b>(slots, values),
                                              operand<V, at<I>.c>(slots, values));
    }
  }

  // -- deployment level: once per deployment and parameter vector ------------------------------------------------

  template <int I, class Deployment>
  RAFTER_ALWAYS_INLINE static constexpr void bind_one(double* slots, const Deployment& deployment,
                                                      const double* parameters) {
    if constexpr (at<I>.op == operation::parameter) {
      constexpr const parameter_fact& fact = tape.parameters[static_cast<std::size_t>(at<I>.leaf)];
      if constexpr (fact.fixed()) {
        slots[at<I>.slot] = fact.start;
      } else {
        // Without parameters only what depends on none of them is of use.
        slots[at<I>.slot] = parameters != nullptr ? parameters[at<I>.leaf] : std::numeric_limits<double>::quiet_NaN();
      }
    } else if constexpr (at<I>.op == operation::leaf) {
      slots[at<I>.slot] = tape.leaves[static_cast<std::size_t>(at<I>.leaf)].reader.deployment(deployment);
    } else {
      slots[at<I>.slot] = compute<double, I>(slots, nullptr);
    }
  }
  /// @param parameters  one value for each of the tape's parameters, those of held ones unread; null where none is free
  template <class Deployment>
  RAFTER_ALWAYS_INLINE static constexpr void bind(double* slots, const Deployment& deployment,
                                                  const double* parameters = nullptr) {
    [&]<std::size_t... K>(std::index_sequence<K...>) RAFTER_INLINE_LAMBDA {
      const int order[] = {0, (bind_one<listed<part::deployment>[K]>(slots, deployment, parameters), 0)...};
      (void)order;
      (void)parameters;
    }
    (indices<part::deployment>());
  }

  // -- one step ----------------------------------------------------------------------------------------------------

  template <int I, class Record>
  RAFTER_ALWAYS_INLINE static constexpr void step_one(const double* slots, double* values, const Record& record) {
    if constexpr (at<I>.op == operation::leaf) {
      values[I] = tape.leaves[static_cast<std::size_t>(at<I>.leaf)].reader.step(record);
    } else {
      values[I] = compute<double, I>(slots, values);
    }
  }

  template <int I, class Request>
  RAFTER_ALWAYS_INLINE static constexpr void request_one(const double* slots, double* values,
                                                         const Request& request) {
    if constexpr (at<I>.op == operation::leaf) {
      values[I] = tape.leaves[static_cast<std::size_t>(at<I>.leaf)].reader.request(request);
    } else {
      values[I] = compute<double, I>(slots, values);
    }
  }

  template <int I, class Accumulator, class Request>
  RAFTER_ALWAYS_INLINE static constexpr void add_one(Accumulator& state, const double* slots, const double* values,
                                                     const Request& request) {
    if (binding::template in_domain<at<I>.domain>(request)) state.add(operand<double, at<I>.a>(slots, values));
  }

  template <int Pass, class Record, std::size_t... K, std::size_t... R>
  RAFTER_ALWAYS_INLINE static constexpr void pass(const double* slots, double* values, const Record& record,
                                                  std::index_sequence<K...>, std::index_sequence<R...>) {
    constexpr const auto& needed = listed<part::request, Pass>;
    constexpr const auto& reductions = listed<part::reductions, Pass>;
    std::tuple<accumulator<at<reductions[R]>.op>...> state;
    for (const auto& request : binding::requests(record)) {
      const int order[] = {0, (request_one<needed[K]>(slots, values, request), 0)...,
                           (add_one<reductions[R]>(std::get<R>(state), slots, values, request), 0)...};
      (void)order;
    }
    ((values[reductions[R]] = std::get<R>(state).result()), ...);
  }

  template <int Pass, class Record>
  RAFTER_ALWAYS_INLINE static constexpr void phase(const double* slots, double* values, const Record& record) {
    [&]<std::size_t... K>(std::index_sequence<K...>) RAFTER_INLINE_LAMBDA {
      const int order[] = {0, (step_one<listed<part::step, Pass>[K]>(slots, values, record), 0)...};
      (void)order;
    }
    (indices<part::step, Pass>());
    if constexpr (Pass < tape.phases) {
      pass<Pass>(slots, values, record, indices<part::request, Pass>(), indices<part::reductions, Pass>());
      phase<Pass + 1>(slots, values, record);
    }
  }

  /// Evaluates one step; `take(std::integral_constant<int, k>, value)` receives output k.
  template <class Record, class Take>
  RAFTER_ALWAYS_INLINE static constexpr void step(const double* slots, const Record& record, Take&& take) {
    double values[static_cast<std::size_t>(size > 0 ? size : 1)]{};
    phase<0>(slots, values, record);
    outputs<double>(slots, values, take);
  }

  /// The reductions of one step: `take(std::integral_constant<int, I>, value)` for each reduction instruction I.
  template <class Record, class Take>
  RAFTER_ALWAYS_INLINE static constexpr void reductions(const double* slots, const Record& record, Take&& take) {
    double values[static_cast<std::size_t>(size > 0 ? size : 1)]{};
    phase<0>(slots, values, record);
    give_reductions<0>(values, take);
  }

  // -- columns -----------------------------------------------------------------------------------------------------

  template <int I, class V, class Columns>
  RAFTER_ALWAYS_INLINE static void column_one(const double* slots, V* values, const Columns& columns,
                                              std::size_t row) {
    if constexpr (is_reduction(at<I>.op)) {
      values[I] = load<V>(columns.template reduced<I>() + row);
    } else if constexpr (at<I>.op == operation::leaf) {
      values[I] = load<V>(columns.template column<at<I>.leaf>() + row);
    } else {
      values[I] = compute<V, I>(slots, values);
    }
  }

  /// Evaluates rows [row, row + lanes<V>) of columns; reductions over requests are columns here, reduced before.
  template <class V, class Columns, class Take>
  RAFTER_ALWAYS_INLINE static void rows(const double* slots, const Columns& columns, std::size_t row, Take&& take) {
    V values[static_cast<std::size_t>(size > 0 ? size : 1)];
    [&]<std::size_t... K>(std::index_sequence<K...>) RAFTER_INLINE_LAMBDA {
      const int order[] = {0, (column_one<listed<part::columns>[K], V>(slots, values, columns, row), 0)...};
      (void)order;
    }
    (indices<part::columns>());
    outputs<V>(slots, values, take);
  }

 private:
  template <class V, class Take>
  RAFTER_ALWAYS_INLINE static constexpr void outputs(const double* slots, const V* values, Take& take) {
    [&]<std::size_t... K>(std::index_sequence<K...>) RAFTER_INLINE_LAMBDA {
      const int order[] = {
          0, (take(std::integral_constant<int, static_cast<int>(K)>{}, operand<V, tape.outputs[K]>(slots, values)),
              0)...};
      (void)order;
    }
    (std::make_index_sequence<Plan::outputs>{});
  }
  template <int Pass, class Take>
  RAFTER_ALWAYS_INLINE static constexpr void give_reductions(const double* values, Take& take) {
    if constexpr (Pass < tape.phases) {
      [&]<std::size_t... R>(std::index_sequence<R...>) RAFTER_INLINE_LAMBDA {
        constexpr const auto& found = listed<part::reductions, Pass>;
        const int order[] = {0, (take(std::integral_constant<int, found[R]>{}, values[found[R]]), 0)...};
        (void)order;
      }
      (indices<part::reductions, Pass>());
      give_reductions<Pass + 1>(values, take);
    }
  }
};

}  // namespace rafter::detail
