// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <source_location>
#include <string_view>

#include "rafter/io/error.hpp"

/// Stops the program when a law is broken, so that a fuzzer keeps the input; not an assert, which a release drops.
inline void check(bool law, std::source_location place = std::source_location::current()) {
  if (law) return;
  static_cast<void>(std::fprintf(stderr, "%s:%u: this law is broken\n", place.file_name(), place.line()));
  std::abort();
}

/// An error is one line, short whatever the input holds, and its place lies inside the text.
inline void check_message(const rafter::io_error& error, std::string_view text,
                          std::source_location place = std::source_location::current()) {
  const std::string_view what = error.what();
  check(!what.empty() && what.size() < 4000, place);
  check(std::none_of(what.begin(), what.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; }), place);
  check(error.line <= static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n')) + 1, place);
  check(error.column <= text.size() + 1, place);
}
