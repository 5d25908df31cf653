// rafter-study, single operations on rafter_steps: tables and an overhead. SPDX-License-Identifier: Apache-2.0
#include "operations.hpp"
#include "rafter/estimator/per_op.hpp"
#include "readers.hpp"
#include "run.hpp"

namespace study {
namespace {
struct per_op : rafter::per_op<measured_operations> {
  static constexpr std::string_view label = "per_op";
};
}  // namespace

entry_list<rafter::rafter_schema> operations_on_rafter_steps() {
  return entries_of<rafter::rafter_schema>(std::tuple<entry<per_op>>{});
}

}  // namespace study
