// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdexcept>

namespace rafter {

/// Base of every exception that rafter throws. Each layer derives one type from it (`dataset_error`, `io_error`,
/// `fit_error`, `evaluation_error`); `what()` is one line that names the place and the offending text.
struct error : std::runtime_error {
  using std::runtime_error::runtime_error;
};

}  // namespace rafter
