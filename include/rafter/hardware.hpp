// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include "rafter/hardware/a10.hpp"
#include "rafter/hardware/a100.hpp"
#include "rafter/hardware/accelerator.hpp"
#include "rafter/hardware/b200.hpp"
#include "rafter/hardware/catalog.hpp"
#include "rafter/hardware/h100.hpp"
#include "rafter/hardware/h20.hpp"
#include "rafter/hardware/h200.hpp"
#include "rafter/hardware/l4.hpp"
#include "rafter/hardware/l40s.hpp"
#include "rafter/hardware/mi300x.hpp"
#include "rafter/hardware/quantities.hpp"
