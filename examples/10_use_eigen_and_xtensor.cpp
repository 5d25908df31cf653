// Columns, features and results in the libraries that you compute with. SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>

#include <Eigen/Dense>
#include <cstddef>
#include <xtensor/xmath.hpp>
#include <xtensor/xsort.hpp>
#include <xtensor/xview.hpp>

#include "examples/data/embedded_steps.hpp"
#include "rafter/estimator/predictors.hpp"
#include "rafter/evaluation/evaluate.hpp"
#include "rafter/evaluation/tensor.hpp"
#include "rafter/feature/matrix.hpp"
#include "rafter/io/rafter_steps.hpp"
#include "rafter/solver/eigen.hpp"
#include "rafter/step/xtensor.hpp"
#include "rafter/validation/leave_one_group_out.hpp"

int main() {
  using namespace rafter;
  const auto data = parse_rafter_steps(rafter_data::embedded_steps(), "embedded:steps.csv");

  // xtensor: columns are views of the dataset's memory, in base units.
  const auto time = target_tensor_of(data);
  const auto decoding = tensor_of(data, decode_tokens);
  fmt::print("median step {:.2f} ms; {:.1f} decode requests on average; same memory: {}\n", xt::median(time) * 1e3,
             xt::mean(decoding)(), time.data() == data.target().data());

  // Eigen: a feature matrix (column-major, made once) is mapped, not copied. Fit 1, prefill and decode tokens by
  // Eigen's own QR, and by rafter's solver from the same memory.
  const row_set rows = data.groups(group::model).rows_of(0);
  const feature_values made = feature_matrix(catalog::blackbox, data, rows);
  const Eigen::Map<const Eigen::MatrixXd> x = map_of(made);
  const Eigen::Map<const Eigen::VectorXd> all_times(data.target().data(), static_cast<Eigen::Index>(data.size()));
  const auto first = static_cast<Eigen::Index>(rows.ranges().front().begin);
  const auto y = all_times.segment(first, x.rows());  // the rows of one model follow each other in this file
  Eigen::MatrixXd with_one(x.rows(), x.cols() + 1);
  with_one << Eigen::VectorXd::Ones(x.rows()), x;
  const Eigen::VectorXd by_eigen = with_one.colPivHouseholderQr().solve(y);

  const array_design design = design_of(x, y);
  const linear_solution solution = ordinary_least_squares{}.solve(normal_equations::of(design), &design);
  const auto by_rafter = map_of(solution.coefficients);
  fmt::print("us per prefill token: {:.4f} by Eigen, {:.4f} by rafter; largest relative difference below 1e-9: {}\n",
             by_eigen[1] * 1e6, by_rafter[0] * 1e6,
             ((by_eigen.tail(2) - by_rafter).array() / by_rafter.array()).abs().maxCoeff() < 1e-9);

  // Results: one xtensor of (predictor, fold, metric) with names.
  const auto report = evaluate<predictors::blackbox, predictors::roofline0>(data, lomo{});
  const named_tensor results = tensor_of(report);
  const auto mape =
      xt::view(results.values, xt::all(), xt::all(), named_tensor::index_in(results.metrics, "mape", "metric"));
  for (std::size_t p = 0; p < results.predictors.size(); ++p) {
    fmt::print("{:<10} MAPE {:.2f} % in the worst of {} folds, {:.2f} % for llama-2-70b\n", results.predictors[p],
               100.0 * xt::amax(xt::row(mape, static_cast<std::ptrdiff_t>(p)))(), results.folds.size(),
               100.0 * results.at(results.predictors[p], "llama-2-70b", "mape"));
  }
}
