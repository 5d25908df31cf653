// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// expect: rafter: curve<Table>\(x\) takes a type with
#include <string_view>

#include "rafter/step/observables.hpp"

using namespace rafter;
using namespace rafter::literals;

struct reached {
  static constexpr std::string_view name = "reached";
  static double value(double x) { return x / (1.0 + x); }
#ifdef FIXED
  static double slope(double x) { return 1.0 / ((1.0 + x) * (1.0 + x)); }
#endif
};
constexpr auto mfu = curve<reached>(magnitude(scheduled_tokens));
static_assert(mfu.level_v == level::step);
