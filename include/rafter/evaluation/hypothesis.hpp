// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include "rafter/evaluation/hypothesis/condition.hpp"
#include "rafter/evaluation/hypothesis/evidence.hpp"
#include "rafter/evaluation/hypothesis/hypothesis.hpp"
#include "rafter/evaluation/hypothesis/measure.hpp"
#include "rafter/evaluation/hypothesis/quantity.hpp"
#include "rafter/evaluation/hypothesis/row_sets.hpp"
#include "rafter/evaluation/hypothesis/section.hpp"
#include "rafter/evaluation/hypothesis/truth.hpp"
