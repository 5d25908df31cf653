// rafter-study, boosted trees and hybrids on blis_steps: scheduler logs without per-request lengths. SPDX-License-Identifier: Apache-2.0
#include "features.hpp"
#include "rafter/evaluation/tree_predictors.hpp"
#include "readers.hpp"
#include "run.hpp"

namespace study {
namespace {
using namespace rafter::predictors;
using learned = std::tuple<entry_with_curve<trees_proxies, trees_proxies_anonymous>,
                           entry<trees_study_proxies, trees_study_proxies_anonymous>,
                           entry<trees_study_proxies_deep, trees_study_proxies_deep_anonymous>,
                           entry<trees_identity_proxies>, entry<hybrid_of_pool_state>>;
}  // namespace

entry_list<rafter::blis_schema> trees_on_blis_steps() { return entries_of<rafter::blis_schema>(learned{}); }

}  // namespace study
