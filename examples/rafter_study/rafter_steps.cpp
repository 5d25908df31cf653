// rafter-study on rafter's own format, the embedded data included. SPDX-License-Identifier: Apache-2.0
#include "rafter/io/rafter_steps.hpp"

#include "examples/data/embedded_steps.hpp"
#include "run.hpp"

namespace study {
namespace {
using namespace rafter::predictors;
using predictors = std::tuple<entry<mean>, entry<blackbox>, entry<blackbox_nnls>, entry<blackbox_relative>,
                              entry<ridge30, ridge30_anonymous>, entry<ridge_scale_free>, entry<roofline0>>;
constexpr std::string_view usual_split = "lomo";
}  // namespace

rafter::evaluation_report run_rafter_steps(const request& asked) {
  const rafter::step_read_options options{.progress = asked.progress};
  const auto data = asked.data.empty()
                        ? rafter::parse_rafter_steps(rafter_data::embedded_steps(),
                                                     std::string(rafter_data::embedded_steps_name), options)
                        : rafter::read_rafter_steps(asked.data, options);
  if (asked.test.empty()) return run<predictors>(asked, data, nullptr, usual_split);
  const auto test = rafter::read_rafter_steps(asked.test, options);
  return run<predictors>(asked, data, &test, usual_split);
}

offer offer_of_rafter_steps() { return offer_of<rafter::rafter_schema, predictors>(usual_split); }

}  // namespace study
