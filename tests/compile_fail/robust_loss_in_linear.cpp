// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// expect: rafter: robust, weighted, balanced and stacked objectives are for nonlinear<model, objective>
#include "rafter/estimator/predictors.hpp"

using namespace rafter;
using namespace rafter::literals;

inline constexpr auto features = feature_set{"prefill"_f = prefill_tokens, "decode"_f = decode_tokens};
#ifdef FIXED
using estimator_type = linear<features, ordinary_least_squares, objective::squared>;
#else
using estimator_type =
    linear<features, ordinary_least_squares, objective::robust<objective::squared, loss_kind::huber, 0.1_c> >;
#endif
static_assert(!estimator_type::fitted_per(group::model));
