// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdlib>
#include <filesystem>

/// Where the external data lies: RAFTER_DATA, or "../shared/data" beside the working directory.
inline std::filesystem::path data_folder() {
  const char* named = std::getenv("RAFTER_DATA");
  return named != nullptr ? named : "../shared/data";
}
