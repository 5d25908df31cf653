// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>

#include "rafter/expression/node.hpp"

namespace rafter {

// ---------------------------------------------------------------------------------------------------------------
// A plan lowers expression types, once, to a constexpr array of instructions with hash-consing: equal instructions
// are one instruction, so common sub-expressions of a whole feature set are shared, whoever wrote them. Everything
// else (what is uniform over a deployment, evaluation, formulas, later gradients and frozen code) is ordinary
// constexpr code on that array. Only what IEEE-754 allows is reordered: the operands of + * && || by index.
// ---------------------------------------------------------------------------------------------------------------

struct instruction {
  operation op = operation::constant;
  level varies = level::constant;          ///< the slowest-changing loop that it can be hoisted to
  request_domain domain = request_domain::all;  ///< of a reduction
  int phase = 0;                           ///< how many passes over the requests come before it
  int a = -1, b = -1, c = -1;              ///< operands: earlier instructions
  int detail = 0;                          ///< exponent of an integer power
  int leaf = -1;                           ///< index into the tape's leaves
  int slot = -1;                           ///< where the bound value of a deployment-level instruction is kept
  double value = 0.0;                      ///< of a constant
};

/// What is known of an observable that a plan reads.
struct observable_fact {
  std::string_view name;
  std::string_view identity_of;
  dimension unit{};
  level varies = level::step;
  provenance known = provenance::known_before_step;
};

template <class Reader>
struct tape_leaf {
  observable_fact fact;
  Reader reader{};
};

/// The instructions of a plan in an order in which operands come first.
template <std::size_t Size, std::size_t Leaves, std::size_t Outputs, class Reader>
struct tape {
  std::array<instruction, Size> code{};
  std::array<tape_leaf<Reader>, Leaves> leaves{};
  std::array<int, Outputs> outputs{};
  int phases = 0;  ///< passes over the requests of a step
  int slots = 0;   ///< deployment-level values kept when a deployment is bound
};

/// A binding says which observables a record type carries (`reads<Leaf>`) and how to read them (`reader<Leaf>()`).
/// This one carries everything, reads nothing, and gives the plan as written.
struct as_written {
  struct reader_type {};
  template <class Leaf>
  static constexpr bool reads = true;
  template <class Leaf>
  static constexpr reader_type reader() {
    return {};
  }
};

namespace detail {

template <class E, class Binding>
constexpr int expanded_size() {
  if constexpr (leaf<E>) {
    if constexpr (E::operation_v == operation::leaf) {
      if constexpr (!Binding::template reads<E> && has_definition<E>) {
        return expanded_size<typename E::definition, Binding>();
      }
    }
    return 1;
  } else {
    int size = 1;
    E::each_argument([&]<class A>() { size += expanded_size<A, Binding>(); });
    return size;
  }
}

/// A number that tells the types of observables apart: a hash (FNV-1a) of the type's full name. Addresses of inline
/// variables would do, but g++ 12 compares none in a constant expression under -fsanitize=undefined.
template <class Leaf>
constexpr std::uint64_t hash_of_type() {
  std::uint64_t hash = 0xCBF29CE484222325ULL;
  for (const char c : std::string_view(__PRETTY_FUNCTION__)) {
    hash = (hash ^ static_cast<std::uint64_t>(static_cast<unsigned char>(c))) * 0x100000001B3ULL;
  }
  return hash;
}
template <class Leaf>
inline constexpr std::uint64_t leaf_identity = hash_of_type<Leaf>();

template <int Capacity, class Reader>
struct tape_builder {
  static constexpr std::size_t table_size = std::bit_ceil(static_cast<std::size_t>(2 * Capacity + 2));
  std::array<instruction, static_cast<std::size_t>(Capacity)> code{};
  std::array<tape_leaf<Reader>, static_cast<std::size_t>(Capacity)> leaves{};
  std::array<std::uint64_t, static_cast<std::size_t>(Capacity)> identities{};
  std::array<int, table_size> table{};  // 1 + index of an instruction, 0 if free
  int size = 0;
  int leaf_count = 0;

  constexpr instruction& at(int i) { return code[static_cast<std::size_t>(i)]; }

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

  template <class Leaf, class Binding>
  constexpr int leaf_index() {
    for (int i = 0; i < leaf_count; ++i) {
      if (identities[static_cast<std::size_t>(i)] == leaf_identity<Leaf>) return i;
    }
    identities[static_cast<std::size_t>(leaf_count)] = leaf_identity<Leaf>;
    leaves[static_cast<std::size_t>(leaf_count)] = {
        {Leaf::name, Leaf::identity_of, Leaf::dimension_v, Leaf::level_v, Leaf::provenance_v},
        Binding::template reader<Leaf>()};
    return leaf_count++;
  }
};

constexpr bool fold_binary(operation op, double a, double b, double& result) {
  switch (op) {
    case operation::add: result = a + b; return true;
    case operation::subtract: result = a - b; return true;
    case operation::multiply: result = a * b; return true;
    case operation::divide:
      if (b == 0.0) return false;
      result = a / b;
      return true;
    case operation::minimum: result = b < a ? b : a; return true;
    case operation::maximum: result = a < b ? b : a; return true;
    default: return false;
  }
}

template <class E, class Binding, class Builder>
constexpr int lower(Builder& out) {
  if constexpr (leaf<E>) {
    instruction made;
    if constexpr (E::operation_v == operation::constant) {
      made.value = E::value;
      return out.emit(made);
    } else if constexpr (!Binding::template reads<E> && has_definition<E>) {
      return lower<typename E::definition, Binding>(out);
    } else {
      made.op = operation::leaf;
      made.varies = E::level_v;
      made.leaf = out.template leaf_index<E, Binding>();
      return out.emit(made);
    }
  } else if constexpr (E::operation_v == operation::relabel) {
    int value = -1;
    E::each_argument([&]<class A>() { value = lower<A, Binding>(out); });
    return value;
  } else {
    int operands[3] = {-1, -1, -1};
    int given = 0;
    E::each_argument([&]<class A>() { operands[given++] = lower<A, Binding>(out); });
    instruction made;
    made.op = E::operation_v;
    made.detail = E::detail_v;
    if constexpr (is_reduction(E::operation_v)) {
      made.domain = E::reduces_over;
      made.a = operands[0];
      made.varies = level::step;
      made.phase = out.at(made.a).phase + 1;
      return out.emit(made);
    } else {
      if (made.op == operation::add || made.op == operation::multiply || made.op == operation::logical_and ||
          made.op == operation::logical_or) {
        if (operands[1] < operands[0]) std::swap(operands[0], operands[1]);
      }
      made.a = operands[0];
      made.b = operands[1];
      made.c = operands[2];
      for (int i = 0; i < given; ++i) {
        const instruction& operand = out.at(operands[i]);
        made.varies = operand.varies > made.varies ? operand.varies : made.varies;
        made.phase = operand.phase > made.phase ? operand.phase : made.phase;
      }
      if (given == 2 && made.varies == level::constant) {
        instruction folded;
        if (fold_binary(made.op, out.at(made.a).value, out.at(made.b).value, folded.value)) return out.emit(folded);
      }
      if (made.varies == level::constant) made.varies = level::deployment;  // not folded: computed when bound
      return out.emit(made);
    }
  }
}

/// Removes what no output needs (operands of folded constants), numbers the slots, and sizes the arrays exactly.
template <class Binding, class... Es>
constexpr auto lower_all() {
  constexpr int capacity = (expanded_size<Es, Binding>() + ... + 1);
  using reader_type = typename Binding::reader_type;
  struct result {
    tape_builder<capacity, reader_type> built;
    std::array<int, sizeof...(Es)> outputs{};
    std::array<int, static_cast<std::size_t>(capacity)> place{};
    int size = 0;
    int leaf_count = 0;
    std::array<int, static_cast<std::size_t>(capacity)> leaf_place{};
  };
  constexpr result lowered = [] {
    result r;
    std::size_t next = 0;
    ((r.outputs[next++] = lower<Es, Binding>(r.built)), ...);
    std::array<bool, static_cast<std::size_t>(capacity)> needed{};
    for (const int output : r.outputs) needed[static_cast<std::size_t>(output)] = true;
    for (int i = r.built.size - 1; i >= 0; --i) {
      if (!needed[static_cast<std::size_t>(i)]) continue;
      const instruction& one = r.built.at(i);
      for (const int operand : {one.a, one.b, one.c}) {
        if (operand >= 0) needed[static_cast<std::size_t>(operand)] = true;
      }
    }
    for (int i = 0; i < r.built.size; ++i) {
      r.place[static_cast<std::size_t>(i)] = needed[static_cast<std::size_t>(i)] ? r.size++ : -1;
    }
    r.leaf_count = r.built.leaf_count;
    return r;
  }();
  tape<static_cast<std::size_t>(lowered.size), static_cast<std::size_t>(lowered.leaf_count), sizeof...(Es),
       reader_type>
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
  for (std::size_t i = 0; i < sizeof...(Es); ++i) result_tape.outputs[i] = moved(lowered.outputs[i]);
  return result_tape;
}

}  // namespace detail

/// Expressions lowered together for one binding. Types only; the tape is a constant of the program.
template <class Binding, expression... Es>
struct plan {
  using binding = Binding;
  static constexpr auto tape = detail::lower_all<Binding, Es...>();
  static constexpr std::size_t size = tape.code.size();
  static constexpr std::size_t outputs = sizeof...(Es);
};

}  // namespace rafter
