// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// Layouts before training: names inside rafter::detail must not hide those of rafter.
#include "rafter/solver/tree_layout.hpp"
// not sorted on purpose
#include "rafter/solver/boosted_trees.hpp"

static_assert(sizeof(rafter::tree_cuts) > 0 && sizeof(rafter::tree_layout) > 0);
