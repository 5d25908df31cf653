// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include "rafter/statistics/autocorrelation.hpp"
#include "rafter/statistics/block_length.hpp"
#include "rafter/statistics/error.hpp"
#include "rafter/statistics/hypothesis.hpp"
#include "rafter/statistics/multiple_comparisons.hpp"
#include "rafter/statistics/resampling.hpp"
