// rafter-study, single operations on kernel_steps: parts of the training rows. SPDX-License-Identifier: Apache-2.0
// The tables that these rows were composed of hold the tested rows too, so they are not looked up here.
#include "rafter/estimator/per_op.hpp"
#include "readers.hpp"
#include "run.hpp"

namespace study {
namespace {
struct per_op : rafter::per_op_fitted {
  static constexpr std::string_view label = "per_op";
};
}  // namespace

entry_list<rafter::kernel_schema> operations_on_kernel_steps() {
  return entries_of<rafter::kernel_schema>(std::tuple<entry<per_op>>{});
}

}  // namespace study
