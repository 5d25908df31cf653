// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// expect: rafter: two different curves of these expressions have one name
#include <string_view>

#include "rafter/expression/tape.hpp"
#include "rafter/step/observables.hpp"

using namespace rafter;
using namespace rafter::literals;

struct rising {
  static constexpr std::string_view name = "mfu";
  static constexpr double value(double x) { return x; }
  static constexpr double slope(double) { return 1.0; }
};
struct falling {
#ifdef FIXED
  static constexpr std::string_view name = "falling";
#else
  static constexpr std::string_view name = "mfu";
#endif
  static constexpr double value(double x) { return -x; }
  static constexpr double slope(double) { return -1.0; }
};
constexpr auto x = magnitude(scheduled_tokens);
static_assert(plan<as_written, decltype(curve<rising>(x) - curve<falling>(x))>::size == 6);
