// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// expect: rafter: what replaces a parameter has the parameter's dimension
#include "rafter/expression/parameter.hpp"
#include "rafter/step/observables.hpp"

using namespace rafter;
using namespace rafter::literals;

inline constexpr positive<"overhead", 50e-6_c, units::second> overhead{};
struct twice {
  template <class Parameter> constexpr auto operator()(Parameter p) const {
#ifdef FIXED
    return p * 2_c;
#else
    return p * prefill_tokens;
#endif
  }
};
constexpr auto changed = map_parameters(overhead, twice{});
static_assert(changed.dimension_v != units::none);
