// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include "rafter/core/diagnostic.hpp"
#include "rafter/core/error.hpp"
#include "rafter/core/fixed_string.hpp"
#include "rafter/core/math.hpp"
#include "rafter/core/nearest_name.hpp"
#include "rafter/core/pack.hpp"
#include "rafter/core/progress.hpp"
#include "rafter/core/random.hpp"
#include "rafter/core/sha256.hpp"
