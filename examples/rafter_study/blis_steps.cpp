// rafter-study on blis_steps: scheduler logs without per-request lengths. SPDX-License-Identifier: Apache-2.0
#include "features.hpp"
#include "readers.hpp"
#include "run.hpp"

namespace study {
entry_list<rafter::blis_schema> parametric_on_blis_steps();  // blis_steps_parametric.cpp
entry_list<rafter::blis_schema> trees_on_blis_steps();       // blis_steps_trees.cpp
entry_list<rafter::blis_schema> operations_on_blis_steps();  // blis_steps_operations.cpp

namespace {
using namespace rafter::predictors;
using linear = std::tuple<entry<mean>, entry<blackbox>, entry<blackbox_nnls>, entry<blackbox_relative>,
                          entry<ridge30_proxies, ridge30_proxies_anonymous>, entry_with_curve<ridge_scale_free>,
                          entry<roofline0>>;

entry_list<rafter::blis_schema> entries() {
  return joined(entries_of<rafter::blis_schema>(linear{}), parametric_on_blis_steps(), operations_on_blis_steps(),
                trees_on_blis_steps());
}
}  // namespace

offer offer_of_blis_steps() { return offer_of(entries(), "temporal"); }

rafter::evaluation_report run_blis_steps(const request& asked) {
  return read_and_run(asked, entries(), offer_of_blis_steps(), read_blis_steps);
}

}  // namespace study
