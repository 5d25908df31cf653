// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>

#include "rafter/expression/node.hpp"
#include "rafter/expression/parameter.hpp"

namespace rafter {

// ---------------------------------------------------------------------------------------------------------------
// A plan lowers expression types, once, to a constexpr array of instructions with hash-consing: equal instructions
// are one instruction, so common sub-expressions of a whole feature set are shared, whoever wrote them. Everything
// else (what is uniform over a deployment, gradients, evaluation, formulas, later frozen code) is ordinary constexpr
// code on that array. Only what IEEE-754 allows is reordered: the operands of + * && || by index.
// ---------------------------------------------------------------------------------------------------------------

struct instruction {
  operation op = operation::constant;
  level varies = level::constant;               ///< the slowest-changing loop that it can be hoisted to
  request_domain domain = request_domain::all;  ///< of a reduction
  int phase = 0;                                ///< how many passes over the requests come before it
  int a = -1, b = -1, c = -1;                   ///< operands: earlier instructions
  int detail = 0;                               ///< exponent of an integer power; index into the tape's curves
  int leaf = -1;                                ///< index into the tape's leaves; of a parameter, into its parameters
  int slot = -1;                                ///< where the bound value of a deployment-level instruction is kept
  double value = 0.0;                           ///< of a constant
};

/// What is known of an observable that a plan reads.
struct observable_fact {
  std::string_view name;
  std::string_view identity_of;
  dimension unit{};
  level varies = level::step;
  provenance known = provenance::known_before_step;
};

/// A curve that a plan evaluates.
struct curve_fact {
  std::string_view name;
  double (*value)(double) = nullptr;
  double (*slope)(double) = nullptr;
};

template <class Reader> struct tape_leaf {
  observable_fact fact;
  Reader reader{};
};

/// The instructions of a plan in an order in which operands come first.
template <std::size_t Size, std::size_t Leaves, std::size_t Parameters, std::size_t Curves, std::size_t Outputs,
          class Reader>
struct tape {
  std::array<instruction, Size> code{};
  std::array<tape_leaf<Reader>, Leaves> leaves{};
  std::array<parameter_fact, Parameters> parameters{};  ///< in the order of first mention
  std::array<curve_fact, Curves> curves{};              ///< in the order of first mention
  std::array<int, Outputs> outputs{};
  int phases = 0;                      ///< passes over the requests of a step
  int slots = 0;                       ///< values kept when a deployment (and parameters) are bound
  bool parametric_reductions = false;  ///< a reduction over requests depends on a parameter that is not held
};

/// A binding says which observables a record type carries (`reads<Leaf>`) and how to read them (`reader<Leaf>()`).
/// This one carries everything, reads nothing, and gives the plan as written.
struct as_written {
  struct reader_type {};
  template <class Leaf> static constexpr bool reads = true;
  template <class Leaf> static constexpr reader_type reader() { return {}; }
};

namespace detail {

/// 128 bits that stand for a type in constant expressions. (Addresses of variables would be exact, but g++ does not
/// compare them in constant expressions when it builds with -fsanitize=undefined.) Leaves are told apart by the
/// spelling of their type, operations by what they do to which operands.
struct type_key {
  std::uint64_t high = 0;
  std::uint64_t low = 0;
  friend constexpr bool operator==(type_key, type_key) = default;

  constexpr void mix(std::uint64_t value) {
    high = (high ^ value) * 0x9E3779B97F4A7C15ULL + (high >> 29);
    low = (low + value) * 0xD1342543DE82EF95ULL + (low >> 31) + 1;
  }
};

template <class T> constexpr type_key spelling_of() {
  type_key key{0x243F6A8885A308D3ULL, 0x13198A2E03707344ULL};
  for (const char c : std::string_view(__PRETTY_FUNCTION__)) key.mix(static_cast<unsigned char>(c));
  return key;
}
template <class E> constexpr type_key make_key();
template <class E> inline constexpr type_key key_of = make_key<E>();
template <class... Es> constexpr void mix_keys(type_key& key, expression_list<Es...>) {
  ((key.mix(key_of<Es>.high), key.mix(key_of<Es>.low)), ...);
}
template <class E> constexpr type_key make_key() {
  if constexpr (leaf<E>) {
    if constexpr (E::operation_v == operation::constant) {
      type_key key{0xA4093822299F31D0ULL, 0x082EFA98EC4E6C89ULL};
      key.mix(static_cast<std::uint64_t>(E::mantissa));
      key.mix(static_cast<std::uint64_t>(E::exponent + 64));
      return key;
    } else {
      return spelling_of<E>();
    }
  } else {
    type_key key;
    key.mix(static_cast<std::uint64_t>(E::operation_v));
    key.mix(static_cast<std::uint64_t>(E::detail_v + 64));
    if constexpr (is_reduction(E::operation_v)) key.mix(static_cast<std::uint64_t>(E::reduces_over));
    if constexpr (E::operation_v == operation::curve) {
      key.mix(spelling_of<typename E::table>().high);
      key.mix(spelling_of<typename E::table>().low);
    }
    mix_keys(key, typename E::arguments{});
    return key;
  }
}

constexpr bool fold_binary(operation op, double a, double b, double& result) {
  switch (op) {
    case operation::add:
      result = a + b;
      return true;
    case operation::subtract:
      result = a - b;
      return true;
    case operation::multiply:
      result = a * b;
      return true;
    case operation::divide:
      if (b == 0.0) return false;
      result = a / b;
      return true;
    case operation::minimum:
      result = b < a ? b : a;
      return true;
    case operation::maximum:
      result = a < b ? b : a;
      return true;
    default:
      return false;
  }
}

/// Grows a tape. The capacity is one of a few sizes, so that plans of one binding share the functions that lower their
/// parts; where it does not suffice `overflow` is set and the next size is tried.
template <int Capacity, class Reader> struct tape_builder {
  static constexpr std::size_t capacity = static_cast<std::size_t>(Capacity);
  static constexpr std::size_t table_size = std::size_t{4} * Capacity;
  static constexpr std::size_t leaf_capacity = std::size_t{Capacity} / 2;
  struct lowered_type {
    type_key key;
    int index = -1;  ///< of the instruction; -1: a free place
  };
  std::array<instruction, static_cast<std::size_t>(Capacity)> code{};
  std::array<tape_leaf<Reader>, leaf_capacity> leaves{};
  std::array<type_key, leaf_capacity> leaf_keys{};
  std::array<parameter_fact, leaf_capacity> parameters{};
  std::array<type_key, leaf_capacity> parameter_keys{};
  std::array<curve_fact, leaf_capacity> curves{};
  std::array<type_key, leaf_capacity> curve_keys{};
  std::array<int, table_size> table{};             // 1 + index of an instruction, 0 if free
  std::array<lowered_type, table_size> lowered{};  // types whose instruction is known
  int size = 0;
  int leaf_count = 0;
  int parameter_count = 0;
  int curve_count = 0;
  int lowered_count = 0;
  bool overflow = false;
  bool ambiguous = false;            ///< two observables have one name
  bool ambiguous_parameter = false;  ///< two parameters have one name
  bool ambiguous_curve = false;      ///< two curves have one name
  bool no_derivative = false;        ///< a gradient would pass a min, max or deviation over requests

  constexpr instruction& at(int i) { return code[static_cast<std::size_t>(i)]; }
  constexpr const instruction& at(int i) const { return code[static_cast<std::size_t>(i)]; }

  constexpr int emit(instruction wanted) {
    const auto bits = std::bit_cast<std::uint64_t>(wanted.value);
    std::uint64_t hash = static_cast<std::uint64_t>(wanted.op) + 31U * static_cast<std::uint64_t>(wanted.a + 1);
    hash = hash * 0x9E3779B97F4A7C15ULL + static_cast<std::uint64_t>(wanted.b + 1);
    hash = hash * 0x9E3779B97F4A7C15ULL + static_cast<std::uint64_t>(wanted.c + 1);
    hash = hash * 0x9E3779B97F4A7C15ULL + static_cast<std::uint64_t>(wanted.leaf + 1) + bits;
    hash = hash * 0x9E3779B97F4A7C15ULL + static_cast<std::uint64_t>(wanted.detail + 64) +
           97U * static_cast<std::uint64_t>(wanted.domain);
    for (std::size_t place = (hash >> 17) & (table_size - 1);; place = (place + 1) & (table_size - 1)) {
      const int found = table[place];
      if (found == 0) {
        if (size == Capacity) {
          overflow = true;
          return 0;
        }
        table[place] = size + 1;
        code[static_cast<std::size_t>(size)] = wanted;
        return size++;
      }
      const instruction& have = code[static_cast<std::size_t>(found - 1)];
      if (have.op == wanted.op && have.a == wanted.a && have.b == wanted.b && have.c == wanted.c &&
          have.leaf == wanted.leaf && have.detail == wanted.detail && have.domain == wanted.domain &&
          std::bit_cast<std::uint64_t>(have.value) == bits) {
        return found - 1;
      }
    }
  }

  template <class Leaf, class Binding> constexpr int leaf_index() {
    for (int i = 0; i < leaf_count; ++i) {
      if (leaf_keys[static_cast<std::size_t>(i)] == key_of<Leaf>) return i;
      if (leaves[static_cast<std::size_t>(i)].fact.name == Leaf::name) ambiguous = true;
    }
    if (static_cast<std::size_t>(leaf_count) == leaf_capacity) {
      overflow = true;
      return 0;
    }
    leaf_keys[static_cast<std::size_t>(leaf_count)] = key_of<Leaf>;
    leaves[static_cast<std::size_t>(leaf_count)] = {
        {Leaf::name, Leaf::identity_of, Leaf::dimension_v, Leaf::level_v, Leaf::provenance_v},
        Binding::template reader<Leaf>()};
    return leaf_count++;
  }

  template <class Leaf> constexpr int parameter_index() {
    for (int i = 0; i < parameter_count; ++i) {
      if (parameter_keys[static_cast<std::size_t>(i)] == key_of<Leaf>) return i;
      if (parameters[static_cast<std::size_t>(i)].name == Leaf::name) ambiguous_parameter = true;
    }
    if (static_cast<std::size_t>(parameter_count) == leaf_capacity) {
      overflow = true;
      return 0;
    }
    parameter_keys[static_cast<std::size_t>(parameter_count)] = key_of<Leaf>;
    parameters[static_cast<std::size_t>(parameter_count)] = Leaf::fact;
    return parameter_count++;
  }

  template <class Table> constexpr int curve_index() {
    for (int i = 0; i < curve_count; ++i) {
      if (curve_keys[static_cast<std::size_t>(i)] == spelling_of<Table>()) return i;
      if (curves[static_cast<std::size_t>(i)].name == Table::name) ambiguous_curve = true;
    }
    if (static_cast<std::size_t>(curve_count) == leaf_capacity) {
      overflow = true;
      return 0;
    }
    curve_keys[static_cast<std::size_t>(curve_count)] = spelling_of<Table>();
    curves[static_cast<std::size_t>(curve_count)] = {Table::name, &Table::value, &Table::slope};
    return curve_count++;
  }

  /// The place of a type among those lowered before, or the free place where it belongs.
  constexpr std::size_t place_of(type_key key) const {
    std::size_t place = (key.high >> 17) & (table_size - 1);
    while (lowered[place].index >= 0 && !(lowered[place].key == key)) place = (place + 1) & (table_size - 1);
    return place;
  }
  constexpr void remember(type_key key, int index) {
    if (static_cast<std::size_t>(lowered_count) >= table_size / 2) return;
    lowered[place_of(key)] = {key, index};
    ++lowered_count;
  }

  constexpr int number(double value) {
    instruction made;
    made.value = value;
    return emit(made);
  }
  constexpr bool is_number(int i, double value) const {
    const instruction& one = code[static_cast<std::size_t>(i)];
    return one.op == operation::constant && one.value == value;
  }
  /// A parameter that is not held.
  constexpr bool is_free_parameter(int i) const {
    const instruction& one = code[static_cast<std::size_t>(i)];
    return one.op == operation::parameter && !parameters[static_cast<std::size_t>(one.leaf)].fixed();
  }
  /// Which instructions depend on a parameter that is not held.
  constexpr std::array<bool, capacity> depends_on_parameters() const {
    std::array<bool, capacity> depends{};
    for (int i = 0; i < size && parameter_count > 0; ++i) {
      const instruction& one = code[static_cast<std::size_t>(i)];
      bool any = is_free_parameter(i);
      for (const int operand : {one.a, one.b, one.c}) {
        any = any || (operand >= 0 && depends[static_cast<std::size_t>(operand)]);
      }
      depends[static_cast<std::size_t>(i)] = any;
    }
    return depends;
  }
  constexpr int unary(operation op, int a) { return operate(op, 0, {a, -1, -1, -1}, 1); }
  constexpr int binary(operation op, int a, int b) { return operate(op, 0, {a, b, -1, -1}, 2); }
  constexpr int choice(int condition, int yes, int no) {
    return operate(operation::select, 0, {condition, yes, no, -1}, 3);
  }
  constexpr int reduce(operation op, request_domain domain, int of) {
    instruction made;
    made.op = op;
    made.domain = domain;
    made.a = of;
    made.varies = level::step;
    made.phase = at(of).phase + 1;
    return emit(made);
  }

  /// Emits an operation over operands that are emitted.
  constexpr int operate(operation op, int detail, const int (&operands)[4], int given) {
    instruction made;
    made.op = op;
    made.detail = detail;
    made.a = operands[0];
    made.b = operands[1];
    made.c = operands[2];
    if (op == operation::add || op == operation::multiply || op == operation::logical_and ||
        op == operation::logical_or) {
      if (made.b < made.a) std::swap(made.a, made.b);
    }
    for (int i = 0; i < given; ++i) {
      const instruction& operand = at(operands[i]);
      made.varies = operand.varies > made.varies ? operand.varies : made.varies;
      made.phase = operand.phase > made.phase ? operand.phase : made.phase;
    }
    if (given == 2 && made.varies == level::constant) {
      instruction folded;
      if (fold_binary(op, at(made.a).value, at(made.b).value, folded.value)) return emit(folded);
    }
    // x · 1, 1 · x and x / 1 are x, bit for bit: units such as `per_token` cost nothing.
    const auto is_one = [&](int i) {
      return at(i).op == operation::constant && at(i).varies == level::constant && at(i).value == 1.0;
    };
    if (op == operation::multiply && is_one(made.a)) return made.b;
    if ((op == operation::multiply || op == operation::divide) && is_one(made.b)) return made.a;
    if (made.varies == level::constant) made.varies = level::deployment;  // not folded: computed when bound
    return emit(made);
  }
};

template <class E, class Binding, class Builder> constexpr int lower(Builder& out);

/// Operands first, in order; a type lowered before is looked up.
template <class Binding, class Builder, class... Es>
constexpr int lower_operation(Builder& out, operation op, int detail, expression_list<Es...>) {
  const int operands[4] = {lower<Es, Binding>(out)..., -1};
  int all[4] = {-1, -1, -1, -1};
  for (std::size_t i = 0; i < sizeof...(Es); ++i) all[i] = operands[i];
  return out.operate(op, detail, all, static_cast<int>(sizeof...(Es)));
}
template <class Binding, class Builder, class E> constexpr int lower_only(Builder& out, expression_list<E>) {
  return lower<E, Binding>(out);
}

template <class E, class Binding, class Builder> constexpr int lower_new(Builder& out) {
  instruction made;
  if constexpr (leaf<E>) {
    if constexpr (E::operation_v == operation::constant) {
      made.value = E::value;
      return out.emit(made);
    } else if constexpr (E::operation_v == operation::parameter) {
      made.op = operation::parameter;
      made.varies = E::level_v;
      made.leaf = out.template parameter_index<E>();
      return out.emit(made);
    } else if constexpr (!Binding::template reads<E> && has_definition<E>) {
      return lower<typename E::definition, Binding>(out);
    } else {
      made.op = operation::leaf;
      made.varies = E::level_v;
      made.leaf = out.template leaf_index<E, Binding>();
      return out.emit(made);
    }
  } else if constexpr (E::operation_v == operation::curve) {
    return lower_operation<Binding>(out, operation::curve, out.template curve_index<typename E::table>(),
                                    typename E::arguments{});
  } else if constexpr (E::operation_v == operation::relabel) {
    return lower_only<Binding>(out, typename E::arguments{});
  } else if constexpr (is_reduction(E::operation_v)) {
    return out.reduce(E::operation_v, E::reduces_over, lower_only<Binding>(out, typename E::arguments{}));
  } else {
    return lower_operation<Binding>(out, E::operation_v, E::detail_v, typename E::arguments{});
  }
}

template <class E, class Binding, class Builder> constexpr int lower(Builder& out) {
  const int known = out.lowered[out.place_of(key_of<E>)].index;
  if (known >= 0) return known;
  const int index = lower_new<E, Binding>(out);
  out.remember(key_of<E>, index);
  return index;
}

/// Reverse-mode differentiation on the tape: the gradient's instructions are appended to those of the value, and
/// share whatever they have in common with it. What is 0 or 1 is folded. Every derivative is one that holds almost
/// everywhere: at the kink of a min or max that of the side which gives the value; 0 of ceil, of conditions and by held
/// parameters. A side of a select, min, max or ratio that is not taken has no part in a derivative, even where it is
/// infinite or not a number: the choice is made after the multiplications, not by multiplying with 0.
template <class Builder> struct reverse_sweep {
  Builder& out;
  std::array<int, Builder::capacity> adjoint{};  // 1 + instruction, 0: none
  std::array<bool, Builder::capacity> depends{};

  constexpr explicit reverse_sweep(Builder& builder) : out(builder), depends(builder.depends_on_parameters()) {}
  constexpr reverse_sweep(Builder& builder, const std::array<bool, Builder::capacity>& which)
      : out(builder), depends(which) {}

  constexpr int adjoint_of(int i) const { return adjoint[static_cast<std::size_t>(i)] - 1; }
  constexpr void contribute(int to, int contribution) {
    if (to < 0 || !depends[static_cast<std::size_t>(to)] || out.is_number(contribution, 0.0) || out.overflow) return;
    int& sum = adjoint[static_cast<std::size_t>(to)];
    sum = 1 + (sum == 0 ? contribution : plus(sum - 1, contribution, to));
  }

  /// An adjoint that counts only where its condition holds (or does not), and is 0 elsewhere.
  struct gate {
    int condition = -1;  ///< -1: counts everywhere
    bool holds = true;
    int inner = -1;
  };
  constexpr gate gate_of(int i) const {
    const instruction& one = out.at(i);
    if (one.op != operation::select) return {};
    if (out.is_number(one.c, 0.0)) return {one.a, true, one.b};
    if (out.is_number(one.b, 0.0)) return {one.a, false, one.c};
    return {};
  }
  constexpr int gated(const gate& by, int inner) {
    const int zero = out.number(0.0);
    return by.holds ? out.choice(by.condition, inner, zero) : out.choice(by.condition, zero, inner);
  }
  constexpr int open(const gate& by) {
    return by.holds ? by.condition : out.unary(operation::logical_not, by.condition);
  }

  /// The sum of two contributions to the adjoint of `to`. Of two that are gated, a gated one, if it is to be multiplied
  /// further with what may be infinite on some rows.
  constexpr int plus(int a, int b, int to) {
    const gate first = gate_of(a), second = gate_of(b);
    if (first.condition >= 0 && second.condition >= 0 && out.at(to).op != operation::parameter) {
      if (first.condition == second.condition) {
        if (first.holds == second.holds) return gated(first, plus(first.inner, second.inner, to));
        return out.choice(first.condition, first.holds ? first.inner : second.inner,
                          first.holds ? second.inner : first.inner);
      }
      const bool uniform =
          out.at(first.condition).varies <= level::deployment && out.at(second.condition).varies <= level::deployment;
      if (uniform || out.at(to).varies > level::deployment) {
        const int either = out.binary(operation::logical_or, open(first), open(second));
        return out.choice(either, out.binary(operation::add, a, b), out.number(0.0));
      }
    }
    return out.binary(operation::add, a, b);
  }
  /// An adjoint times a local derivative.
  constexpr int times(int by, int slope) {
    if (out.is_number(by, 0.0) || out.is_number(slope, 0.0)) return out.number(0.0);
    if (const gate g = gate_of(by); g.condition >= 0) return gated(g, times(g.inner, slope));
    return out.binary(operation::multiply, by, slope);
  }
  /// Where the divisor is the same for all rows its reciprocal is computed once.
  constexpr int over(int by, int divisor) {
    if (out.is_number(by, 0.0)) return by;
    if (const gate g = gate_of(by); g.condition >= 0) return gated(g, over(g.inner, divisor));
    if (out.at(divisor).varies <= level::deployment && out.at(by).varies > level::deployment) {
      return times(by, out.binary(operation::divide, out.number(1.0), divisor));
    }
    return out.binary(operation::divide, by, divisor);
  }
  constexpr int negative(int a) {
    if (const gate g = gate_of(a); g.condition >= 0) return gated(g, negative(g.inner));
    return out.unary(operation::negate, a);
  }
  constexpr bool wanted(int i) const { return i >= 0 && depends[static_cast<std::size_t>(i)]; }

  /// Passes the adjoint of instruction i on to its operands.
  constexpr void pass(int i) {
    using enum operation;
    const instruction one = out.at(i);
    const int a = one.a, b = one.b, c = one.c;
    const int by = adjoint_of(i);
    const int zero = out.number(0.0);
    switch (one.op) {
      case negate:
        contribute(a, negative(by));
        break;
      case square_root:
        contribute(a, times(by, out.binary(divide, out.number(0.5), i)));
        break;
      case logarithm:
        if (out.at(a).op == divide) {  // log(x/y): 1/x and -1/y, whatever the quotient is used for otherwise
          const int x = out.at(a).a, y = out.at(a).b;
          if (wanted(x)) contribute(x, over(by, x));
          if (wanted(y)) contribute(y, negative(over(by, y)));
        } else {
          contribute(a, over(by, a));
        }
        break;
      case logarithm_1p:
        contribute(a, over(by, out.binary(operation::add, out.number(1.0), a)));
        break;
      case exponential:
        contribute(a, times(by, i));
        break;
      case curve:
        contribute(a, times(by, out.operate(curve_slope, one.detail, {a, -1, -1, -1}, 1)));
        break;
      case integer_power: {
        const int lower = one.detail == 2 ? a : out.operate(integer_power, one.detail - 1, {a, -1, -1, -1}, 1);
        contribute(a, times(by, times(out.number(one.detail), lower)));
        break;
      }
      case operation::add:
        contribute(a, by);
        contribute(b, by);
        break;
      case subtract:
        contribute(a, by);
        if (wanted(b)) contribute(b, negative(by));
        break;
      case multiply:
        if (wanted(a)) contribute(a, times(by, b));
        if (wanted(b)) contribute(b, times(by, a));
        break;
      case divide:
        if (wanted(a)) contribute(a, over(by, b));
        if (wanted(b)) contribute(b, times(by, negative(over(i, b))));
        break;
      case ratio: {
        const int none = out.binary(equal, b, zero);
        if (wanted(a)) contribute(a, out.choice(none, zero, over(by, b)));
        if (wanted(b)) contribute(b, out.choice(none, zero, times(by, negative(over(i, b)))));
        if (wanted(c)) contribute(c, out.choice(none, by, zero));
        break;
      }
      case minimum:
      case maximum: {
        const int second = one.op == minimum ? out.binary(less, b, a) : out.binary(less, a, b);
        if (wanted(a)) contribute(a, out.choice(second, zero, by));
        if (wanted(b)) contribute(b, out.choice(second, by, zero));
        break;
      }
      case select:
        if (wanted(b)) contribute(b, out.choice(a, by, zero));
        if (wanted(c)) contribute(c, out.choice(a, zero, by));
        break;
      case reduce_sum:
      case reduce_mean:
        through_reduction(i, by);
        break;
      case reduce_minimum:
      case reduce_maximum:
      case reduce_deviation:
        out.no_derivative = true;
        break;
      default:  // ceil, conditions, counts, the slope of a curve: no slope
        break;
    }
  }

  /// The derivative of a sum over requests is the sum of the derivatives by each thing inside that the requests share.
  constexpr void through_reduction(int i, int by) {
    const instruction one = out.at(i);
    if (!wanted(one.a)) return;
    reverse_sweep inside(out, depends);
    inside.adjoint[static_cast<std::size_t>(one.a)] = 1 + out.number(1.0);
    for (int k = one.a; k >= 0 && !out.overflow; --k) {
      if (inside.adjoint_of(k) < 0) continue;
      if (out.at(k).varies == level::request) {
        inside.pass(k);
      } else {
        contribute(k, times(by, out.reduce(one.op, one.domain, inside.adjoint_of(k))));
      }
    }
  }

  /// What is the same for all steps of a deployment is differentiated once, when bound; only then does the adjoint, which
  /// varies by step, come in: one product for each parameter.
  constexpr void through_uniform(int i, int by) {
    reverse_sweep inside(out, depends);
    inside.adjoint[static_cast<std::size_t>(i)] = 1 + out.number(1.0);
    for (int k = i; k >= 0 && !out.overflow; --k) {
      if (inside.adjoint_of(k) < 0) continue;
      if (out.at(k).op == operation::parameter) {
        contribute(k, times(by, inside.adjoint_of(k)));
      } else {
        inside.pass(k);
      }
    }
  }

  /// The derivatives of instruction `of` by each parameter; instructions of zeros where there is none.
  template <std::size_t N> constexpr void run(int of, std::array<int, N>& by_parameter) {
    for (int& each : adjoint) each = 0;
    if (depends[static_cast<std::size_t>(of)]) adjoint[static_cast<std::size_t>(of)] = 1 + out.number(1.0);
    const int zero = out.number(0.0);
    for (int& each : by_parameter) each = zero;
    for (int i = of; i >= 0 && !out.overflow; --i) {
      if (adjoint_of(i) < 0) continue;
      if (out.is_free_parameter(i)) {
        by_parameter[static_cast<std::size_t>(out.at(i).leaf)] = adjoint_of(i);
      } else if (out.at(i).varies <= level::deployment && out.at(adjoint_of(i)).varies > level::deployment) {
        through_uniform(i, adjoint_of(i));
      } else {
        pass(i);
      }
    }
  }
};

template <class Binding, int Capacity, int Differentiated, class... Es> struct lowered_tape {
  static constexpr std::size_t places = static_cast<std::size_t>(Capacity);
  using builder = tape_builder<Capacity, typename Binding::reader_type>;
  builder built;
  std::array<int, sizeof...(Es)> outputs{};
  /// By parameter, of the first expressions.
  std::array<std::array<int, builder::leaf_capacity>,
             static_cast<std::size_t>(Differentiated > 0 ? Differentiated : 1)>
      derivatives{};
  std::array<int, places> place{};  // where an instruction goes, -1: nowhere
  int size = 0;
  bool parametric_reductions = false;

  constexpr lowered_tape() {
    outputs = {lower<Es, Binding>(built)...};
    for (int k = 0; k < Differentiated; ++k) {
      reverse_sweep<builder> sweep(built);
      sweep.run(outputs[static_cast<std::size_t>(k)], derivatives[static_cast<std::size_t>(k)]);
    }
    std::array<bool, places> needed{};
    for (const int output : outputs) needed[static_cast<std::size_t>(output)] = true;
    for (int k = 0; k < Differentiated; ++k) {
      for (int j = 0; j < built.parameter_count; ++j) needed[static_cast<std::size_t>(derivative(k, j))] = true;
    }
    for (int i = built.size - 1; i >= 0; --i) {
      if (!needed[static_cast<std::size_t>(i)]) continue;
      const instruction& one = built.at(i);
      for (const int operand : {one.a, one.b, one.c}) {
        if (operand >= 0) needed[static_cast<std::size_t>(operand)] = true;
      }
    }
    const auto depends = built.depends_on_parameters();
    for (int i = 0; i < built.size; ++i) {
      const auto at = static_cast<std::size_t>(i);
      place[at] = needed[at] ? size++ : -1;
      if (depends[at] && needed[at] && is_reduction(built.at(i).op)) parametric_reductions = true;
    }
  }
  constexpr int derivative(int expression, int parameter) const {
    return derivatives[static_cast<std::size_t>(expression)][static_cast<std::size_t>(parameter)];
  }
};

/// Lowers, removes what no output needs (operands of folded constants), numbers the slots, and sizes the arrays exactly.
/// The outputs: the expressions, then the derivatives of the first `Differentiated` of them by each parameter.
template <class Binding, int Capacity, int Differentiated, class... Es> constexpr auto lower_all() {
  constexpr lowered_tape<Binding, Capacity, Differentiated, Es...> lowered;
  using reader_type = typename Binding::reader_type;
  static_assert(!lowered.built.ambiguous, "rafter: two different observables of these expressions have one name");
  static_assert(!lowered.built.ambiguous_parameter,
                "rafter: two different parameters of these expressions have one name");
  static_assert(!lowered.built.ambiguous_curve, "rafter: two different curves of these expressions have one name");
  static_assert(!lowered.built.no_derivative,
                "rafter: a parameter inside a min, max or standard_deviation over requests has no derivative here; "
                "put it outside, or use sum or mean");
  if constexpr (lowered.built.overflow) {
    static_assert(Capacity < 65536, "rafter: more expressions than one plan can hold");
    return lower_all<Binding, 4 * Capacity, Differentiated, Es...>();
  } else {
    constexpr std::size_t parameters = static_cast<std::size_t>(lowered.built.parameter_count);
    tape<static_cast<std::size_t>(lowered.size), static_cast<std::size_t>(lowered.built.leaf_count), parameters,
         static_cast<std::size_t>(lowered.built.curve_count),
         sizeof...(Es) + static_cast<std::size_t>(Differentiated) * parameters, reader_type>
        result_tape;
    const auto moved = [&](int i) { return i < 0 ? -1 : lowered.place[static_cast<std::size_t>(i)]; };
    for (int i = 0; i < lowered.built.size; ++i) {
      const int to = moved(i);
      if (to < 0) continue;
      instruction one = lowered.built.code[static_cast<std::size_t>(i)];
      one.a = moved(one.a);
      one.b = moved(one.b);
      one.c = moved(one.c);
      if (one.varies == level::deployment) one.slot = result_tape.slots++;
      if (is_reduction(one.op) && one.phase > result_tape.phases) result_tape.phases = one.phase;
      result_tape.code[static_cast<std::size_t>(to)] = one;
    }
    for (std::size_t i = 0; i < result_tape.leaves.size(); ++i) result_tape.leaves[i] = lowered.built.leaves[i];
    for (std::size_t i = 0; i < parameters; ++i) result_tape.parameters[i] = lowered.built.parameters[i];
    for (std::size_t i = 0; i < result_tape.curves.size(); ++i) result_tape.curves[i] = lowered.built.curves[i];
    for (std::size_t i = 0; i < sizeof...(Es); ++i) result_tape.outputs[i] = moved(lowered.outputs[i]);
    std::size_t next = sizeof...(Es);
    for (int k = 0; k < Differentiated; ++k) {
      for (int j = 0; j < lowered.built.parameter_count; ++j) {
        result_tape.outputs[next++] = moved(lowered.derivative(k, j));
      }
    }
    result_tape.parametric_reductions = lowered.parametric_reductions;
    return result_tape;
  }
}

}  // namespace detail

/// Expressions lowered together for one binding. Types only; the tape is a constant of the program.
template <class Binding, expression... Es> struct plan {
  using binding = Binding;
  static constexpr auto tape = detail::lower_all<Binding, 256, 0, Es...>();
  static constexpr std::size_t size = tape.code.size();
  static constexpr std::size_t outputs = tape.outputs.size();
};

/// The same, followed by the derivatives of the first `Differentiated` expressions by each of the plan's parameters:
/// outputs[sizeof...(Es) + k·P + j] is the derivative of expression k by parameter j of `tape.parameters`.
template <class Binding, int Differentiated, expression... Es> struct gradient_plan {
  static_assert(Differentiated >= 0 && Differentiated <= static_cast<int>(sizeof...(Es)));
  using binding = Binding;
  static constexpr auto tape = detail::lower_all<Binding, 256, Differentiated, Es...>();
  static constexpr std::size_t size = tape.code.size();
  static constexpr std::size_t outputs = tape.outputs.size();
  static constexpr std::size_t parameters = tape.parameters.size();
};

/// The parameters that an expression mentions, in the order of first mention.
template <expression E>
inline constexpr auto parameters_of = plan<as_written, std::remove_cvref_t<E>>::tape.parameters;
/// How many of them a fit determines: those that are not held.
template <auto Expression>
inline constexpr std::size_t parameter_count = [] {
  std::size_t count = 0;
  for (const parameter_fact& one : parameters_of<std::remove_cvref_t<decltype(Expression)>>) count += !one.fixed();
  return count;
}();

}  // namespace rafter
