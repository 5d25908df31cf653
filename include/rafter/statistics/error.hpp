// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include "rafter/core/error.hpp"

namespace rafter {

/// A question to statistics that makes no sense: columns that do not pair up, a confidence of 2, an exact p value where
/// there is none. Data that merely say nothing (no rows, a NaN, no difference) give NaN instead.
struct statistics_error : error {
  using error::error;
};

}  // namespace rafter
