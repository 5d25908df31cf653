// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// expect: rafter: one split fits within a single group of an axis that the other holds out
#include "rafter/validation/k_fold.hpp"
#include "rafter/validation/leave_one_group_out.hpp"
#include "rafter/validation/product.hpp"
#include "rafter/validation/within.hpp"

using namespace rafter;

int main() {
#ifdef FIXED
  using both = decltype(lomo{} * within<group::workload, k_fold>{});
#else
  using both = decltype(lomo{} * within<group::model, k_fold>{});  // rows of one model cannot train for another
#endif
  return both::name.empty();
}
