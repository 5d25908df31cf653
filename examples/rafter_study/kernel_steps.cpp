// rafter-study on kernel_steps: sums of measured kernels. SPDX-License-Identifier: Apache-2.0
#include "rafter/io/kernel_steps.hpp"

#include "run.hpp"

namespace study {
namespace {
using namespace rafter::predictors;
using predictors = std::tuple<entry<mean>, entry<blackbox>, entry<blackbox_nnls>, entry<blackbox_relative>,
                              entry<ridge30, ridge30_anonymous>, entry<ridge_scale_free>, entry<roofline0>>;
}  // namespace

offer offer_of_kernel_steps() { return offer_of<rafter::kernel_schema>(predictors{}, "lomo"); }

rafter::evaluation_report run_kernel_steps(const request& asked) {
  return read_and_run<predictors>(asked, offer_of_kernel_steps(), [&](const input& from) {
    return rafter::parse_kernel_steps(from.text, from.name, {.progress = asked.progress});
  });
}

}  // namespace study
