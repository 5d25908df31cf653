// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "rafter/validation/fold.hpp"
#include "rafter/validation/split_policy.hpp"

namespace rafter::testing {

/// What any split policy must satisfy, run on one dataset that it can split; a line for each promise broken:
///
///     EXPECT_EQ(check_split_policy(lomo{}, data), no_violations);
template <split_policy Split, splittable Data>
std::vector<std::string> check_split_policy(const Split& split, const Data& data) {
  std::vector<std::string> violations;
  if (std::string_view(Split::name).empty()) violations.push_back("the policy has no name");
  const std::vector<fold> folds = split.folds(data);
  try {
    check_folds(folds, data.size());
  } catch (const validation_error& problem) {
    violations.push_back(problem.what());
  }
  if (split.folds(data) != folds) violations.push_back("a second call made other folds");
  std::set<std::string> names;
  for (const fold& part : folds) {
    if (part.held_out.empty()) violations.push_back("a fold has no name");
    if (!names.insert(part.held_out).second) violations.push_back("two folds are named '" + part.held_out + "'");
  }
  try {
    check_held_out<Split>(folds, data);
  } catch (const validation_error& problem) {
    violations.push_back(problem.what());
  }
  if (constexpr auto axis = std::optional<group>(Split::fits_one_per); axis.has_value() && data.has_group(*axis)) {
    const group_column& labels = data.groups(*axis);
    for (const fold& part : folds) {
      std::set<std::string> inside;
      (part.train | part.validation | part.test).for_each([&](std::size_t row) { inside.insert(labels.name(row)); });
      if (inside.size() != 1) {
        violations.push_back("fold '" + part.held_out + "' is not within one " + std::string(name_of(*axis)));
      }
    }
  }
  if (tests_every_row<Split> && !tests_partition(folds, data.size())) {
    violations.push_back("the tests do not hold each row once");
  }
  return violations;
}

inline const std::vector<std::string> no_violations{};

}  // namespace rafter::testing
