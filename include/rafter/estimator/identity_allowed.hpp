// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "rafter/estimator/estimator.hpp"

namespace rafter {

/// An estimator whose features may identify what a split holds out, because whoever writes this says so: to measure what
/// such a leak costs. Of a held-out group they are values never seen in training.
///
///   evaluate<trees<catalog::study30>>(data, lomo{});                     // does not compile: `model_code`
///   evaluate<identity_allowed<trees<catalog::study30>>>(data, lomo{});   // the failure, measured
template <class Estimator> struct identity_allowed : Estimator {
  static std::string name() { return Estimator::name() + ", features that identify groups allowed"; }
  static constexpr std::string_view reads_identity(group) { return {}; }
};

}  // namespace rafter
