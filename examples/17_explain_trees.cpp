// Trees from XGBoost and back, and what their predictions are made of. SPDX-License-Identifier: Apache-2.0
//   17_explain_trees [folder with data.csv and base/model.json]     without: below $RAFTER_DATA, where there is one
#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "examples/data/embedded_steps.hpp"
#include "rafter/analytical.hpp"
#include "rafter/evaluation/importance.hpp"
#include "rafter/io/csv.hpp"
#include "rafter/io/rafter_steps.hpp"
#include "rafter/io/xgboost_model.hpp"
#include "rafter/validation.hpp"

namespace {

using namespace rafter;
using namespace rafter::literals;

/// A record of one's own, and a feature of each member: the names and the order that the model was trained with.
struct reading {
  double u64, u12_nan, const7, quart_nan, bin, gamma;
};
template <fixed_string Name, auto Member> struct field : observable<Name, units::none, level::step> {
  static constexpr double read(const reading& one) { return one.*Member; }
};
constexpr auto fields = feature_set{
    "u64"_f = field<"u64", &reading::u64>{},          "u12_nan"_f = field<"u12_nan", &reading::u12_nan>{},
    "const7"_f = field<"const7", &reading::const7>{}, "quart_nan"_f = field<"quart_nan", &reading::quart_nan>{},
    "bin"_f = field<"bin", &reading::bin>{},          "gamma"_f = field<"gamma", &reading::gamma>{},
};
using imported = trees_predictor<decltype(fields)::set_type, objective::squared>;

/// Row after row; an empty cell is NaN.
std::vector<std::vector<double>> numbers_in(const std::string& path) {
  csv_table_reader table(path);
  std::vector<std::vector<double>> rows;
  for (csv_row row; table.next(row);) {
    std::vector<double>& numbers = rows.emplace_back(table.header().size());
    for (std::size_t c = 0; c < numbers.size(); ++c) numbers[c] = row.optional_number(c).value_or(std::nan(""));
  }
  return rows;
}

/// @returns whether all is as XGBoost has it
bool explain_imported(const std::string& folder) {
  const imported model(read_xgboost_model(folder + "/base/model.json"));
  const auto rows = numbers_in(folder + "/data.csv"), predicted = numbers_in(folder + "/base/pred.csv");
  const auto shap = numbers_in(folder + "/base/contribs_first60.csv");
  double difference = 0.0;
  std::size_t same_bits = 0;
  const auto reading_of = [](const std::vector<double>& x) { return reading{x[0], x[1], x[2], x[3], x[4], x[5]}; };
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const double here = model.predict(reading_of(rows[i]), no_deployment{}).value;
    difference = std::max(difference, std::abs(here - predicted[i][0]));
    same_bits += here == model.ensemble().margin(rows[i].data()) ? 1 : 0;
  }
  fmt::print("{} trees of XGBoost's, {} rows: predictions differ from its own by {:.1e} at most (1e-5 is allowed)\n",
             model.ensemble().trees.size(), rows.size(), difference);
  fmt::print("compiled layout and plain walk: {} of {} equal bit for bit\n\n", same_bits, rows.size());

  const attribution made = explainer(model)(reading_of(rows[0]), no_deployment{});
  const auto asked = importance(model.ensemble());
  fmt::print("{:<12} {:>8} {:>9} {:>9} {:>7} {:>10}\n", "first row", "value", "here", "XGBoost", "splits", "gain");
  fmt::print("{:<12} {:>8} {:>9.5f} {:>9.5f}\n", "base", "", made.base, shap[0][6]);
  for (std::size_t k = 0; k < made.names.size(); ++k) {
    fmt::print("{:<12} {:>8} {:>9.5f} {:>9.5f} {:>7} {:>10.2f}\n", made.names[k], rows[0][k], made.contributions[k],
               shap[0][k], asked[k].weight, asked[k].gain());
  }
  const double error = made.explained() - model.predict(reading_of(rows[0]), no_deployment{}).value;
  fmt::print("{:<12} {:>8} {:>9.5f}  {}\n\n", "sum", "", made.explained(),
             std::abs(error) < 1e-12 ? "the prediction, to 1e-12" : "NOT the prediction");
  return difference < 1e-5 && same_bits == rows.size() && std::abs(error) < 1e-12;
}

constexpr auto of_step = feature_set{
    "prefill_tokens"_f = prefill_tokens,        "prefill_requests"_f = prefill_requests,
    "decode_requests"_f = decode_requests,      "kv_sum"_f = kv_sum,
    "tensor_parallel"_f = tensor_parallel,      "layers"_f = architecture::layers,
    "gemm"_f = roofline(analytical::step_gemm),  // seconds
};
using own = trees<of_step, objective::log_target, study_boosting<4>>;

}  // namespace

int main(int argc, char** argv) {
  const char* const set = std::getenv("RAFTER_DATA");
  const std::string folder =
      argc > 1 ? argv[1] : std::string(set != nullptr ? set : "../shared/data") + "/fixtures/trees/grid2000x6";
  const bool there = std::filesystem::exists(folder + "/base/model.json");
  if (!there) fmt::print("skipped: reading a model of XGBoost's, of which there is none at {}\n\n", folder);
  const bool as_xgboost = !there || explain_imported(folder);

  const auto data = parse_rafter_steps(rafter_data::embedded_steps(), "embedded:steps.csv");
  const auto folds = checked_folds(data, lomo{});
  const auto outcome = evaluate_on_folds<own>(data, folds);
  const auto& first = outcome.fitted.front();
  fmt::print("one step of {}, explained by trees that never saw the model\n{}\n", folds.front().held_out,
             attributions(first, data, row_set::of({0}))[0].table().plain());
  const auto stability = importance_stability(attribution_importance(outcome.fitted, data, folds), 3);
  fmt::print("{} over {} folds\n{}{}\n", stability.measure, stability.folds, stability.table().plain(),
             stability.agreement().plain());

  const std::string text = write_xgboost_json(first.ensemble());
  const trees_predictor<own::features, own::objective_type> again(parse_xgboost_json(text, "written here"));
  std::vector<double> before(data.size()), after(data.size());
  first.predict(data, row_set::all(data.size()), before);
  again.predict(data, row_set::all(data.size()), after);
  double off = 0.0;
  for (std::size_t i = 0; i < before.size(); ++i) off = std::max(off, std::abs(after[i] / before[i] - 1));
  const bool good = first.ensemble().trees == again.ensemble().trees && off < 1e-6;
  fmt::print("written for XGBoost and read back: {} trees, {}; predictions within {:.0e}\n",
             again.ensemble().trees.size(), good ? "all as they were" : "NOT as they were", off);
  return as_xgboost && good ? 0 : 1;
}
