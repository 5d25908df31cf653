// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "rafter/step/groups.hpp"
#include "rafter/validation/fold.hpp"
#include "rafter/validation/split_policy.hpp"

namespace rafter {

/// Each group of the axis is tested by what was learnt from all the others; one fold per group, in the order of first
/// appearance, named by its label. Labels that the dataset knows to be aliases count as one group.
/// Throws `dataset_error` when the data lacks the axis, `validation_error` when it has fewer than two groups.
template <group Axis> struct leave_one_group_out {
 private:
  struct words {
    std::string_view name, title, plural;
  };
  static constexpr words in_words = std::array<words, group_axes>{{
      {"loeo", "leave one experiment out", "experiments"},
      {"lomo", "leave one model out", "models"},
      {"lowo", "leave one workload out", "workloads"},
      {"loho", "leave one hardware out", "kinds of hardware"},
      {"leave_one_tp_out", "leave one tensor-parallel degree out", "tensor-parallel degrees"},
      {"leave_one_rig_out", "leave one rig out", "rigs"},
      {"leave_one_attention_shape_out", "leave one attention shape out", "attention shapes"},
      {"leave_one_routing_out", "dense models from mixtures of experts, and the reverse", "kinds of routing"},
      {"leave_one_gemm_out", "leave one measured matrix product out", "measured matrix products"},
      {"leave_one_prefill_attention_out", "leave one measured prompt attention out", "measured prompt attentions"},
      {"leave_one_decode_attention_out", "leave one measured decode attention out", "measured decode attentions"},
  }}[static_cast<std::size_t>(Axis)];

 public:
  static constexpr std::string_view name = in_words.name;
  static constexpr std::string_view title = in_words.title;
  static constexpr std::array held_out{Axis};
  static constexpr std::optional<group> fits_one_per{};
  static constexpr bool is_random = false;
  static constexpr bool tests_every_row = true;

  template <splittable Data> std::vector<fold> folds(const Data& data) const {
    const group_column& labels = data.groups(Axis);
    if (labels.count() < 2) {
      throw validation_error(std::string(name) + " needs at least two " + std::string(in_words.plural) +
                             "; this dataset has " +
                             (labels.count() == 0 ? "none" : "one: '" + labels.names().front() + "'"));
    }
    std::vector<fold> result;
    result.reserve(labels.count());
    for (std::uint32_t code = 0; code < labels.count(); ++code) {
      row_set test = labels.rows_of(code);
      row_set train = test.complement(labels.size());
      result.push_back({labels.names()[code], std::move(train), {}, std::move(test)});
    }
    return result;
  }
};

/// Leave one model out: does what was learnt carry over to a model never seen?
struct lomo : leave_one_group_out<group::model> {};
/// Leave one workload out.
struct lowo : leave_one_group_out<group::workload> {};
/// Leave one experiment (run) out. Other runs of the same model remain in training.
struct loeo : leave_one_group_out<group::experiment> {};
/// Leave one kind of hardware out.
struct loho : leave_one_group_out<group::hardware> {};
/// Leave out all rows of one attention shape: (query heads, KV heads, head dimension) of one rank. Models that share a
/// shape, and so perhaps the attention measurements, leave together; the same model on another number of ranks has
/// another shape and stays, so this does not hold models out.
struct leave_one_attention_shape_out : leave_one_group_out<group::attention_shape> {};
/// Dense models tested by what mixtures of experts taught, and the reverse. A model is one or the other: it leaves whole.
struct leave_one_routing_out : leave_one_group_out<group::routing> {};

static_assert(split_policy<lomo> && split_policy<lowo> && split_policy<loeo> && split_policy<loho> &&
              split_policy<leave_one_attention_shape_out>);
static_assert(holds_out<leave_one_routing_out, group::model> && !holds_out<lomo, group::routing>);
static_assert(holds_out<lomo, group::model> && holds_out<lomo, group::experiment> && !holds_out<loeo, group::model>);

}  // namespace rafter
