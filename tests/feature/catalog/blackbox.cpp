// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/feature/catalog/blackbox.hpp"

#include <gtest/gtest.h>

#include <array>

namespace {

using namespace rafter;

TEST(Blackbox, SeesTheTokensOfEachPhaseAndNothingElse) {
  EXPECT_EQ(catalog::blackbox_t::size, 2U);
  const std::array<request, 3> requests{request::prefilling(7, 2), request::decoding(5), request::decoding(9)};
  struct batch {
    std::array<request, 3> requests;
  };
  struct nothing {};
  EXPECT_EQ(catalog::blackbox.evaluate(batch{requests}, nothing{}), (std::array<double, 2>{7.0, 2.0}));
}

}  // namespace
