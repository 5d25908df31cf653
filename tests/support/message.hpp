// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <exception>
#include <string>

/// What the exception says that `run` throws; "no exception" if it throws none.
template <class Run> std::string message_of(Run run) {
  try {
    run();
  } catch (const std::exception& thrown) {
    return thrown.what();
  }
  return "no exception";
}
