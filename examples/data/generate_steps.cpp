// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// generate-steps OUT.csv [SEED]: writes the data that rafter's programs embed. See README.md beside this file.
#include <charconv>
#include <cstdio>
#include <exception>
#include <string_view>
#include <system_error>

#include "examples/data/serving_steps.hpp"

int main(int count, char** arguments) {
  if (count < 2 || count > 3 || std::string_view(arguments[1]).starts_with('-')) {
    std::fputs("usage: generate-steps OUT.csv [SEED]\n", count == 2 ? stdout : stderr);
    return count == 2 ? 0 : 2;
  }
  std::uint64_t seed = serving_steps::default_seed;
  if (count == 3) {
    const std::string_view given = arguments[2];
    const auto [stop, code] = std::from_chars(given.data(), given.data() + given.size(), seed);
    if (code != std::errc() || stop != given.data() + given.size()) {
      std::fprintf(stderr, "generate-steps: the seed '%s' is not a whole number\n", arguments[2]);
      return 2;
    }
  }
  try {
    rafter::write_file(arguments[1], serving_steps::text(seed));
  } catch (const std::exception& why) {
    std::fprintf(stderr, "generate-steps: %s\n", why.what());
    return 2;
  }
}
