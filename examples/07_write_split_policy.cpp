// A split policy of your own; what leaks is refused. SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <iostream>
#include <optional>
#include <string>
#include <vector>

#include "examples/data/embedded_steps.hpp"
#include "rafter/estimator/predictors.hpp"
#include "rafter/evaluation.hpp"
#include "rafter/io/rafter_steps.hpp"
#include "rafter/validation.hpp"

namespace {

using namespace rafter;

/// Leaves a family of models out: labels that are alike up to the first '-'. Stricter than leaving one model out
/// where a family has several sizes. The static facts are what the compiler reasons about.
struct leave_one_family_out {
  static constexpr std::string_view name = "leave_one_family_out";
  static constexpr std::array held_out{group::model};    // no tested model is ever trained on
  static constexpr std::optional<group> fits_one_per{};  // a fold spans many models
  static constexpr bool is_random = false;

  std::vector<fold> folds(const splittable auto& data) const {
    const group_column& models = data.groups(group::model);
    const auto family = [&](std::size_t row) { return models.name(row).substr(0, models.name(row).find('-')); };
    std::vector<std::string> families;
    std::vector<fold> result;
    for (std::size_t row = 0; row < data.size(); ++row) {
      if (std::find(families.begin(), families.end(), family(row)) == families.end()) families.push_back(family(row));
    }
    for (const std::string& one : families) {
      const row_set test = row_set::where(data.size(), [&](std::size_t row) { return family(row) == one; });
      result.push_back({one, test.complement(data.size()), {}, test});
    }
    return result;
  }
};
static_assert(split_policy<leave_one_family_out>);

// `ridge30` has the feature model_code, which tells who is held out. evaluate<ridge30>(data, leave_one_family_out{})
// does not compile: "rafter: this feature identifies the groups that the split holds out; say
// without_identity<"model">(set), or that axis".
static_assert(!transfers_under<predictors::ridge30, leave_one_family_out>);
static_assert(transfers_under<predictors::ridge30_anonymous, leave_one_family_out>);
// Nor has a model fitted per experiment anything to say of an experiment of a model never seen.
static_assert(!transfers_under<per<group::experiment, predictors::blackbox>, leave_one_family_out>);

/// A policy that does not do what it says: every second row is tested, so every model is in training too.
struct careless : leave_one_family_out {
  static constexpr std::string_view name = "careless";
  std::vector<fold> folds(const splittable auto& data) const {
    const row_set test = row_set::where(data.size(), [](std::size_t row) { return row % 2 == 0; });
    return {{"even rows", test.complement(data.size()), {}, test}};
  }
};

}  // namespace

int main() {
  const auto data = parse_rafter_steps(rafter_data::embedded_steps(), "embedded:steps.csv");
  try {
    evaluate<predictors::roofline0>(data, careless{});
  } catch (const validation_error& why) {
    std::cout << "refused: " << why.what() << "\n\n";
  }
  std::cout << evaluate<predictors::blackbox, predictors::ridge_scale_free>(data, leave_one_family_out{});
}
