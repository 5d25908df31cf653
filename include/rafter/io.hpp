// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include "rafter/io/blis_steps.hpp"
#include "rafter/io/csv.hpp"
#include "rafter/io/digest.hpp"
#include "rafter/io/error.hpp"
#include "rafter/io/file.hpp"
#include "rafter/io/huggingface_config.hpp"
#include "rafter/io/json.hpp"
#include "rafter/io/kernel_steps.hpp"
#include "rafter/io/kernel_tables.hpp"
#include "rafter/io/mfu_points.hpp"
#include "rafter/io/rafter_steps.hpp"
#include "rafter/io/step_reader.hpp"
#include "rafter/io/steps.hpp"
#include "rafter/io/ubjson.hpp"
#include "rafter/io/xgboost_model.hpp"
