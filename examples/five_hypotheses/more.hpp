// five-hypotheses: what rafter-study does not evaluate. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "rafter/evaluation/hypothesis/evidence.hpp"
#include "rafter/evaluation/report.hpp"
#include "rafter/io/kernel_steps.hpp"
#include "rafter/io/rafter_steps.hpp"

namespace five {

/// Physics without decode attention, and what is learned on top of it, each model left out.
std::vector<rafter::predictor_result> incomplete_backbones(const rafter::dataset<rafter::kernel_schema>& data);
std::vector<rafter::predictor_result> incomplete_backbones(const rafter::dataset<rafter::rafter_schema>& data);

/// Do the trees of the folds, each model left out, agree on which features matter?
rafter::hypotheses::importance_agreement tree_importances(const rafter::dataset<rafter::kernel_schema>& data);
rafter::hypotheses::importance_agreement tree_importances(const rafter::dataset<rafter::rafter_schema>& data);

}  // namespace five
