// rafter-study: what the program asks of each schema. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdexcept>
#include <string>
#include <vector>

#include "rafter/core/progress.hpp"
#include "rafter/evaluation/report.hpp"

namespace study {

/// The command line, parsed.
struct request {
  std::string data;                     ///< path; empty: the embedded data
  std::string test;                     ///< path; empty: none
  std::string target;                   ///< empty: the schema's first
  std::string split;                    ///< empty: the schema's usual one
  std::vector<std::string> predictors;  ///< empty: all that the schema offers
  rafter::progress_callback progress;
};

/// A request that names something that does not exist.
struct usage_error : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// What a schema offers, for --list.
struct offer {
  std::string schema;
  std::vector<std::string> targets;
  std::vector<std::string> predictors;
  std::string usual_split;
};

// One translation unit per schema: each compiles its predictors once.
rafter::evaluation_report run_blis_steps(const request& asked);
rafter::evaluation_report run_kernel_steps(const request& asked);
rafter::evaluation_report run_rafter_steps(const request& asked);
offer offer_of_blis_steps();
offer offer_of_kernel_steps();
offer offer_of_rafter_steps();

std::vector<std::string> split_names();

}  // namespace study
