// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include "rafter/analytical/roofline.hpp"
#include "rafter/expression/parameter.hpp"

/// Rooflines with fitted corrections: the forms that the public study tried. Four components (projections and MLP of the
/// prefill and of the decode tokens, each as a pass of its own, prefill attention, decode attention), each with a factor
/// and the fraction of the peak that it reaches, and an overhead per step.
///
/// There are two readings of the components. The physical one is the roofline, max(FLOP/(peak·mfu), bytes/bandwidth),
/// with the KV entries of every request. The study's counted FLOP at the peak alone, and had no decode attention where
/// requests' KV lengths were missing: factor and MFU are then known as a quotient only, and those of decode attention
/// not at all. It is kept because it must be seen to fail: `identifiability` says all of this by itself.
namespace rafter::analytical {

/// Work at a rate that the deployment and the parameters fix: the reciprocal is computed once, so that a row costs a
/// product. Divisions by the eight rates of a step would be half the time of a fit.
constexpr auto time_at(expression auto amount, expression auto rate) { return amount * (symbols::number<1> / rate); }

/// A correction that multiplies a component's time.
template <fixed_string Name>
inline constexpr bounded<Name + "_factor", constant<1, -2>{}, constant<1, 0>{}, constant<100, 0>{}> factor{};
/// Fraction of the dense peak that a component's arithmetic reaches.
template <fixed_string Name>
inline constexpr bounded<Name + "_mfu", constant<1, -2>{}, constant<5, -1>{}, constant<1, 0>{}> mfu{};
/// What a step costs whatever is in it: launches, scheduling.
inline constexpr bounded<"overhead", constant<0, 0>{}, constant<50, -6>{}, constant<1, 0>{}, units::second>
    overhead{};

/// Prefill attention where only the aggregates of a step are known: every prefill request has the mean length and no
/// past. Σ n(n+1)/2 = P(P/requests + 1)/2 [token²].
inline constexpr auto prefill_pairs_of_equal_prompts =
    prefill_tokens * (ratio(prefill_tokens, prefill_requests, constant<0, 0, units::token>{}) + one_token) /
    symbols::number<2>;

/// Components as rooflines, decode attention over the KV entries of every request.
struct physical_reading {
  static constexpr auto prefill_gemm = projections_and_mlp(prefill_tokens);
  static constexpr auto prefill_attention = analytical::prefill_attention;
  static constexpr auto decode_gemm = projections_and_mlp(decode_tokens);
  static constexpr auto decode_attention = analytical::decode_attention;

  static constexpr auto compute_time(work auto w, expression auto reached) {
    return time_at(w.flops, hardware::peak_flops * reached);
  }
  static constexpr auto memory_time(work auto w, expression auto) {
    return time_at(w.bytes, hardware::hbm_bandwidth);
  }
  static constexpr auto time(work auto w, expression auto reached) {
    return max(compute_time(w, reached), memory_time(w, reached));
  }
};

/// The study's reading: FLOP at the peak, no decode attention.
struct study_reading {
  static constexpr auto prefill_gemm = projections_and_mlp(prefill_tokens);
  static constexpr auto prefill_attention =
      work_of{symbols::four_flop_per_pair * architecture::layers *
                  ((architecture::heads / tensor_parallel) * architecture::head_dim) * prefill_pairs_of_equal_prompts,
              constant<0, 0, units::byte>{}};
  static constexpr auto decode_gemm = projections_and_mlp(decode_tokens);
  static constexpr auto decode_attention = work_of{constant<0, 0, units::flop>{}, constant<0, 0, units::byte>{}};

  static constexpr auto compute_time(work auto w, expression auto reached) {
    return time_at(w.flops, hardware::peak_flops * reached);
  }
  static constexpr auto memory_time(work auto w, expression auto reached) { return compute_time(w, reached); }
  static constexpr auto time(work auto w, expression auto reached) { return compute_time(w, reached); }
};

/// factor · time of one component.
template <class Reading, fixed_string Name> constexpr auto corrected(work auto w) {
  return factor<Name> * Reading::time(w, mfu<Name>);
}

/// Nine parameters: a factor and an MFU for each of four components, and the overhead.
template <class Reading>
inline constexpr auto roofline9 = corrected<Reading, "prefill_gemm">(Reading::prefill_gemm) +
                                  corrected<Reading, "prefill_attention">(Reading::prefill_attention) +
                                  corrected<Reading, "decode_gemm">(Reading::decode_gemm) +
                                  corrected<Reading, "decode_attention">(Reading::decode_attention) + overhead;

/// The same nine once for dense models and once for mixtures of experts.
template <class Reading>
inline constexpr auto roofline18 = with_parameters_by<"_moe", "_dense">(architecture::is_moe, roofline9<Reading>);

/// Arithmetic intensity above which a component counts as bound by compute.
template <fixed_string Name>
inline constexpr bounded<Name + "_threshold", constant<1, 0>{}, constant<100, 0>{}, constant<10'000, 0>{},
                         units::flop / units::byte>
    intensity_threshold{};

/// One component with a factor per regime; work that moves no bytes (the study's attention) counts as 1 FLOP/B. The switch is 1/(1 + (threshold/intensity)^4): from one tenth to nine
/// tenths within a factor of three of intensity. A jump would leave the threshold without a derivative.
template <class Reading, fixed_string Name> constexpr auto corrected_by_regime(work auto w) {
  constexpr constant<1, 0, units::flop / units::byte> none{};
  const auto intensity = ratio(w.flops, w.bytes, none);
  const auto compute_bound =
      symbols::number<1> / (symbols::number<1> + pow<4>(intensity_threshold<Name> / intensity));
  return compute_bound * (factor<Name + "_compute"> * Reading::compute_time(w, mfu<Name>)) +
         (symbols::number<1> - compute_bound) * (factor<Name + "_memory"> * Reading::memory_time(w, mfu<Name>));
}

/// Sixteen parameters: per component a factor in either regime, an MFU and the intensity that divides the regimes. No
/// overhead.
template <class Reading>
inline constexpr auto roofline16 = corrected_by_regime<Reading, "prefill_gemm">(Reading::prefill_gemm) +
                                   corrected_by_regime<Reading, "prefill_attention">(Reading::prefill_attention) +
                                   corrected_by_regime<Reading, "decode_gemm">(Reading::decode_gemm) +
                                   corrected_by_regime<Reading, "decode_attention">(Reading::decode_attention);

}  // namespace rafter::analytical
