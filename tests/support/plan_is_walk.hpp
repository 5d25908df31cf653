// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "rafter/architecture/catalog/mixtral.hpp"
#include "rafter/expression/evaluate.hpp"
#include "rafter/hardware/h100.hpp"
#include "support/battery.hpp"

namespace tiny {

inline const rafter::deployment engines[] = {
    rafter::deployment_of(rafter::static_deployment<dense, memory_bound>{}),
    rafter::deployment_of(rafter::static_deployment<rafter::mixtral_8x7b, rafter::h100_sxm, 2>{})};

template <class Plan, class Record>
std::vector<double> planned(const Record& record, const rafter::deployment& engine) {
  using run = rafter::detail::executor<Plan>;
  typename run::slot_array slots{};
  run::bind(slots.data(), engine);
  std::vector<double> values(Plan::outputs);
  run::step(slots.data(), record, [&](auto k, double v) { values[static_cast<std::size_t>(k())] = v; });
  return values;
}

/// One plan of all expressions, whose parts it shares, gives what each gives alone, walked as a tree, bit for bit.
template <class Battery> void expect_plan_is_walk(std::uint64_t seed) {
  using binding = rafter::detail::record_binding<rafter::deployment, state_step>;
  using plan = typename Battery::template plan<binding>;
  const std::vector<std::string> formulas = Battery::formulas();
  std::mt19937_64 random(seed);
  std::size_t finite = 0;
  for (int i = 0; i < 60; ++i) {
    state_step step = random_state_step(random);
    if (i == 0) step = {};
    const rafter::deployment& engine = engines[i % 2];
    const std::vector<double> expected = Battery::walked(step, engine);
    const std::vector<double> got = planned<plan>(step, engine);
    for (std::size_t k = 0; k < Battery::size; ++k) {
      EXPECT_PRED2(same, expected[k], got[k]) << "step " << i << ": " << formulas[k];
      finite += std::isfinite(expected[k]) ? 1U : 0U;
    }
  }
  EXPECT_GT(finite, 60 * Battery::size * 3 / 4);  // the comparison is of numbers, not of NaN with NaN
}

}  // namespace tiny
