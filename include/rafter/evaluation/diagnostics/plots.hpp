// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// opt-in: by name, or all diagnoses with rafter/evaluation/diagnose.hpp.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <numeric>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rafter/config.hpp"
#include "rafter/core/random.hpp"
#include "rafter/evaluation/diagnostics/tested_errors.hpp"
#include "rafter/evaluation/parameter_efficiency.hpp"
#include "rafter/evaluation/parameter_table.hpp"
#include "rafter/evaluation/section.hpp"
#include "rafter/evaluation/text.hpp"

/// Pictures of a report as data; what draws them is the renderer's business.
namespace rafter {

struct plot_options {
  std::size_t points = 2000;  ///< of one predictor, at most
  std::uint64_t seed = 1;     ///< of the choice of points
  shown_predictors shown = {};
};

namespace detail {

/// A name as the id of a plot: lower-case letters, digits and hyphens.
inline std::string id_of(std::string_view name) {
  std::string made;
  for (const char c : name) {
    const bool upper = c >= 'A' && c <= 'Z';
    if (upper || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) {
      made += upper ? static_cast<char>(c - 'A' + 'a') : c;
    } else if (!made.empty() && made.back() != '-') {
      made += '-';
    }
  }
  while (!made.empty() && made.back() == '-') made.pop_back();
  return made;
}

/// Up to `most` of [0, count), ascending: those of the `keep` largest keys, the rest by chance.
RAFTER_COLD inline std::vector<std::size_t> chosen(std::size_t count, std::size_t most, std::uint64_t seed,
                                                   const std::vector<double>& keys, std::size_t keep) {
  std::vector<std::size_t> order(count);
  std::iota(order.begin(), order.end(), std::size_t{0});
  if (count <= most) return order;
  keep = std::min(keep, most);
  std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(keep), order.end(),
                    [&](std::size_t a, std::size_t b) { return keys[a] != keys[b] ? keys[a] > keys[b] : a < b; });
  std::sort(order.begin() + static_cast<std::ptrdiff_t>(keep), order.end());  // whatever partial_sort left
  seeded_numbers random(seed);
  for (std::size_t i = keep; i < most; ++i) std::swap(order[i], order[i + random.below(count - i)]);
  order.resize(most);
  std::sort(order.begin(), order.end());
  return order;
}

inline std::string points_shown(std::size_t shown, std::size_t all) {
  return shown == all ? fmt::format("{} points", grouped(all))
                      : fmt::format("{} of {} points: the largest errors and a seeded choice of the others",
                                    grouped(shown), grouped(all));
}

inline std::string predictors_shown(std::size_t shown, const evaluation_report& report) {
  const std::size_t all = results_with_predictions(report).size();
  return shown == all ? std::string() : fmt::format("{} of {} predictors are shown", shown, all);
}

/// The section with a picture that has a series for each shown predictor.
inline report_section with_picture(report_section made, plot picture, const evaluation_report& report) {
  if (picture.series.empty()) {
    made.blocks.push_back(paragraph{no_predictions_kept});
    return made;
  }
  picture.note = predictors_shown(picture.series.size(), report);
  made.blocks.push_back(std::move(picture));
  return made;
}

}  // namespace detail

/// Predicted against measured time of the tested rows, a plot for each shown predictor. The tenth of the points with
/// the largest |log(predicted / measured)|, and the shortest and longest step, are always among them. Predictions
/// that are not positive have no place on the axes and are counted.
RAFTER_COLD inline report_section predicted_against_measured_section(const evaluation_report& report,
                                                                     const plot_options& options = {}) {
  using namespace detail;
  report_section made{"predicted-against-measured", "Predicted against measured", "", {}};
  for (const predictor_result* one : selected(report, options.shown)) {
    const tested_errors errors = tested_errors_of(*one);
    std::vector<std::size_t> positive;
    for (std::size_t i = 0; i < errors.size(); ++i) {
      if (errors.actual[i] > 0.0 && errors.predicted[i] > 0.0) positive.push_back(i);
    }
    if (positive.empty()) {
      made.blocks.push_back(paragraph{one->predictor + ": no prediction of a tested row is positive."});
      continue;
    }
    std::vector<double> size;
    std::size_t shortest = 0, longest = 0;
    for (std::size_t k = 0; k < positive.size(); ++k) {
      const std::size_t i = positive[k];
      size.push_back(std::fabs(std::log(errors.predicted[i] / errors.actual[i])));
      if (errors.actual[i] < errors.actual[positive[shortest]]) shortest = k;
      if (errors.actual[i] > errors.actual[positive[longest]]) longest = k;
    }
    const double low = errors.actual[positive[shortest]], high = errors.actual[positive[longest]];
    size[shortest] = size[longest] = std::numeric_limits<double>::infinity();
    plot picture;
    picture.id = "predicted-against-measured-" + id_of(one->predictor);
    picture.title = one->predictor;
    picture.x = {"measured time (us)", true};
    picture.y = {"predicted time (us)", true};
    plot_series steps{"steps", series_style::points, {}, {}};
    for (const std::size_t k :
         chosen(positive.size(), options.points, options.seed, size, std::max<std::size_t>(options.points / 10, 2))) {
      steps.x.push_back(1e6 * errors.actual[positive[k]]);
      steps.y.push_back(1e6 * errors.predicted[positive[k]]);
    }
    picture.note = points_shown(steps.x.size(), positive.size());
    if (const std::size_t left = errors.size() - positive.size() + errors.undefined; left > 0) {
      picture.note +=
          fmt::format("; {} steps have a time or prediction that is not positive and no place here", grouped(left));
    }
    picture.series.push_back(std::move(steps));
    picture.series.push_back(
        {"predicted = measured", series_style::lines, {1e6 * low, 1e6 * high}, {1e6 * low, 1e6 * high}});
    made.blocks.push_back(std::move(picture));
  }
  if (made.blocks.empty()) made.blocks.push_back(paragraph{no_predictions_kept});
  return made;
}

/// Share of the tested rows whose |error| is at most x, a line for each shown predictor, at 100 shares and the
/// largest.
RAFTER_COLD inline report_section error_distribution_section(const evaluation_report& report,
                                                             const plot_options& options = {}) {
  using namespace detail;
  report_section made{"error-distribution", "Distribution of errors", "", {}};
  plot picture;
  picture.id = "error-distribution";
  picture.title = "Distribution of |error|";
  picture.x = {"|error| (%)", true};
  picture.y = {"steps with at most this error (%)", false};
  for (const predictor_result* one : selected(report, options.shown)) {
    std::vector<double> absolute = tested_errors_of(*one).relative;
    for (double& each : absolute) each = std::fabs(each);
    std::sort(absolute.begin(), absolute.end());
    plot_series line{one->predictor, series_style::lines, {}, {}};
    for (std::size_t percent = 1; percent <= 100 && !absolute.empty(); ++percent) {
      // The smallest error that so many rows do not exceed; a step of the distribution function itself.
      const std::size_t rank = (percent * absolute.size() + 99) / 100 - 1;
      if (absolute[rank] <= 0.0) continue;  // no place on a logarithmic axis
      line.x.push_back(100.0 * absolute[rank]);
      line.y.push_back(static_cast<double>(percent));
    }
    picture.series.push_back(std::move(line));
  }
  return with_picture(std::move(made), std::move(picture), report);
}

/// Steps on the roofline of their device: arithmetic intensity against achieved FLOP/s, both of one rank, with the
/// roofs of the deployments' devices. Needs no predictor.
RAFTER_COLD inline report_section roofline_section(const step_view& view, const plot_options& options = {}) {
  using namespace detail;
  report_section made{"roofline", "Steps on the roofline", "", {}};
  const std::vector<double>*flops = view.find("flops"), *traffic = view.find("bytes");
  if (flops == nullptr || traffic == nullptr || view.peak_flops.empty() || view.hbm_bandwidth.empty()) {
    made.blocks.push_back(
        paragraph{"Not made: the schema does not say what a step computes and reads, or on which device."});
    return made;
  }
  std::vector<std::size_t> rows;
  std::vector<double> distance;  // below the roof, as a logarithm; above it counts most
  std::size_t above = 0;
  double low = std::numeric_limits<double>::infinity(), high = 0.0;
  for (std::size_t row = 0; row < view.rows; ++row) {
    const double work = (*flops)[row], moved = (*traffic)[row], time = view.times[row];
    if (!(work > 0.0 && moved > 0.0 && time > 0.0)) continue;
    const std::size_t on = view.deployment[row];
    const double roof = std::min(view.peak_flops[on], work / moved * view.hbm_bandwidth[on]);
    const double reached = work / time / roof;
    above += reached > 1.0 ? 1U : 0U;
    rows.push_back(row);
    distance.push_back(reached);
    low = std::min(low, work / moved);
    high = std::max(high, work / moved);
  }
  if (rows.empty()) {
    made.blocks.push_back(paragraph{"Not made: no step has work and a time."});
    return made;
  }
  plot picture;
  picture.id = "roofline";
  picture.title = "Roofline";
  picture.x = {"arithmetic intensity (FLOP/byte)", true};
  picture.y = {"achieved FLOP/s of one rank", true};
  const std::vector<std::size_t> order =
      chosen(rows.size(), options.points, options.seed, distance, std::max<std::size_t>(options.points / 20, 1));
  std::array<plot_series, 4> series;
  for (std::size_t phase = 0; phase < series.size(); ++phase) {
    series[phase].name = view.phases.empty() ? "steps" : std::string(name_of(static_cast<step_phase>(phase)));
  }
  for (const std::size_t k : order) {
    const std::size_t row = rows[k];
    plot_series& to = series[view.phases.empty() ? 0 : static_cast<std::size_t>(view.phases[row])];
    to.x.push_back((*flops)[row] / (*traffic)[row]);
    to.y.push_back((*flops)[row] / view.times[row]);
  }
  for (plot_series& one : series) {
    if (!one.x.empty()) picture.series.push_back(std::move(one));
  }
  std::vector<std::pair<double, double>> roofs;
  for (const std::size_t row : rows) {
    const std::size_t on = view.deployment[row];
    const std::pair<double, double> roof{view.peak_flops[on], view.hbm_bandwidth[on]};
    if (std::find(roofs.begin(), roofs.end(), roof) != roofs.end()) continue;
    roofs.push_back(roof);
    const double balance = roof.first / roof.second, left = std::min(low, balance / 2.0),
                 right = std::max(high, balance * 2.0);
    picture.series.push_back({"roof" + (view.device[on].empty() ? std::string() : " of " + view.device[on]),
                              series_style::lines,
                              {left, balance, right},
                              {left * roof.second, roof.first, roof.first}});
  }
  picture.note = rows.size() == order.size()
                     ? fmt::format("{} points", grouped(rows.size()))
                     : fmt::format("{} of {} points: the highest and a seeded choice of the others",
                                   grouped(order.size()), grouped(rows.size()));
  if (!view.attention_counted) {
    picture.note += "; FLOP and bytes of the GEMMs alone, for the schema has no KV lengths";
  }
  if (rows.size() < view.rows) {
    picture.note += fmt::format("; {} steps without work or time are left out", grouped(view.rows - rows.size()));
  }
  made.summary = fmt::format("{} of {} steps achieve more than the roof of their device allows.", grouped(above),
                             grouped(rows.size()));
  made.blocks.push_back(std::move(picture));
  return made;
}

/// MAPE of each fold, a set of bars for each shown predictor.
RAFTER_COLD inline report_section fold_section(const evaluation_report& report, const plot_options& options = {}) {
  using namespace detail;
  report_section made{"folds", "Error of each fold", "", {}};
  plot picture;
  picture.id = "folds";
  picture.title = "MAPE of each fold";
  picture.x = {"held out", false};
  picture.y = {"MAPE (%)", false};
  for (const predictor_result* one : selected(report, options.shown)) {
    if (picture.categories.empty()) {
      for (const fold_result& each : one->folds) picture.categories.push_back(each.held_out);
    }
    plot_series bars{one->predictor, series_style::bars, {}, {}};
    for (const std::string& category : picture.categories) {
      const auto found = std::find_if(one->folds.begin(), one->folds.end(),
                                      [&](const fold_result& each) { return each.held_out == category; });
      bars.x.push_back(static_cast<double>(bars.x.size()));
      bars.y.push_back(found == one->folds.end() ? std::numeric_limits<double>::quiet_NaN()
                                                 : 100.0 * found->errors.mape);
    }
    picture.series.push_back(std::move(bars));
  }
  return with_picture(std::move(made), std::move(picture), report);
}

/// Parameters of parametric predictors: each fold's value divided by the mean over the folds, a plot for each shown
/// predictor that has parameters. Values of folds that do not determine the parameter are left out.
RAFTER_COLD inline report_section factor_stability_section(const evaluation_report& report,
                                                           const plot_options& options = {},
                                                           std::size_t most_parameters = 40) {
  using namespace detail;
  report_section made{"factor-stability", "Parameters over the folds", "", {}};
  shown_predictors which = options.shown;
  if (which.names.empty()) {
    for (const predictor_result* one : by_worst_fold(report.results)) {
      if (is_parametric(*one) && one->folds.size() >= 2 && which.names.size() < which.most) {
        which.names.push_back(one->predictor);
      }
    }
  }
  for (const std::string& name : which.names) {
    const predictor_result* one = report.find(name);
    if (one == nullptr || !is_parametric(*one) || one->folds.size() < 2) continue;
    std::vector<std::string> parameters;
    std::map<std::string, std::vector<double>> values;  // in the order of the folds
    for (const fold_result& part : one->folds) {
      for (const fitted_parameter& each : part.parameters) {
        if (!values.contains(each.name)) parameters.push_back(each.name);
        std::vector<double>& of = values[each.name];
        if (each.state != parameter_state::dead && each.state != parameter_state::undetermined)
          of.push_back(each.value);
      }
    }
    plot picture;
    picture.id = "factor-stability-" + id_of(name);
    picture.title = name + ": parameters over the folds";
    picture.x = {"parameter", false};
    picture.y = {"value of a fold / mean over the folds", false};
    plot_series lowest{"lowest fold", series_style::bars, {}, {}}, middle{"median fold", series_style::bars, {}, {}},
        highest{"highest fold", series_style::bars, {}, {}};
    std::vector<std::string> left_out;
    for (const std::string& parameter : parameters) {
      std::vector<double>& of = values[parameter];
      double mean = 0.0;
      for (const double value : of) mean += value / static_cast<double>(of.size());
      if (of.size() < 2 || mean == 0.0 || picture.categories.size() == most_parameters) {
        left_out.push_back(parameter);
        continue;
      }
      for (double& value : of) value /= mean;
      std::sort(of.begin(), of.end());
      picture.categories.push_back(parameter);
      const auto add = [&](plot_series& to, double value) {
        to.x.push_back(static_cast<double>(to.x.size()));
        to.y.push_back(value);
      };
      add(lowest, of.front());
      add(middle, quantile_of_sorted(of, 0.5));
      add(highest, of.back());
    }
    if (!left_out.empty()) {
      picture.note = fmt::format(
          "{} parameters are left out: determined in fewer than two folds, of mean 0, or "
          "beyond the first {}",
          left_out.size(), most_parameters);
    }
    if (picture.categories.empty()) {
      made.blocks.push_back(paragraph{name + ": no parameter is determined in two folds or more."});
      continue;
    }
    picture.series = {std::move(lowest), std::move(middle), std::move(highest)};
    made.blocks.push_back(std::move(picture));
  }
  if (made.blocks.empty()) {
    made.blocks.push_back(paragraph{"Not made: no predictor with parameters was fitted in two folds or more."});
  }
  return made;
}

/// Errors of rows in bins of a column: the median and between which errors 80 % of the rows lie.
struct error_by_size {
  std::vector<double> x;  ///< median of the column in the bin
  std::vector<double> median, p10, p90;
  std::vector<std::size_t> rows;
};

namespace detail {
/// Rows of a dataset in up to `bins` bins of equal numbers of rows, ascending; rows of one value stay together.
struct size_bins {
  std::vector<std::uint32_t> of;  ///< of each row, or no_class
  std::size_t count = 0;
};
RAFTER_COLD inline size_bins equal_bins(const std::vector<double>& values, std::size_t bins) {
  size_bins made;
  made.of.assign(values.size(), no_class);
  std::vector<std::size_t> order;
  for (std::size_t row = 0; row < values.size(); ++row) {
    if (values[row] > 0.0 && std::isfinite(values[row])) order.push_back(row);
  }
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return values[a] < values[b]; });
  const std::size_t each = std::max<std::size_t>((order.size() + bins - 1) / std::max<std::size_t>(bins, 1), 1);
  for (std::size_t begin = 0; begin < order.size(); ++made.count) {
    std::size_t end = std::min(begin + each, order.size());
    while (end < order.size() && values[order[end]] == values[order[end - 1]]) ++end;
    for (std::size_t i = begin; i < end; ++i) made.of[order[i]] = static_cast<std::uint32_t>(made.count);
    begin = end;
  }
  return made;
}

RAFTER_COLD inline error_by_size errors_in_bins(const tested_errors& errors, const std::vector<double>& values,
                                                const size_bins& bins) {
  std::vector<std::vector<double>> of(bins.count), sizes(bins.count);
  for (std::size_t i = 0; i < errors.size(); ++i) {
    const std::uint32_t bin = bins.of[errors.rows[i]];
    if (bin == no_class) continue;
    of[bin].push_back(errors.relative[i]);
    sizes[bin].push_back(values[errors.rows[i]]);
  }
  error_by_size made;
  for (std::size_t bin = 0; bin < bins.count; ++bin) {
    if (of[bin].empty()) continue;
    double* const first = of[bin].data();
    const std::size_t rows = of[bin].size();
    made.rows.push_back(rows);
    made.x.push_back(quantile_of_unsorted(sizes[bin].data(), rows, 0.5));
    made.median.push_back(quantile_of_unsorted(first, rows, 0.5));
    made.p10.push_back(quantile_of_unsorted(first, rows, 0.1));
    made.p90.push_back(quantile_of_unsorted(first, rows, 0.9));
  }
  return made;
}
}  // namespace detail

/// Signed errors of the tested rows against a positive column, in up to `bins` bins of about equal numbers of rows.
RAFTER_COLD inline error_by_size errors_by_size(const tested_errors& errors, const std::vector<double>& values,
                                                std::size_t bins = 24) {
  return detail::errors_in_bins(errors, values, detail::equal_bins(values, bins));
}

/// Residuals against KV length and batch size: for each shown predictor the median of the signed error and the 10th
/// and 90th percentile in bins of about equal numbers of steps.
RAFTER_COLD inline report_section residual_section(const evaluation_report& report, const step_view& view,
                                                   const plot_options& options = {}) {
  using namespace detail;
  report_section made{"residuals", "Residuals against KV length and batch size", "", {}};
  const std::vector<const predictor_result*> order = selected(report, options.shown);
  if (order.empty()) {
    made.blocks.push_back(paragraph{no_predictions_kept});
    return made;
  }
  std::vector<tested_errors> errors;
  for (const predictor_result* one : order) errors.push_back(tested_errors_of(*one));
  const auto add = [&](const char* id, const char* label, const std::vector<double>* values, const char* why_not) {
    if (values == nullptr) {
      made.blocks.push_back(paragraph{why_not});
      return;
    }
    const size_bins bins = equal_bins(*values, 24);
    for (std::size_t p = 0; p < order.size(); ++p) {
      const error_by_size of = errors_in_bins(errors[p], *values, bins);
      if (of.x.empty()) continue;
      plot picture;
      picture.id = std::string(id) + "-" + id_of(order[p]->predictor);
      picture.title = fmt::format("{}: error against {}", order[p]->predictor, label);
      picture.x = {label, true};
      picture.y = {"(predicted - measured) / measured (%)", false};
      const auto line = [&](const char* name, std::vector<double> y) {
        for (double& each : y) each *= 100.0;
        picture.series.push_back({name, series_style::lines, of.x, std::move(y)});
      };
      line("90th percentile", of.p90);
      line("median", of.median);
      line("10th percentile", of.p10);
      const std::size_t rows = std::accumulate(of.rows.begin(), of.rows.end(), std::size_t{0});
      picture.note = fmt::format("{} steps in {} bins", grouped(rows), of.x.size());
      if (rows < errors[p].size()) {
        picture.note += fmt::format("; {} without one are left out", grouped(errors[p].size() - rows));
      }
      made.blocks.push_back(std::move(picture));
    }
  };
  const std::vector<double>*mean = view.find("kv_mean"), *longest = view.find("kv_max");
  add("residual-kv", mean != nullptr ? "mean KV length (tokens)" : "longest KV length (tokens)",
      mean != nullptr ? mean : longest, "Not shown against KV length: the schema has none.");
  add("residual-batch", "batch size (requests)", view.find("batch_size"),
      "Not shown against batch size: the schema does not count requests.");
  return made;
}

/// Number of identifiable parameters against mean MAPE, one point a predictor, and the predictors that no other one
/// beats with as few parameters.
RAFTER_COLD inline report_section accuracy_against_parameters_section(const evaluation_report& report) {
  using namespace detail;
  report_section made{"accuracy-against-parameters", "Accuracy against parameters", "", {}};
  const efficiency_report found = efficiency_of(report);
  plot_series rest{"predictors", series_style::points, {}, {}}, front{"none better", series_style::lines, {}, {}};
  std::string names;
  double best = std::numeric_limits<double>::infinity();
  std::vector<const efficiency_row*> rows;
  for (const efficiency_row& one : found.rows) {
    if (one.identifiable > 0 && std::isfinite(one.mean_mape)) rows.push_back(&one);
  }
  std::stable_sort(rows.begin(), rows.end(), [](const efficiency_row* a, const efficiency_row* b) {
    return a->identifiable != b->identifiable ? a->identifiable < b->identifiable : a->mean_mape < b->mean_mape;
  });
  for (const efficiency_row* one : rows) {
    rest.x.push_back(static_cast<double>(one->identifiable));
    rest.y.push_back(100.0 * one->mean_mape);
    if (one->mean_mape >= best) continue;
    best = one->mean_mape;
    front.x.push_back(rest.x.back());
    front.y.push_back(rest.y.back());
    names += fmt::format("{}{} ({}: {} %)", names.empty() ? "" : ", ", one->predictor, one->identifiable,
                         percent(one->mean_mape));
  }
  if (rest.x.empty()) {
    made.blocks.push_back(paragraph{"Not made: no predictor has parameters and errors."});
    return made;
  }
  plot picture;
  picture.id = "accuracy-against-parameters";
  picture.title = "Mean MAPE against identifiable parameters";
  picture.x = {"identifiable parameters", true};
  picture.y = {"mean MAPE over the folds (%)", true};
  picture.series = {std::move(rest), std::move(front)};
  picture.note = "none better: " + names;
  if (rows.size() < found.rows.size()) {
    picture.note +=
        fmt::format("; {} predictors without parameters or errors are left out", found.rows.size() - rows.size());
  }
  made.blocks.push_back(std::move(picture));
  return made;
}

}  // namespace rafter
