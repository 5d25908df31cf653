// rafter-study: tables of single operations for per-operation predictors. SPDX-License-Identifier: Apache-2.0
#include "operations.hpp"

#include <algorithm>
#include <filesystem>
#include <span>
#include <utility>
#include <vector>

#include "rafter/estimator/estimator.hpp"
#include "rafter/hardware/h100.hpp"
#include "rafter/io/kernel_tables.hpp"

namespace study {
namespace {
std::string& folder() {
  static std::string path;
  return path;
}

rafter::operation_tables read_tables() {
  using namespace rafter;
  if (folder().empty()) throw fit_error("it needs tables of operations: --tables FOLDER");
  const std::filesystem::path root = folder(), measured = root / "aiconfigurator" / "h100_sxm";
  if (!std::filesystem::exists(measured / "gemm.csv")) {
    throw fit_error("it needs tables of operations, and there is no " + (measured / "gemm.csv").string());
  }
  operation_points points = read_aiconfigurator_folder(measured);
  std::vector<std::filesystem::path> models;
  if (const auto vidur = root / "vidur" / "h100"; std::filesystem::is_directory(vidur)) {
    for (const auto& one : std::filesystem::directory_iterator(vidur)) models.push_back(one.path() / "mlp.csv");
  }
  std::sort(models.begin(), models.end());
  for (const std::filesystem::path& path : models) {
    const auto products = points_of(read_vidur_gemms(path.string()));
    add_new_shapes(points.products, std::span<const operation_point<operations::matrix_product>>(products));
    const auto rest = read_vidur_elementwise(path.string());
    add_new_shapes(points.elementwise, std::span<const operation_point<operations::elementwise>>(rest));
  }
  return {points, record_of<h100_sxm>(), beyond_measured::roofline_scaled};
}
}  // namespace

void use_tables(std::string path) { folder() = std::move(path); }

const rafter::operation_tables& measured_operations::tables() {
  static const rafter::operation_tables made = read_tables();
  return made;
}

}  // namespace study
