// rafter-study on rafter's own format: the embedded data included. SPDX-License-Identifier: Apache-2.0
#include "features.hpp"
#include "readers.hpp"
#include "run.hpp"

namespace study {
entry_list<rafter::rafter_schema> parametric_on_rafter_steps();  // rafter_steps_parametric.cpp
entry_list<rafter::rafter_schema> trees_on_rafter_steps();       // rafter_steps_trees.cpp
entry_list<rafter::rafter_schema> operations_on_rafter_steps();  // rafter_steps_operations.cpp

namespace {
using namespace rafter::predictors;
using linear = std::tuple<entry<mean>, entry<blackbox>, entry<blackbox_nnls>, entry<blackbox_relative>,
                          entry<ridge30, ridge30_anonymous>, entry_with_curve<ridge_scale_free>, entry<roofline0>>;

entry_list<rafter::rafter_schema> entries() {
  return joined(entries_of<rafter::rafter_schema>(linear{}), parametric_on_rafter_steps(),
                operations_on_rafter_steps(), trees_on_rafter_steps());
}
}  // namespace

offer offer_of_rafter_steps() { return offer_of(entries(), "lomo"); }

rafter::evaluation_report run_rafter_steps(const request& asked) {
  return read_and_run(asked, entries(), offer_of_rafter_steps(), read_rafter_steps);
}

}  // namespace study
