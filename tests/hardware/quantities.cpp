// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/hardware/quantities.hpp"

#include <gtest/gtest.h>

#include <string>

#include "rafter/analytical/kernel_models.hpp"
#include "rafter/architecture/catalog/llama2.hpp"
#include "rafter/hardware/h100.hpp"
#include "support/message.hpp"
#include "support/parametric_value.hpp"
#include "support/tiny.hpp"

namespace {

using namespace rafter;

const tiny::step mixed{{request::prefilling(20), request::decoding(3)}};

TEST(HardwareQuantities, AreThoseOfTheDeploymentsDevice) {
  const static_deployment<llama2_7b, h100_sxm> fixed{};
  EXPECT_EQ(tiny::value(hardware::multiprocessors, mixed, fixed), 132.0);
  EXPECT_EQ(tiny::value(hardware::cache_capacity, mixed, fixed), 50e6);
  EXPECT_EQ(tiny::value(hardware::multiprocessors, mixed, deployment_of(fixed)), 132.0);
  EXPECT_EQ(tiny::value(hardware::cache_capacity, mixed, deployment_of(fixed)), 50e6);
}
TEST(HardwareQuantities, ThatARecordDoesNotKnowAreRefusedByNameWhereAModelNeedsThem) {
  deployment unknown = deployment_of(static_deployment<llama2_7b, h100_sxm>{});
  unknown.hardware.name = "mystery";
  unknown.hardware.multiprocessors = 0;
  EXPECT_EQ(message_of([&] { tiny::value(hardware::multiprocessors, mixed, unknown); }),
            "accelerator 'mystery': its number of multiprocessors is not known, and the model needs it");
  constexpr auto model = analytical::best<analytical::serving_conditions>;
  EXPECT_THROW(tiny::value_at(model, std::vector<double>(12, 1.0), mixed, unknown), hardware_error);
  unknown.hardware.multiprocessors = 132;
  EXPECT_NO_THROW(tiny::value_at(model, std::vector<double>(12, 1.0), mixed, unknown));
  unknown.hardware.cache_capacity = bytes{0.0};
  EXPECT_EQ(message_of([&] { tiny::value(hardware::cache_capacity, mixed, unknown); }),
            "accelerator 'mystery': its cache capacity is not known, and the model needs it");
  // A model that does not need them does not mind.
  EXPECT_NO_THROW(tiny::value(analytical::roofline_step_time, mixed, unknown));
}
// A device type that does not say lacks the observable, at compile time.
using with_tiny = rafter::detail::record_binding<static_deployment<tiny::dense, tiny::memory_bound>, tiny::step>;
using with_h100 = rafter::detail::record_binding<static_deployment<tiny::dense, h100_sxm>, tiny::step>;
static_assert(!evaluable_on<hardware::multiprocessors_t, with_tiny>);
static_assert(!evaluable_on<hardware::cache_capacity_t, with_tiny>);
static_assert(evaluable_on<hardware::multiprocessors_t, with_h100>);

}  // namespace
