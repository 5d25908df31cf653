// rafter-study: the readers of all schemas, compiled once. SPDX-License-Identifier: Apache-2.0
#pragma once

#include "rafter/io/blis_steps.hpp"
#include "rafter/io/kernel_steps.hpp"
#include "rafter/io/rafter_steps.hpp"
#include "study.hpp"

namespace study {

// In one translation unit: tables, catalogues and errors are the same code for each.
rafter::dataset<rafter::blis_schema> read_blis_steps(const input& from, const rafter::progress_callback& progress);
rafter::dataset<rafter::kernel_schema> read_kernel_steps(const input& from,
                                                         const rafter::progress_callback& progress);
rafter::dataset<rafter::rafter_schema> read_rafter_steps(const input& from,
                                                         const rafter::progress_callback& progress);

}  // namespace study
