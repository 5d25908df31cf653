// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// The report of a small evaluation, letter for letter. RAFTER_WRITE_GOLDEN=1 writes the files anew, for a reviewed diff.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>

#include "rafter/estimator/nonlinear.hpp"
#include "rafter/estimator/predictors.hpp"
#include "rafter/evaluation/evaluate.hpp"
#include "rafter/evaluation/text.hpp"
#include "rafter/validation/leave_one_group_out.hpp"
#include "support/engine_steps.hpp"

namespace {

using namespace rafter;
using namespace rafter::literals;

// Only the quotient of two parameters is determined, and a third has no effect.
inline constexpr bounded<"factor", 0.1_c, 1_c, 1e9_c> factor{};
inline constexpr bounded<"efficiency", 0.01_c, 0.5_c, 1_c> efficiency{};
inline constexpr bounded<"overhead", 0_c, 1_c, 10_c, units::second> overhead{};
inline constexpr bounded<"sleep", 0_c, 1_c, 10_c, units::second> sleep{};
struct parametric : nonlinear<factor / efficiency * analytical::floor_time + overhead +
                              sleep * indicator(decode_tokens < 0_c * decode_tokens)> {
  static constexpr std::string_view label = "parametric";
};
struct factor_only : nonlinear<factor * analytical::floor_time> {
  static constexpr std::string_view label = "factor_only";
};

evaluation_report report() {
  std::vector<double> floors;
  const auto steps = tiny::random_engine_steps(400, 77);
  const auto unit = tiny::dataset_of(steps, [](const auto&, std::size_t) { return 1.0; });
  floors.resize(400);
  analytical_model<analytical::floor_time>::fit(unit, row_set::all(400)).predict(unit, row_set::all(400), floors);
  const auto data = tiny::dataset_of(steps, [&](const tiny::engine_step& s, std::size_t i) {
    const double time = floors[i] * (1.25 + static_cast<double>(i % 7) / 16) + s.prefill_tokens / 64;
    return i == 123 || i == 321 ? floors[i] / 2 : time;  // two bad rows, to be looked at
  });
  evaluation_report made =
      evaluate<predictors::mean, predictors::blackbox, predictors::blackbox_relative, parametric, factor_only>(
          data, lomo{}, {.progress = {}, .split_worst_fold = true});
  predictor_result refused;
  refused.predictor = "roofline9";
  refused.refused = "the schema lacks 'prefill_attention_pairs'";
  made.results.push_back(refused);
  made.notes.push_back("two rows were made implausible on purpose");
  return made;
}

void expect_file(const std::string& name, const std::string& text) {
  const std::string path = "tests/golden/" + name;  // tests run at the source root
  if (std::getenv("RAFTER_WRITE_GOLDEN") != nullptr) std::ofstream(path) << text;
  std::ifstream in(path);
  ASSERT_TRUE(in) << "cannot open " << path;
  std::stringstream expected;
  expected << in.rdbuf();
  EXPECT_EQ(text, expected.str()) << path;
}

TEST(ReportGolden, Text) { expect_file("report.txt", text_of(report())); }
TEST(ReportGolden, Markdown) { expect_file("report.md", markdown_of(report())); }

}  // namespace
