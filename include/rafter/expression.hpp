// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include "rafter/expression/availability.hpp"
#include "rafter/expression/evaluate.hpp"
#include "rafter/expression/formula.hpp"
#include "rafter/expression/node.hpp"
#include "rafter/expression/operators.hpp"
#include "rafter/expression/parameter.hpp"
#include "rafter/expression/tape.hpp"
