// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdlib>
#include <filesystem>

/// The folder of the external data: RAFTER_DATA, else ../shared/data from the working directory. It may not exist:
/// a test that needs it says in one line what it skips.
inline std::filesystem::path data_folder() {
  const char* const set_by_user = std::getenv("RAFTER_DATA");
  return set_by_user != nullptr && *set_by_user != '\0' ? set_by_user : "../shared/data";
}
