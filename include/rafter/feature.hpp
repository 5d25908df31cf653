// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include "rafter/feature/catalog/blackbox.hpp"
#include "rafter/feature/catalog/correction.hpp"
#include "rafter/feature/catalog/kv_proxies.hpp"
#include "rafter/feature/catalog/scale_free.hpp"
#include "rafter/feature/catalog/study30.hpp"
#include "rafter/feature/catalog/work_metrics.hpp"
#include "rafter/feature/feature.hpp"
#include "rafter/feature/feature_set.hpp"
#include "rafter/feature/matrix.hpp"
