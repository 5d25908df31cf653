// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// opt-in: the language of hypotheses takes a second or two to compile; for those who state them.
#pragma once

#include "rafter/evaluation/hypothesis/condition.hpp"
#include "rafter/evaluation/hypothesis/evidence.hpp"
#include "rafter/evaluation/hypothesis/hypothesis.hpp"
#include "rafter/evaluation/hypothesis/measure.hpp"
#include "rafter/evaluation/hypothesis/quantity.hpp"
#include "rafter/evaluation/hypothesis/row_sets.hpp"
#include "rafter/evaluation/hypothesis/section.hpp"
#include "rafter/evaluation/hypothesis/truth.hpp"
