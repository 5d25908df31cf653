// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdlib>
#include <filesystem>

/// Where the external data lies: RAFTER_DATA, or ../shared/data from the working directory. May not exist.
inline std::filesystem::path data_folder() {
  const char* folder = std::getenv("RAFTER_DATA");
  return folder != nullptr && *folder != '\0' ? folder : "../shared/data";
}
