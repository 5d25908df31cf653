// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include "rafter/validation/fold.hpp"
#include "rafter/validation/leave_one_group_out.hpp"
#include "rafter/validation/split_policy.hpp"
#include "rafter/validation/splittable.hpp"
#include "rafter/validation/temporal.hpp"
#include "rafter/validation/time_order.hpp"
