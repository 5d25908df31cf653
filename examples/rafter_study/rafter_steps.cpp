// rafter-study on rafter's own format, the embedded data included. SPDX-License-Identifier: Apache-2.0
#include "rafter/io/rafter_steps.hpp"

#include "run.hpp"

namespace study {
namespace {
using namespace rafter::predictors;
using predictors = std::tuple<entry<mean>, entry<blackbox>, entry<blackbox_nnls>, entry<blackbox_relative>,
                              entry<ridge30, ridge30_anonymous>, entry<ridge_scale_free>, entry<roofline0>>;
}  // namespace

offer offer_of_rafter_steps() { return offer_of<rafter::rafter_schema>(predictors{}, "lomo"); }

rafter::evaluation_report run_rafter_steps(const request& asked) {
  return read_and_run<predictors>(asked, offer_of_rafter_steps(), [&](const input& from) {
    return rafter::parse_rafter_steps(from.text, from.name, {.progress = asked.progress});
  });
}

}  // namespace study
