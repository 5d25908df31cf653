// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include "rafter/architecture/catalog.hpp"
#include "rafter/architecture/catalog/codellama.hpp"
#include "rafter/architecture/catalog/deepseek_v3.hpp"
#include "rafter/architecture/catalog/internlm.hpp"
#include "rafter/architecture/catalog/llama2.hpp"
#include "rafter/architecture/catalog/llama3.hpp"
#include "rafter/architecture/catalog/mistral.hpp"
#include "rafter/architecture/catalog/mixtral.hpp"
#include "rafter/architecture/catalog/qwen2.hpp"
#include "rafter/architecture/catalog/qwen3.hpp"
#include "rafter/architecture/decoder.hpp"
#include "rafter/architecture/dense.hpp"
#include "rafter/architecture/kv_cache.hpp"
#include "rafter/architecture/mla.hpp"
#include "rafter/architecture/moe.hpp"
#include "rafter/architecture/quantities.hpp"
