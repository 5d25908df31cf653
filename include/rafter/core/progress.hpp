// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <functional>
#include <string_view>

namespace rafter {

/// Called by long work with a stage name and how much of it is done. Empty by default: libraries never print.
/// Calls come from the thread that started the work; `done` never decreases within a stage and ends at `total`.
using progress_callback = std::function<void(std::string_view stage, std::size_t done, std::size_t total)>;

}  // namespace rafter
