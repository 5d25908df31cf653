// rafter-study on kernel_steps: sums of measured kernels. SPDX-License-Identifier: Apache-2.0
#include "features.hpp"
#include "readers.hpp"
#include "run.hpp"

namespace study {
entry_list<rafter::kernel_schema> parametric_on_kernel_steps();  // kernel_steps_parametric.cpp
entry_list<rafter::kernel_schema> trees_on_kernel_steps();       // kernel_steps_trees.cpp
entry_list<rafter::kernel_schema> operations_on_kernel_steps();  // kernel_steps_operations.cpp

namespace {
using namespace rafter::predictors;
using linear = std::tuple<entry<mean>, entry<blackbox>, entry<blackbox_nnls>, entry<blackbox_relative>,
                          entry<ridge30, ridge30_anonymous>, entry_with_curve<ridge_scale_free>, entry<roofline0>>;

entry_list<rafter::kernel_schema> entries() {
  return joined(entries_of<rafter::kernel_schema>(linear{}), parametric_on_kernel_steps(),
                operations_on_kernel_steps(), trees_on_kernel_steps());
}
}  // namespace

offer offer_of_kernel_steps() { return offer_of(entries(), "lomo"); }

rafter::evaluation_report run_kernel_steps(const request& asked) {
  return read_and_run(asked, entries(), offer_of_kernel_steps(), read_kernel_steps);
}

}  // namespace study
