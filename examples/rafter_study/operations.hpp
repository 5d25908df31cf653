// rafter-study: tables of single operations for per-operation predictors. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "rafter/analytical/operation_table.hpp"

namespace study {

/// Where the tables are: the folder of `aiconfigurator` and `vidur`, as the external data has them. Before anything
/// runs.
void use_tables(std::string folder);

/// The H100's, read when first asked for: aiconfigurator's, with the matrix products of shapes that these lack and
/// the elementwise kernels from vidur where it is there. Other devices are scaled from them.
struct measured_operations {
  static constexpr std::string_view name = "tables of the H100";
  /// @throws rafter::fit_error when nobody said where they are or they are not there, io_error for a bad one
  static const rafter::operation_tables& tables();
};

}  // namespace study
