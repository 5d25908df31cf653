// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include "rafter/analytical/roofline.hpp"
#include "rafter/feature/feature_set.hpp"

/// Features without a scale of their own: each is a ratio to the roofline estimate or the logarithm of one, so that a
/// model or a device never seen is an interpolation rather than an extrapolation. Meant for the target
/// log(time / roofline_step_time).
namespace rafter::catalog {
using namespace rafter::literals;

namespace scaled {
inline constexpr auto gemm = roofline(analytical::step_gemm);
inline constexpr auto prefill_attention = roofline(analytical::prefill_attention);
inline constexpr auto decode_attention = roofline(analytical::decode_attention);
inline constexpr auto microsecond = with_unit<units::second>(1e-6_c);
/// An idle step has no work; it counts as a microsecond of it, so that it has a logarithm.
inline constexpr auto total = max(analytical::roofline_step_time, microsecond);
constexpr auto share(expression auto part) { return ratio(part, total, 0_c); }
constexpr auto balance(work auto w) {
  return log1p(ratio(w.flops, w.bytes, with_unit<units::flop_per_byte>(0_c)) / hardware::machine_balance);
}
}  // namespace scaled

struct scale_free_t
    : decltype(feature_set{
          "gemm_share"_f = scaled::share(scaled::gemm),
          "prefill_attention_share"_f = scaled::share(scaled::prefill_attention),
          "decode_attention_share"_f = scaled::share(scaled::decode_attention),
          "gemm_balance"_f = scaled::balance(analytical::step_gemm),
          "prefill_attention_balance"_f = scaled::balance(analytical::prefill_attention),
          "layers_per_roofline_us"_f = log1p(architecture::layers * scaled::microsecond / scaled::total),
          "mixed"_f = indicator(prefill_requests > 0_c && decode_requests > 0_c),
          "has_prefill"_f = indicator(prefill_requests > 0_c),
          "has_decode"_f = indicator(decode_requests > 0_c),
          "is_moe"_f = architecture::is_moe,
      }) {};
inline constexpr scale_free_t scale_free{};

}  // namespace rafter::catalog
