// rafter-study: the names of the split policies. SPDX-License-Identifier: Apache-2.0
#include "run.hpp"

namespace study {

std::vector<std::string> split_names() {
  std::vector<std::string> names;
  each_split([&](const auto& split) { names.emplace_back(std::remove_cvref_t<decltype(split)>::name); });
  return names;
}

}  // namespace study
