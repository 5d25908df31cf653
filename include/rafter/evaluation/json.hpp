// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "rafter/config.hpp"
#include "rafter/evaluation/parameter_table.hpp"
#include "rafter/evaluation/rendering/markup.hpp"
#include "rafter/evaluation/report.hpp"
#include "rafter/evaluation/section.hpp"
#include "rafter/io/error.hpp"

namespace rafter {

/// What `schema_version` says in JSON reports. It grows when a field changes its meaning, its unit or its type, or goes
/// away; new fields leave it as it is.
inline constexpr int report_schema_version = 1;

namespace detail {

/// Length of the well-formed UTF-8 sequence at the front of `text`, printable or not; 0 where there is none.
inline std::size_t utf8_length(std::string_view text) {
  if (static_cast<unsigned char>(text.front()) < 0x80U) return 1;
  if (const std::size_t length = printable_length(text); length > 0) return length;
  if (text.size() >= 2 && text[0] == '\xc2' && (static_cast<unsigned char>(text[1]) & 0xe0U) == 0x80U) return 2;
  for (const std::string_view separator : {"\xe2\x80\xa8", "\xe2\x80\xa9", "\xef\xbb\xbf"}) {
    if (text.starts_with(separator)) return 3;
  }
  return 0;
}

/// Texts with bytes that are not UTF-8, which JSON cannot hold: these bytes as other reports show them, `\xff`. All else
/// stays as it is, control characters too.
RAFTER_COLD inline void make_utf8(nlohmann::ordered_json& of) {
  if (of.is_string()) {
    std::string& text = of.get_ref<std::string&>();
    std::string_view rest = text;
    std::string made;
    bool spoilt = false;
    while (!rest.empty()) {
      const std::size_t length = utf8_length(rest);
      if (length == 0) append_escaped_byte(made, rest.front());
      spoilt = spoilt || length == 0;
      made += rest.substr(0, length);
      rest.remove_prefix(length == 0 ? 1 : length);
    }
    if (spoilt) text = std::move(made);
  } else if (of.is_structured()) {
    for (nlohmann::ordered_json& each : of) make_utf8(each);
  }
}

/// A number of a plot, with the digits that a picture can show. Null when it is none.
inline nlohmann::ordered_json plotted(double value) {
  if (!std::isfinite(value)) return nullptr;
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.6g", value);
  return std::strtod(text.data(), nullptr);
}

RAFTER_COLD inline nlohmann::ordered_json json_of(const plot& picture) {
  using json = nlohmann::ordered_json;
  const auto numbers = [](const std::vector<double>& values) {
    json made = json::array();
    for (const double value : values) made.push_back(plotted(value));
    return made;
  };
  const auto axis = [](const plot_axis& from) {
    return json{{"label", from.label}, {"logarithmic", from.logarithmic}};
  };
  json made = {
      {"type", "plot"},       {"id", picture.id},        {"title", picture.title},           {"x", axis(picture.x)},
      {"y", axis(picture.y)}, {"series", json::array()}, {"categories", picture.categories}, {"note", picture.note}};
  constexpr std::array<const char*, 4> styles{"points", "lines", "steps", "bars"};
  for (const plot_series& one : picture.series) {
    json series = {{"name", one.name}, {"style", styles[static_cast<std::size_t>(one.style)]}};
    if (one.style != series_style::bars) series["x"] = numbers(one.x);
    series["y"] = numbers(one.y);
    made["series"].push_back(std::move(series));
  }
  return made;
}

RAFTER_COLD inline nlohmann::ordered_json json_of(const captioned_table& from) {
  using json = nlohmann::ordered_json;
  json made = {
      {"type", "table"}, {"caption", from.caption}, {"columns", from.table.titles()}, {"rows", json::array()}};
  for (const auto& row : from.table.rows()) {
    json cells = json::array();
    for (const table_cell& cell : row) {
      cells.push_back(std::isfinite(cell.value) ? json(cell.value) : json(cell.text));
    }
    made["rows"].push_back(std::move(cells));
  }
  return made;
}

RAFTER_COLD inline nlohmann::ordered_json json_of(const report_section& section) {
  using json = nlohmann::ordered_json;
  json made = {{"id", section.id}, {"title", section.title}, {"summary", section.summary}, {"blocks", json::array()}};
  for (const section_block& block : section.blocks) {
    if (const auto* text = std::get_if<paragraph>(&block)) {
      made["blocks"].push_back({{"type", "paragraph"}, {"text", text->text}});
    } else if (const auto* list = std::get_if<bullet_list>(&block)) {
      made["blocks"].push_back({{"type", "list"}, {"items", list->items}});
    } else if (const auto* table = std::get_if<captioned_table>(&block)) {
      made["blocks"].push_back(json_of(*table));
    } else if (const auto* picture = std::get_if<plot>(&block)) {
      made["blocks"].push_back(json_of(*picture));
    }
  }
  return made;
}

}  // namespace detail

/// The report as JSON, which can always be written; percentages as numbers (10.0 = 10 %), times in microseconds, parameters in base units, undefined
/// values as null. docs/evaluation/report_json.md says what each field is, docs/evaluation/report.schema.json says it to
/// programs.
RAFTER_COLD inline nlohmann::ordered_json json_of(const evaluation_report& report) {
  using json = nlohmann::ordered_json;
  const auto number = [](double value) { return std::isfinite(value) ? json(value) : json(nullptr); };
  const auto percent = [&](double fraction) { return number(100.0 * fraction); };

  const auto audit_of = [&](const plausibility_report& audit) {
    json plausibility = {{"audited", audit.audited}, {"verdict", audit.verdict()}};
    if (audit.audited) {
      plausibility["share_below_floor"] = percent(audit.all.share_below());
      plausibility["rows"] = audit.all.rows;
      plausibility["rows_below_floor"] = audit.all.below;
      plausibility["lowest_time_over_floor"] = number(audit.all.lowest_ratio);
      plausibility["median_time_over_floor"] = number(audit.all.median_ratio);
      plausibility["idle_rows"] = audit.idle;
      plausibility["groups"] = json::array();
      for (const plausibility_group& group : audit.groups) {
        plausibility["groups"].push_back({{"label", group.label},
                                          {"rows", group.rows},
                                          {"share_below_floor", percent(group.share_below())},
                                          {"lowest_time_over_floor", number(group.lowest_ratio)},
                                          {"median_time_over_floor", number(group.median_ratio)},
                                          {"median_floor_us", number(group.median_floor * 1e6)}});
      }
      plausibility["worst_rows"] = json::array();
      for (const implausible_row& row : audit.worst) {
        plausibility["worst_rows"].push_back(
            {{"row", row.row}, {"line", row.line}, {"time_us", row.time * 1e6}, {"floor_us", row.floor * 1e6}});
      }
    } else {
      plausibility["missing_observable"] = audit.why_not;
    }
    return plausibility;
  };

  json out = {{"schema_version", report_schema_version},
              {"data",
               {{"path", report.source},
                {"rows", report.rows},
                {"schema", report.schema},
                {"sha256", report.file_sha256},
                {"content_sha256", report.digest},
                {"plausibility", audit_of(report.plausibility)}}},
              {"split", report.split},
              {"target", report.target},
              {"results", json::array()},
              {"not_evaluated", json::array()},
              {"sections", json::array()},
              {"notes", report.notes}};
  detail::distinct_ids sections, plots;
  for (const report_section& one : report.sections) {
    json& section = out["sections"].emplace_back(detail::json_of(one));
    section["id"] = sections(one.id);
    for (json& block : section["blocks"]) {
      if (block["type"] == "plot") block["id"] = plots(block["id"].get<std::string>());
    }
  }
  if (report.test) {
    out["data"]["test"] = {{"path", report.test->source},
                           {"rows", report.test->rows},
                           {"sha256", report.test->file_sha256},
                           {"content_sha256", report.test->digest},
                           {"plausibility", audit_of(report.test->plausibility)}};
  }
  for (const predictor_result& result : report.results) {
    if (result.folds.empty()) {
      out["not_evaluated"].push_back({{"predictor", result.predictor}, {"reason", result.refused}});
      continue;
    }
    json folds = json::array();
    for (const fold_result& one : result.folds) {
      const error_summary& e = one.errors;
      folds.push_back({{"held_out", one.held_out},
                       {"rows", one.rows},
                       {"train_rows", one.train_rows},
                       {"mape", percent(e.mape)},
                       {"mspe_signed", percent(e.mean_signed_percentage_error)},
                       {"median_ape", percent(e.median_ape)},
                       {"p90_ape", percent(e.p90_ape)},
                       {"p99_ape", percent(e.p99_ape)},
                       {"share_above_50", percent(e.share_above_half)},
                       {"pearson_r", number(e.pearson)},
                       {"spearman", number(e.spearman)},
                       {"r2", number(e.r2)},
                       {"rmse_us", number(e.rmse * 1e6)},
                       {"mae_us", number(e.mae * 1e6)},
                       {"log_ratio_rmse", number(e.log_ratio_rmse)},
                       {"cancellation", percent(e.cancellation)},
                       {"zero_times_left_out", e.zero_actual},
                       {"not_finite", e.not_finite},
                       {"parameters", one.fit.parameters},
                       {"identifiable", one.fit.identifiable},
                       {"status", one.fit.status}});
      json& fold = folds.back();
      if (!one.parameters.empty()) fold["fitted_parameters"] = json::array();
      for (const fitted_parameter& each : one.parameters) {
        fold["fitted_parameters"].push_back({{"name", each.name},
                                             {"unit", each.unit},
                                             {"value", number(each.value)},
                                             {"standard_error", number(each.standard_error)},
                                             {"state", std::string(text_of(each.state))}});
      }
      if (!one.parameters.empty() || !one.findings.empty()) fold["findings"] = one.findings;
    }
    out["results"].push_back({{"predictor", result.predictor},
                              {"description", result.description},
                              {"tuned", result.tuned},
                              {"parameters", result.parameters()},
                              {"identifiable", result.identifiable()},
                              {"folds", folds},
                              {"worst_fold", result.worst()->held_out},
                              {"worst_fold_mape", percent(result.worst_mape())},
                              {"mean_fold_mape", percent(result.mean_mape())},
                              {"median_fold_mape", percent(result.median_mape())}});
    json& made = out["results"].back();
    const fit_findings found = findings_of(result);
    if (is_parametric(result)) made["stability"] = json::array();
    for (const parameter_stability& one : stability_of(result)) {
      made["stability"].push_back({{"name", one.name},
                                   {"unit", one.unit},
                                   {"mean", number(one.mean)},
                                   {"standard_deviation", number(one.deviation)},
                                   {"coefficient_of_variation", number(one.variation)},
                                   {"smallest", number(one.smallest)},
                                   {"largest", number(one.largest)},
                                   {"stable", one.comparable() ? json(one.stable()) : json(nullptr)},
                                   {"state", one.states()}});
    }
    if (is_parametric(result) || !found.every_fold.empty() || !found.worst.empty()) {
      made["findings"] = {{"every_fold", found.every_fold}, {"worst_fold", found.worst}};
    }
    if (result.split) {
      const error_split& split = *result.split;
      made["worst_fold_split"] = {
          {"held_out", split.held_out},
          {"rows", split.rows},
          {"mape", percent(split.transferred.mape)},
          {"mspe_signed", percent(split.transferred.mean_signed_percentage_error)},
          {"uncorrected_mape", percent(split.uncorrected.mape)},
          {"uncorrected_mspe_signed", percent(split.uncorrected.mean_signed_percentage_error)},
          {"refitted_mape", percent(split.refitted.mape)},
          {"refitted_mspe_signed", percent(split.refitted.mean_signed_percentage_error)},
          {"correction_mape", percent(split.correction_error())}};
      if (!split.refused.empty()) made["worst_fold_split"]["refused"] = split.refused;
    }
  }
  detail::make_utf8(out);
  return out;
}

}  // namespace rafter
