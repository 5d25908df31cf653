// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include "rafter/analytical/corrected.hpp"
#include "rafter/analytical/curve_points.hpp"
#include "rafter/analytical/deployment.hpp"
#include "rafter/analytical/kernel_models.hpp"
#include "rafter/analytical/operation.hpp"
#include "rafter/analytical/operation_table.hpp"
#include "rafter/analytical/pool_state.hpp"
#include "rafter/analytical/roofline.hpp"
#include "rafter/analytical/step_operations.hpp"
#include "rafter/analytical/wave_scaling.hpp"
#include "rafter/analytical/work.hpp"
