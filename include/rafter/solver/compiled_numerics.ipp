// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// The one translation unit of a program built with RAFTER_COMPILED_NUMERICS includes this file.
#pragma once

#include "rafter/solver/boosted_trees.ipp"
#include "rafter/solver/dense.ipp"
#include "rafter/solver/extended_least_squares.ipp"
#include "rafter/solver/identifiability.ipp"
#include "rafter/solver/non_negative_least_squares.ipp"
#include "rafter/solver/normal_form.ipp"
#include "rafter/solver/ridge_path.ipp"
#include "rafter/solver/solve_least_squares.ipp"
#include "rafter/solver/tree_bins.ipp"
#include "rafter/solver/trust_region.ipp"
