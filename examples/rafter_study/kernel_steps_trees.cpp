// rafter-study, boosted trees and hybrids on kernel_steps: sums of measured kernels. SPDX-License-Identifier: Apache-2.0
#include "features.hpp"
#include "rafter/evaluation/tree_predictors.hpp"
#include "readers.hpp"
#include "run.hpp"

namespace study {
namespace {
using namespace rafter::predictors;
using learned = std::tuple<entry_with_curve<trees30, trees30_anonymous>, entry<trees_study, trees_study_anonymous>,
                           entry<trees_identity>, entry<trees_scale_free>, entry<hybrid_of_kernels>,
                           entry<hybrid_monotone_of_kernels>>;
}  // namespace

entry_list<rafter::kernel_schema> trees_on_kernel_steps() { return entries_of<rafter::kernel_schema>(learned{}); }

}  // namespace study
