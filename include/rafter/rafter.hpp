// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include "rafter/analytical.hpp"
#include "rafter/architecture.hpp"
#include "rafter/config.hpp"
#include "rafter/core.hpp"
#include "rafter/estimator.hpp"
#include "rafter/evaluation.hpp"
#include "rafter/expression.hpp"
#include "rafter/feature.hpp"
#include "rafter/hardware.hpp"
#include "rafter/io.hpp"
#include "rafter/metrics.hpp"
#include "rafter/solver.hpp"
#include "rafter/step.hpp"
#include "rafter/units.hpp"
#include "rafter/validation.hpp"
#include "rafter/version.hpp"
