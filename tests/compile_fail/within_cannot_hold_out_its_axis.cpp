// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// expect: rafter: within<axis, split> has one label of the axis in each fold, so the split cannot hold it out
#include "rafter/validation/leave_one_group_out.hpp"
#include "rafter/validation/within.hpp"

using namespace rafter;

int main() {
#ifdef FIXED
  return within<group::workload, lomo>::name.empty();
#else
  return within<group::experiment, lomo>::name.empty();  // an experiment has one model
#endif
}
