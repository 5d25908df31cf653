// rafter-study on kernel_steps: sums of measured kernels. SPDX-License-Identifier: Apache-2.0
#include "rafter/io/kernel_steps.hpp"

#include "run.hpp"

namespace study {
namespace {
using namespace rafter::predictors;
using predictors = std::tuple<entry<mean>, entry<blackbox>, entry<blackbox_nnls>, entry<blackbox_relative>,
                              entry<ridge30, ridge30_anonymous>, entry<ridge_scale_free>, entry<roofline0>>;
constexpr std::string_view usual_split = "lomo";
}  // namespace

rafter::evaluation_report run_kernel_steps(const request& asked) {
  const rafter::step_read_options options{.progress = asked.progress};
  const auto data = rafter::read_kernel_steps(asked.data, options);
  if (asked.test.empty()) return run<predictors>(asked, data, nullptr, usual_split);
  const auto test = rafter::read_kernel_steps(asked.test, options);
  return run<predictors>(asked, data, &test, usual_split);
}

offer offer_of_kernel_steps() { return offer_of<rafter::kernel_schema, predictors>(usual_split); }

}  // namespace study
