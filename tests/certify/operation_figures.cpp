// Tables of measured operations against the steps composed of them, and what interpolation costs; figures of
// docs/per_operation.md. SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <iostream>
#include <map>
#include <set>
#include <span>
#include <string>
#include <tuple>
#include <vector>

#include "rafter/analytical/step_operations.hpp"
#include "rafter/io/kernel_steps.hpp"
#include "rafter/io/kernel_tables.hpp"
#include "support/data.hpp"

namespace {

using namespace rafter;

class MeasuredTables : public testing::Test {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(data_folder() / "aiconfigurator")) {
      GTEST_SKIP() << "no measured operations without external data in " << data_folder();
    }
  }
};

step_shape shape_of(const dataset<kernel_schema>& data, std::size_t row) {
  const auto at = [&](auto leaf) { return data.column(leaf)[row]; };
  step_shape step;
  step.tokens = at(prefill_tokens) + at(decode_tokens);
  step.prompts = at(prefill_requests);
  step.prompt_length = prompt_length_of(at(prefill_attention_pairs), step.prompts);
  step.decodes = at(decode_requests);
  step.kv_length = at(kv_mean);
  return step;
}

/// kernel_steps rounds a part to 0.001 us; the tables keep 5 digits of a kernel's time.
struct agreement {
  std::size_t rows = 0, apart = 0;
  double worst = 0.0;
  void compare(double got, double want) {
    ++rows;
    const double off = std::abs(got - want);
    apart += !(off <= std::max(0.002e-6, 5e-5 * want));
    if (want > 0.0) worst = std::max(worst, off / want);
  }
  void expect(const std::string& name) const {
    std::cout << name << ": " << rows << " rows, largest difference " << 100.0 * worst << " %\n";
    EXPECT_GT(rows, 0U) << name;
    EXPECT_EQ(apart, 0U) << name;
  }
};

TEST_F(MeasuredTables, GiveThePartsOfKernelStepsWhereTheseWereComposedOfThem) {
  for (const auto& [device, file] : {std::pair("h100_sxm", "steps.csv"), {"h200_sxm", "steps_h200.csv"}}) {
    const auto data = read_kernel_steps((data_folder() / "kernel_steps" / file).string());
    const auto gemm = data.column(gemm_time), prompt = data.column(prefill_attention_time);
    const auto decode = data.column(decode_attention_time), other = data.column(other_time);
    const group_column& models = data.groups(group::model);
    const accelerator_record& on = data.deployment(0).hardware;
    const operation_points points = read_aiconfigurator_folder(data_folder() / "aiconfigurator" / device);
    const operation_tables all(points, on, beyond_measured::refuse);
    std::map<std::string, operation_tables> vidur;  // by model: others measured the same shapes
    agreement products, of_vidur, elementwise, prompts, decodes;
    for (std::size_t row = 0; row < data.size(); ++row) {
      const step_shape step = shape_of(data, row);
      const deployment& runs = data.deployment_of(row);
      const operation_times parts = step_operations(all, runs, step, {.all_reduce = false});
      if (data.column(gemm_in_waves)[row] == 0.0) {
        products.compare(parts.products, gemm[row]);
      } else {
        const std::string& model = models.name(row);
        if (!vidur.contains(model)) {
          const std::string path = (data_folder() / "vidur" / "h100" / model / "mlp.csv").string();
          operation_points own;
          own.products = points_of(read_vidur_gemms(path));
          own.elementwise = read_vidur_elementwise(path);
          vidur.emplace(model, operation_tables(own, on, beyond_measured::refuse));
        }
        const operation_times measured = step_operations(vidur.at(model), runs, step, {.all_reduce = false});
        of_vidur.compare(measured.products, gemm[row]);
        elementwise.compare(measured.elementwise, other[row]);
      }
      if (step.prompts > 0.0) prompts.compare(parts.prompt_attention, prompt[row]);
      if (step.decodes > 0.0) decodes.compare(parts.decode_attention, decode[row]);
    }
    products.expect(std::string(device) + " products");
    prompts.expect(std::string(device) + " prefill attention");
    decodes.expect(std::string(device) + " decode attention");
    if (std::string(device) == "h100_sxm") {
      of_vidur.expect("h100 products of vidur");
      elementwise.expect("h100 elementwise kernels of vidur");
    }
  }
}

/// Absolute percentage errors.
struct errors {
  std::vector<double> off;
  double largest_median = 0.0;
  void add(std::vector<double> some) {
    if (some.empty()) return;
    off.insert(off.end(), some.begin(), some.end());
    largest_median = std::max(largest_median, detail::median_of(some));
  }
  void print(const std::string& name) {
    double sum = 0.0;
    for (const double one : off) sum += one;
    std::cout << name << ": " << off.size() << " points, median " << detail::median_of(off) << " %, mean "
              << sum / static_cast<double>(off.size()) << " %, largest median of one left out " << largest_median
              << " %\n";
  }
};

/// Leaves out all points of one value of a coordinate, predicts them from the rest, for each of the values.
template <class Operation>
errors without_lines(const std::vector<operation_point<Operation>>& points, std::size_t coordinate,
                     const std::vector<double>& values, const accelerator_record& on) {
  errors found;
  for (const double value : values) {
    std::vector<operation_point<Operation>> rest;
    for (const auto& one : points) {
      if (one.at[coordinate] != value) rest.push_back(one);
    }
    const operation_table<Operation> table(rest, on);
    std::vector<double> off;
    for (const auto& one : points) {
      const double time = one.at[coordinate] == value ? table.seconds(one.shape, one.at) : detail::not_a_number;
      if (time == time) off.push_back(100.0 * std::abs(time / one.seconds - 1.0));
    }
    found.add(std::move(off));
  }
  return found;
}

TEST_F(MeasuredTables, InterpolateWhatWasLeftOut) {
  const operation_points points = read_aiconfigurator_folder(data_folder() / "aiconfigurator" / "h100_sxm");
  const accelerator_record on = find_accelerator("h100");
  errors tokens = without_lines(points.products, 0, {2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192}, on);
  tokens.print("products without one number of tokens");
  EXPECT_LT(detail::median_of(tokens.off), 5.0);
  errors lengths = without_lines(points.prompt_attention, 1, {16, 64, 256, 1024, 4096}, on);
  lengths.print("prefill attention without one length");
  errors prompts = without_lines(points.prompt_attention, 0, {2, 4, 8, 16, 32}, on);
  prompts.print("prefill attention without one batch");
  errors kv = without_lines(points.decode_attention, 1, {16, 64, 256, 1024, 4096, 16384}, on);
  kv.print("decode attention without one KV length");
  EXPECT_LT(detail::median_of(kv.off), 10.0);
  errors batch = without_lines(points.decode_attention, 0, {2, 4, 8, 16, 32, 64, 128}, on);
  batch.print("decode attention without one batch");
}

TEST_F(MeasuredTables, ScaleToShapesThatWereLeftOut) {
  const operation_points points = read_aiconfigurator_folder(data_folder() / "aiconfigurator" / "h100_sxm");
  const accelerator_record on = find_accelerator("h100");
  const auto left_out = [&](const auto& all, std::size_t every, const char* name) {
    using operation_points_type = std::decay_t<decltype(all)>;
    std::set<decltype(all.front().shape)> shapes;
    for (const auto& one : all) shapes.insert(one.shape);
    errors found;
    std::size_t number = 0;
    for (const auto& shape : shapes) {
      if (number++ % every != every / 2) continue;
      operation_points_type rest, own;
      for (const auto& one : all) (one.shape == shape ? own : rest).push_back(one);
      const auto table = [&] {
        return operation_table(std::span<const typename operation_points_type::value_type>(rest), on,
                               beyond_measured::roofline_scaled);
      }();
      std::vector<double> off;
      for (const auto& one : own)
        off.push_back(100.0 * std::abs(table.seconds(one.shape, one.at) / one.seconds - 1.0));
      found.add(std::move(off));
    }
    found.print(name);
    EXPECT_LT(detail::median_of(found.off), 25.0) << name;
  };
  left_out(points.products, 37, "products of a shape left out");
  left_out(points.prompt_attention, 5, "prefill attention of a shape left out");
  left_out(points.decode_attention, 5, "decode attention of a shape left out");
}

}  // namespace
