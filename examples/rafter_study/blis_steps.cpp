// rafter-study on blis_steps: scheduler logs without per-request lengths. SPDX-License-Identifier: Apache-2.0
#include "rafter/io/blis_steps.hpp"

#include "run.hpp"

namespace study {
namespace {
using namespace rafter::predictors;
using predictors = std::tuple<entry<mean>, entry<blackbox>, entry<blackbox_nnls>, entry<blackbox_relative>,
                              entry<ridge30_proxies, ridge30_proxies_anonymous>, entry<ridge_scale_free>, entry<roofline0>>;
constexpr std::string_view usual_split = "temporal";
}  // namespace

rafter::evaluation_report run_blis_steps(const request& asked) {
  const rafter::step_read_options options{.progress = asked.progress};
  const auto data = rafter::read_blis_steps(asked.data, options);
  if (asked.test.empty()) return run<predictors>(asked, data, nullptr, usual_split);
  const auto test = rafter::read_blis_steps(asked.test, options);
  return run<predictors>(asked, data, &test, usual_split);
}

offer offer_of_blis_steps() { return offer_of<rafter::blis_schema, predictors>(usual_split); }

}  // namespace study
