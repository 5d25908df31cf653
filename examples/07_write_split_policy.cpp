// A split policy of your own: leaves out a family of models at a time. SPDX-License-Identifier: Apache-2.0
#include <iostream>

#include "examples/data/embedded_steps.hpp"
#include "rafter/estimator/predictors.hpp"
#include "rafter/evaluation.hpp"
#include "rafter/io/rafter_steps.hpp"

using namespace rafter;
struct leave_one_family_out {
  static constexpr std::string_view name = "leave_one_family_out";
  static constexpr std::array held_out{group::model};    // no tested model is ever trained on
  static constexpr std::optional<group> fits_one_per{};  // a fold spans many models
  static constexpr bool is_random = false;
  std::vector<fold> folds(const splittable auto& data) const {
    std::vector<fold> made;
    for (const std::string family : {"codellama", "llama", "mixtral"}) {
      const auto in_it = [&](auto row) { return data.groups(group::model).name(row).starts_with(family); };
      const row_set test = row_set::where(data.size(), in_it);
      made.push_back({family, test.complement(data.size()), {}, test});
    }
    return made;
  }
};

int main() {
  const auto data = parse_rafter_steps(rafter_data::embedded_steps(), "embedded:steps.csv");
  std::cout << evaluate<predictors::blackbox, predictors::ridge_scale_free>(data, leave_one_family_out{});
}
