// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include "rafter/solver/dense.hpp"
#include "rafter/solver/double_double.hpp"
#include "rafter/solver/extended_least_squares.hpp"
#include "rafter/solver/least_squares.hpp"
#include "rafter/solver/linear_solver.hpp"
#include "rafter/solver/moments.hpp"
#include "rafter/solver/non_negative_least_squares.hpp"
#include "rafter/solver/ordinary_least_squares.hpp"
#include "rafter/solver/ridge.hpp"
#include "rafter/solver/ridge_path.hpp"
#include "rafter/solver/solve_least_squares.hpp"
