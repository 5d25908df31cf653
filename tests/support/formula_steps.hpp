// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <random>
#include <vector>

#include "rafter/architecture/catalog/llama2.hpp"
#include "rafter/architecture/catalog/llama3.hpp"
#include "rafter/architecture/catalog/mixtral.hpp"
#include "rafter/hardware/h100.hpp"
#include "rafter/hardware/h200.hpp"
#include "support/kernel_formulas.hpp"

/// Deployments and steps on which the library's models and the formulas by hand are compared.
namespace by_hand {

/// Grouped and ungrouped heads, experts with and without a shared one, one to four ranks, two devices.
inline std::vector<rafter::deployment> engines() {
  using namespace rafter;
  std::vector<deployment> made{deployment_of(static_deployment<llama2_7b, h100_sxm, 1>{}),
                               deployment_of(static_deployment<llama2_7b, h100_sxm, 2>{}),
                               deployment_of(static_deployment<llama2_70b, h100_sxm, 4>{}),
                               deployment_of(static_deployment<llama3_8b, h200_sxm, 1>{}),
                               deployment_of(static_deployment<mixtral_8x7b, h100_sxm, 2>{}),
                               deployment_of(static_deployment<mixtral_8x7b, h100_sxm, 4>{})};
  made.push_back(made.back());
  made.back().architecture.shared_intermediate = 4096;
  return made;
}

/// Prompts of different lengths, with and without a past, beside decodes; each alone; one token; some seeded ones.
inline std::vector<step> steps() {
  using rafter::request;
  std::vector<step> made{
      {{request::prefilling(512)}, 1, 0},
      {{request::prefilling(37), request::prefilling(4096)}, 0, 0},
      {{request::prefilling(200, 9000), request::prefilling(17, 60000)}, 1, 0},
      {{request::decoding(15)}, 1, 1},
      {{request::decoding(15), request::decoding(12000)}, 0, 1},
      {{request::prefilling(1)}, 0, 0},
      {{request::prefilling(300, 100), request::prefilling(129, 0), request::decoding(5), request::decoding(900)},
       1,
       1},
      {{request::prefilling(16000)}, 0, 1},
  };
  std::mt19937_64 random(17);
  for (int i = 0; i < 24; ++i) {
    step one{{}, i % 2 == 0 ? 1.0 : 0.0, i % 3 == 0 ? 1.0 : 0.0};
    for (std::size_t n = random() % 3; n > 0; --n) {
      one.requests.push_back(request::prefilling(static_cast<double>(1 + random() % 900),
                                                 static_cast<double>(random() % 2 * (random() % 4000))));
    }
    const std::size_t decodes = one.requests.empty() ? 1 + random() % 300 : random() % 100;
    for (std::size_t n = decodes; n > 0; --n) {
      one.requests.push_back(request::decoding(static_cast<double>(random() % 5000)));
    }
    made.push_back(one);
  }
  return made;
}

}  // namespace by_hand
