// rafter-study on blis_steps: scheduler logs without per-request lengths. SPDX-License-Identifier: Apache-2.0
#include "rafter/io/blis_steps.hpp"

#include "run.hpp"

namespace study {
namespace {
using namespace rafter::predictors;
using predictors =
    std::tuple<entry<mean>, entry<blackbox>, entry<blackbox_nnls>, entry<blackbox_relative>,
               entry<ridge30_proxies, ridge30_proxies_anonymous>, entry<ridge_scale_free>, entry<roofline0>>;
}  // namespace

offer offer_of_blis_steps() { return offer_of<rafter::blis_schema>(predictors{}, "temporal"); }

rafter::evaluation_report run_blis_steps(const request& asked) {
  return read_and_run<predictors>(asked, offer_of_blis_steps(), [&](const input& from) {
    return rafter::parse_blis_steps(from.text, from.name, {.progress = asked.progress});
  });
}

}  // namespace study
