// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include "rafter/estimator/analytical_model.hpp"
#include "rafter/estimator/composed.hpp"
#include "rafter/estimator/estimator.hpp"
#include "rafter/estimator/feature_tiles.hpp"
#include "rafter/estimator/fit_memo.hpp"
#include "rafter/estimator/fitted_parameters.hpp"
#include "rafter/estimator/identity_allowed.hpp"
#include "rafter/estimator/linear.hpp"
#include "rafter/estimator/mean_of_target.hpp"
#include "rafter/estimator/nonlinear.hpp"
#include "rafter/estimator/objective.hpp"
#include "rafter/estimator/per.hpp"
#include "rafter/estimator/per_op.hpp"
#include "rafter/estimator/pmnf.hpp"
#include "rafter/estimator/predictors.hpp"
#include "rafter/estimator/routed.hpp"
