// five-hypotheses: step times by physics that does not know decode attention. SPDX-License-Identifier: Apache-2.0
#include <utility>

#include "more.hpp"
#include "rafter/estimator/predictors.hpp"
#include "rafter/evaluation/evaluate.hpp"
#include "rafter/validation/leave_one_group_out.hpp"

namespace five {
namespace {

using namespace rafter;
using namespace rafter::literals;

/// The physical reading as it is where logs have no KV lengths.
struct no_decode_attention : analytical::physical_reading {
  static constexpr auto decode_attention = work_of{constant<0, 0, units::flop>{}, constant<0, 0, units::byte>{}};
};
struct roofline9_incomplete : nonlinear<analytical::roofline9<no_decode_attention>> {
  static constexpr std::string_view label = "roofline9_incomplete";
};
struct kernel9_incomplete : nonlinear<with_held<"decode_attention_factor", 0_c>(analytical::kernel9)> {
  static constexpr std::string_view label = "kernel9_incomplete";
};

/// catalog::scale_free without decode attention: neither in the features nor in the roofline that they are relative to.
inline constexpr auto known_roofline =
    max(catalog::scaled::gemm + catalog::scaled::prefill_attention, catalog::scaled::microsecond);
struct known_features
    : decltype(feature_set{
          "gemm_share"_f = ratio(catalog::scaled::gemm, known_roofline, 0_c),
          "gemm_balance"_f = catalog::scaled::balance(analytical::step_gemm),
          "prefill_attention_balance"_f = catalog::scaled::balance(analytical::prefill_attention),
          "layers_per_roofline_us"_f = log1p(architecture::layers * catalog::scaled::microsecond / known_roofline),
          "mixed"_f = indicator(prefill_requests > 0_c && decode_requests > 0_c),
          "has_prefill"_f = indicator(prefill_requests > 0_c),
          "has_decode"_f = indicator(decode_requests > 0_c),
          "is_moe"_f = architecture::is_moe,
      }) {};
struct ridge_incomplete : linear<known_features{}, ridge<1>, objective::log_ratio_to<known_roofline>> {
  static constexpr std::string_view label = "ridge_incomplete";
};

template <class Schema> std::vector<predictor_result> evaluated(const dataset<Schema>& data) {
  auto report = evaluate<roofline9_incomplete, kernel9_incomplete, ridge_incomplete>(data, lomo{});
  return std::move(report.results);
}

}  // namespace

std::vector<predictor_result> incomplete_backbones(const dataset<kernel_schema>& data) { return evaluated(data); }
std::vector<predictor_result> incomplete_backbones(const dataset<rafter_schema>& data) { return evaluated(data); }

}  // namespace five
