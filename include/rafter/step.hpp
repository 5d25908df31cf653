// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include "rafter/step/columns.hpp"
#include "rafter/step/dataset.hpp"
#include "rafter/step/digest.hpp"
#include "rafter/step/groups.hpp"
#include "rafter/step/load_direction.hpp"
#include "rafter/step/observables.hpp"
#include "rafter/step/record.hpp"
#include "rafter/step/rows.hpp"
#include "rafter/step/schema.hpp"
