// Nine parameters of which four mean something: what a fit does not know, and says. SPDX-License-Identifier: Apache-2.0
#include <iostream>
#include <string>
#include <string_view>

#include "examples/data/embedded_steps.hpp"
#include "rafter/estimator/predictors.hpp"
#include "rafter/evaluation/inference.hpp"
#include "rafter/io/blis_steps.hpp"
#include "rafter/io/rafter_steps.hpp"

namespace {

using namespace rafter;

// A scheduler's log that lacks the KV length of each request cannot feed decode attention.
// predictors::roofline9::fit(log, rows) does not compile: "rafter: this feature reads an observable that the dataset's
// schema does not carry: needs_observable<"prefill_attention_pairs">" (the first one that is missing), and once that is
// given, needs_observable<"kv_sum">. The study's reading compiles on such a log, because it has put a 0 there.
using decode_attention_alone =
    nonlinear<analytical::corrected<analytical::physical_reading, "decode_attention">(analytical::decode_attention)>;
static_assert(decode_attention_alone::missing_on<blis_schema>() == "kv_sum");
static_assert(predictors::roofline9::missing_on<blis_schema>() == "prefill_attention_pairs");
static_assert(predictors::roofline9_study::missing_on<blis_schema>().empty());

template <class Estimator, class Data> void fit_and_tell(std::string_view title, const Data& data) {
  const auto fitted = Estimator::fit(data, row_set::all(data.size()));
  const fit_summary summary = fitted.summary();
  std::cout << title << ": " << summary.parameters << " parameters, " << summary.identifiable << " identifiable\n"
            << parameter_inference(fitted).table().plain();
  for (const std::string& line : fitted.findings()) std::cout << "  - " << line << "\n";
  std::cout << "\n";
}

}  // namespace

int main() {
  const auto data = parse_rafter_steps(rafter_data::embedded_steps(), "embedded:steps.csv");
  fit_and_tell<predictors::roofline9_study>("the study's reading", data);
  fit_and_tell<predictors::roofline9>("the physical reading", data);
}
