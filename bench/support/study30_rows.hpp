// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <vector>

#include "rafter/core/math.hpp"
#include "support/plan.hpp"
#include "support/workload.hpp"

namespace bench {

/// The reference workload as a matrix of its 30 features, column-major, and the logarithm of the step time [µs].
struct study30_rows {
  std::size_t rows, stride;
  std::vector<double> x, log_time;

  explicit study30_rows(const reference_data& data)
      : rows(data.size()),
        stride((rows + 2 * rafter::pack_width) / rafter::pack_width * rafter::pack_width),
        x(stride * study30::size) {
    const rafter::row_set all = rafter::row_set::all(rows);
    plan_to_matrix(study30_columns(data, all), all, x.data(), stride);
    const double* time = data.column<rafter::gpu_step_time_t>().data();
    for (std::size_t row = 0; row < rows; ++row) log_time.push_back(rafter::log(1e6 * time[row]));
  }
};

}  // namespace bench
