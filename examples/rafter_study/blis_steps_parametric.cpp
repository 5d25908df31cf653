// rafter-study, models with fitted parameters on blis_steps: scheduler logs without per-request lengths. SPDX-License-Identifier: Apache-2.0
#include "readers.hpp"
#include "run.hpp"

namespace study {
namespace {
using namespace rafter::predictors;
using parametric =
    std::tuple<entry_with_curve<roofline9>, entry<roofline9_study>, entry<roofline16>, entry<roofline16_study>,
               entry<roofline18>, entry<roofline18_study>, entry<roofline36>, entry<roofline36_study>, entry<kernel9>,
               entry_with_intervals<best_of_pool_state>, entry<pmnf_of_pool_state>>;
}  // namespace

entry_list<rafter::blis_schema> parametric_on_blis_steps() { return entries_of<rafter::blis_schema>(parametric{}); }

}  // namespace study
