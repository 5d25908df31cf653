// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include "rafter/expression/operators.hpp"

/// The numbers of a decoder architecture as expressions, in the notation of the formulas: read from
/// `deployment.architecture`, an empty type (folded by the compiler) or a run-time record alike.
namespace rafter::architecture {

#define RAFTER_ARCHITECTURE_QUANTITY(label, unit)                                                           \
  struct label##_t : observable<#label, unit, level::deployment> {                                          \
    template <class Deployment>                                                                             \
    requires requires(const Deployment& d) { d.architecture.label; }                                        \
    static constexpr double read(const Deployment& d) { return static_cast<double>(d.architecture.label); } \
  };                                                                                                        \
  inline constexpr label##_t label{};

RAFTER_ARCHITECTURE_QUANTITY(layers, units::none)        // L
RAFTER_ARCHITECTURE_QUANTITY(hidden, units::none)        // d
RAFTER_ARCHITECTURE_QUANTITY(heads, units::none)         // H, query heads
RAFTER_ARCHITECTURE_QUANTITY(kv_heads, units::none)      // K
RAFTER_ARCHITECTURE_QUANTITY(head_dim, units::none)      // h
RAFTER_ARCHITECTURE_QUANTITY(intermediate, units::none)  // f, of one expert
RAFTER_ARCHITECTURE_QUANTITY(shared_intermediate, units::none)
RAFTER_ARCHITECTURE_QUANTITY(experts, units::none)               // E
RAFTER_ARCHITECTURE_QUANTITY(experts_per_token, units::none)     // k
RAFTER_ARCHITECTURE_QUANTITY(vocabulary, units::none)            // V
RAFTER_ARCHITECTURE_QUANTITY(bytes_per_weight, units::byte)      // b
RAFTER_ARCHITECTURE_QUANTITY(bytes_per_kv, units::byte)          // c, of one KV element
RAFTER_ARCHITECTURE_QUANTITY(bytes_per_activation, units::byte)  // a

#undef RAFTER_ARCHITECTURE_QUANTITY

/// 1 where tokens are routed to some of several experts.
inline constexpr auto is_moe = indicator(experts > constant<1, 0>{});

}  // namespace rafter::architecture
