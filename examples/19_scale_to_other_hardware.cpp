// Kernel times of one device from those of another, by several rules. SPDX-License-Identifier: Apache-2.0
//   19_scale_to_other_hardware [folder of the external data]     without: a few made-up kernels
#include <cmath>
#include <cstdio>
#include <filesystem>

#include "rafter/analytical/wave_scaling.hpp"
#include "rafter/hardware/catalog.hpp"
#include "rafter/io/kernel_tables.hpp"

using namespace rafter;
using product_points = std::vector<operation_point<operations::matrix_product>>;
using rule = double (*)(double, operation_work, const accelerator_record&, const accelerator_record&);

double many_waves(double time, operation_work work, const accelerator_record& from, const accelerator_record& to) {
  work.blocks = 0.0;  // not counted
  return scaled_to_device(time, work, from, to);
}

/// Predicts the kernels of `to` that `from` measured too, by each rule; prints the absolute percentage errors.
template <class Operation>
void compare(const char* name, const std::vector<operation_point<Operation>>& from, const accelerator_record& origin,
             const std::vector<operation_point<Operation>>& to, const accelerator_record& destination) {
  const operation_table<Operation> known(from, origin);
  const std::pair<const char*, rule> rules[] = {
      {"waves counted", [](double time, auto work, auto& a, auto& b) { return scaled_to_device(time, work, a, b); }},
      {"many waves", many_waves},
      {"roofline ratio",
       [](double time, auto work, auto& a, auto& b) { return scaled_by_roofline(time, work, a, b); }},
      {"no scaling", [](double time, auto, auto&, auto&) { return time; }}};
  for (const auto& [title, scale] : rules) {
    std::vector<double> errors;
    double sum = 0.0;
    for (const auto& one : to) {
      const double there = known.seconds(one.shape, one.at);
      const double off =
          std::abs(scale(there, Operation::work(one.shape, one.at), origin, destination) / one.seconds - 1.0);
      if (std::isnan(off)) continue;  // not measured on both
      errors.push_back(off);
      sum += off;
    }
    std::printf("%-30s %-15s %8zu %10.2f %10.2f\n", name, title, errors.size(), 100.0 * detail::median_of(errors),
                100.0 * sum / static_cast<double>(errors.size()));
    name = "";
  }
}

product_points products_of(const std::filesystem::path& folder) {
  product_points points;
  for (const char* model : {"Llama-2-7b-hf", "CodeLlama-34b-Instruct-hf", "internlm-20b", "phi-2"}) {
    const auto more = points_of(read_vidur_gemms((folder / model / "mlp.csv").string()));
    points.insert(points.end(), more.begin(), more.end());
  }
  return points;
}

int main(int count, char** argument) {
  const auto h100 = record_of<h100_sxm>(), h200 = record_of<h200_sxm>(), a100 = record_of<a100_sxm_80gb>();
  const std::filesystem::path data = count == 2 ? argument[1] : "";
  std::puts("kernels                        rule              points   median %     mean %");
  if (!std::filesystem::exists(data / "aiconfigurator" / "h200_sxm")) {
    product_points made[2];  // 80 % of the roofline, and 4 us to start
    for (double m = 1.0; m <= 8192.0; m *= 2.0) {
      const std::array<double, 3> shape{16, 8192, 4096};
      const operation_work work = operations::matrix_product::work(shape, {m});
      for (int i : {0, 1}) made[i].push_back({shape, {m}, 4e-6 + roofline_seconds(work, i == 0 ? h100 : h200) / 0.8});
    }
    compare("products, made up, H100-H200", made[0], h100, made[1], h200);
    std::puts("(no measured kernels: name the folder of the external data)");
    return 0;
  }
  const operation_points old = read_aiconfigurator_folder(data / "aiconfigurator" / "h100_sxm");
  const operation_points fresh = read_aiconfigurator_folder(data / "aiconfigurator" / "h200_sxm");
  compare("products, H100-H200", old.products, h100, fresh.products, h200);
  compare("prefill attention, H100-H200", old.prompt_attention, h100, fresh.prompt_attention, h200);
  compare("decode attention, H100-H200", old.decode_attention, h100, fresh.decode_attention, h200);
  compare("products of vidur, H100-A100", products_of(data / "vidur" / "h100"), h100,
          products_of(data / "vidur" / "a100"), a100);
}
