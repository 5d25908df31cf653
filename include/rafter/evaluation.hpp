// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include "rafter/evaluation/error_split.hpp"
#include "rafter/evaluation/evaluate.hpp"
#include "rafter/evaluation/html.hpp"
#include "rafter/evaluation/json.hpp"
#include "rafter/evaluation/parameter_efficiency.hpp"
#include "rafter/evaluation/parameter_table.hpp"
#include "rafter/evaluation/plausibility.hpp"
#include "rafter/evaluation/rendering/columns.hpp"
#include "rafter/evaluation/report.hpp"
#include "rafter/evaluation/section.hpp"
#include "rafter/evaluation/stacked.hpp"
#include "rafter/evaluation/step_view.hpp"
#include "rafter/evaluation/table.hpp"
#include "rafter/evaluation/text.hpp"
#include "rafter/evaluation/transfer.hpp"
#include "rafter/evaluation/tuned.hpp"
