// rafter-study on rafter's own format, the embedded data included. SPDX-License-Identifier: Apache-2.0
#include "rafter/io/rafter_steps.hpp"

#include "run.hpp"

#ifndef RAFTER_EMBEDDED_STEPS
#error "the build passes -DRAFTER_EMBEDDED_STEPS=\"path of the embedded steps\""
#endif

namespace study {
namespace {
using namespace rafter::predictors;
using predictors = std::tuple<entry<mean>, entry<blackbox>, entry<blackbox_nnls>, entry<blackbox_relative>,
                              entry<ridge30, ridge30_anonymous>, entry<ridge_scale_free>, entry<roofline0>>;
constexpr std::string_view usual_split = "lomo";
}  // namespace

rafter::evaluation_report run_rafter_steps(const request& asked) {
  const rafter::step_read_options options{.progress = asked.progress};
  const auto data = rafter::read_rafter_steps(asked.data.empty() ? RAFTER_EMBEDDED_STEPS : asked.data, options);
  if (asked.test.empty()) return run<predictors>(asked, data, nullptr, usual_split);
  const auto test = rafter::read_rafter_steps(asked.test, options);
  return run<predictors>(asked, data, &test, usual_split);
}

offer offer_of_rafter_steps() { return offer_of<rafter::rafter_schema, predictors>(usual_split); }

}  // namespace study
