// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include "rafter/metrics/absolute_error.hpp"
#include "rafter/metrics/accurate_sum.hpp"
#include "rafter/metrics/conformal_quantile.hpp"
#include "rafter/metrics/correlation.hpp"
#include "rafter/metrics/error_summary.hpp"
#include "rafter/metrics/log_ratio.hpp"
#include "rafter/metrics/metric.hpp"
#include "rafter/metrics/percentage_error.hpp"
#include "rafter/metrics/quantile.hpp"
#include "rafter/metrics/quantile_error.hpp"
