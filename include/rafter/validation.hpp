// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include "rafter/validation/composed_name.hpp"
#include "rafter/validation/fold.hpp"
#include "rafter/validation/holdout.hpp"
#include "rafter/validation/k_fold.hpp"
#include "rafter/validation/leave_one_group_out.hpp"
#include "rafter/validation/nested.hpp"
#include "rafter/validation/product.hpp"
#include "rafter/validation/random_order.hpp"
#include "rafter/validation/rolling_origin.hpp"
#include "rafter/validation/split_policy.hpp"
#include "rafter/validation/splittable.hpp"
#include "rafter/validation/subset_view.hpp"
#include "rafter/validation/temporal.hpp"
#include "rafter/validation/time_order.hpp"
#include "rafter/validation/whole_measurements.hpp"
#include "rafter/validation/within.hpp"
