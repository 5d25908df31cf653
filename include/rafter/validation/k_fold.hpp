// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rafter/step/groups.hpp"
#include "rafter/validation/fold.hpp"
#include "rafter/validation/random_order.hpp"
#include "rafter/validation/split_policy.hpp"

namespace rafter {

namespace detail {

/// Where the i-th of `parts` consecutive parts of `size` things begins; the first size % parts have one thing more.
constexpr std::size_t begin_of_part(std::size_t i, std::size_t parts, std::size_t size) {
  return i * (size / parts) + std::min(i, size % parts);
}

inline std::vector<fold> folds_testing(std::vector<row_set> tests, std::size_t size) {
  std::vector<fold> folds;
  folds.reserve(tests.size());
  for (row_set& test : tests) {
    row_set train = test.complement(size);
    folds.push_back({"fold " + std::to_string(folds.size() + 1) + " of " + std::to_string(tests.size()),
                     std::move(train),
                     {},
                     std::move(test)});
  }
  return folds;
}

}  // namespace detail

/// k parts of equal size, give or take a row; each is tested by what was learnt from the others. Shuffled by a seed,
/// or, with `shuffle = false`, k consecutive runs of rows. Steps next to each other in time are alike: when they are
/// shuffled apart, the error is that of interpolation, and says nothing of a model, a workload or an hour not seen.
struct k_fold {
  static constexpr std::string_view name = "k_fold";
  static constexpr std::string_view title = "rows held out at random";
  static constexpr std::array<group, 0> held_out = no_group;
  static constexpr std::optional<group> fits_one_per{};
  static constexpr bool is_random = true;
  static constexpr bool tests_every_row = true;

  std::size_t k = 5;  ///< 2 … number of rows
  std::uint64_t seed = 0;
  bool shuffle = true;

  template <splittable Data> std::vector<fold> folds(const Data& data) const {
    const std::size_t size = data.size();
    if (k < 2 || k > size) {
      throw validation_error("k_fold needs k from 2 to the number of rows, " + std::to_string(size) + "; k is " +
                             std::to_string(k));
    }
    std::vector<std::size_t> order(size);
    if (shuffle) {
      order = random_order(size, seed);
    } else {
      std::iota(order.begin(), order.end(), std::size_t{0});
    }
    std::vector<row_set> tests(k);
    for (std::size_t i = 0; i < k; ++i) {
      const auto at = [&](std::size_t part) {
        return order.begin() + static_cast<std::ptrdiff_t>(detail::begin_of_part(part, k, size));
      };
      tests[i] = row_set::of({at(i), at(i + 1)});
    }
    return detail::folds_testing(std::move(tests), size);
  }
};
static_assert(split_policy<k_fold>);

/// k parts made of whole groups of the axis, for when there are too many groups to leave each one out. Unshuffled,
/// the largest group goes first, each to the part with the fewest rows so far, which balances the parts; shuffled,
/// the groups are ordered by the seed and cut into k runs of equally many groups.
template <group Axis> struct grouped_k_fold {
 private:
  static constexpr std::array<std::string_view, group_axes> names{"k_fold_of_experiments",
                                                                  "k_fold_of_models",
                                                                  "k_fold_of_workloads",
                                                                  "k_fold_of_hardware",
                                                                  "k_fold_of_tp",
                                                                  "k_fold_of_rigs",
                                                                  "k_fold_of_attention_shapes",
                                                                  "k_fold_of_routings",
                                                                  "k_fold_of_gemm_measurements",
                                                                  "k_fold_of_prefill_attention_measurements",
                                                                  "k_fold_of_decode_attention_measurements"};

 public:
  static constexpr std::string_view name = names[static_cast<std::size_t>(Axis)];
  static constexpr std::array held_out{Axis};
  static constexpr std::optional<group> fits_one_per{};
  static constexpr bool is_random = true;
  static constexpr bool tests_every_row = true;

  std::size_t k = 5;  ///< 2 … number of groups
  std::uint64_t seed = 0;
  bool shuffle = false;

  template <splittable Data> std::vector<fold> folds(const Data& data) const {
    const group_column& labels = data.groups(Axis);
    const std::size_t groups = labels.count();
    if (k < 2 || k > groups) {
      throw validation_error(std::string(name) + " needs k from 2 to the number of groups, " +
                             std::to_string(groups) + "; k is " + std::to_string(k));
    }
    std::vector<std::size_t> part_of(groups);
    if (shuffle) {
      const std::vector<std::size_t> order = random_order(groups, seed);
      for (std::size_t i = 0; i < k; ++i) {
        for (std::size_t at = detail::begin_of_part(i, k, groups); at < detail::begin_of_part(i + 1, k, groups);
             ++at) {
          part_of[order[at]] = i;
        }
      }
    } else {
      std::vector<std::size_t> rows(groups, 0);
      for (const std::uint32_t code : labels.codes()) ++rows[code];
      std::vector<std::size_t> largest_first(groups);
      std::iota(largest_first.begin(), largest_first.end(), std::size_t{0});
      std::stable_sort(largest_first.begin(), largest_first.end(),
                       [&](std::size_t left, std::size_t right) { return rows[left] > rows[right]; });
      std::vector<std::size_t> filled(k, 0);
      for (const std::size_t code : largest_first) {
        const auto emptiest = std::min_element(filled.begin(), filled.end());
        part_of[code] = static_cast<std::size_t>(emptiest - filled.begin());
        *emptiest += rows[code];
      }
    }
    std::vector<row_set> tests(k);
    for (std::size_t i = 0; i < k; ++i) {
      tests[i] = row_set::where(labels.size(), [&](std::size_t row) { return part_of[labels.code(row)] == i; });
    }
    return detail::folds_testing(std::move(tests), labels.size());
  }
};
static_assert(split_policy<grouped_k_fold<group::experiment>>);

}  // namespace rafter
