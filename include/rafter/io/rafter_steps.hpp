// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

#include "rafter/analytical/work.hpp"
#include "rafter/io/csv.hpp"
#include "rafter/io/file.hpp"
#include "rafter/io/step_reader.hpp"

namespace rafter {

namespace detail {

/// The state of the engine that a file of steps may carry, by observable.
template <class Leaf>
inline constexpr bool is_engine_state =
    std::is_same_v<Leaf, queue_running_t> || std::is_same_v<Leaf, queue_waiting_t> ||
    std::is_same_v<Leaf, kv_usage_ratio_t> || std::is_same_v<Leaf, kv_blocks_total_t> ||
    std::is_same_v<Leaf, kv_blocks_free_t> || std::is_same_v<Leaf, finished_requests_t> ||
    std::is_same_v<Leaf, preempted_requests_t>;

template <class Leaf>
inline constexpr bool is_step_target = std::is_same_v<Leaf, gpu_step_time_t> || std::is_same_v<Leaf, wall_time_t> ||
                                       std::is_same_v<Leaf, step_interval_t>;

/// The name of an observable's column in the file.
template <class Leaf>
inline constexpr std::string_view rafter_column_name = []() -> std::string_view {
  if constexpr (std::is_same_v<Leaf, gpu_step_time_t>) return "gpu_time_us";
  if constexpr (std::is_same_v<Leaf, wall_time_t>) return "wall_time_us";
  if constexpr (std::is_same_v<Leaf, step_interval_t>) return "interval_us";
  return Leaf::name;
}();

}  // namespace detail

/// Steps with their requests in rafter's own format (docs/io/rafter_steps.md), with columns of `EngineState` beside
/// (queue_running_t, kv_usage_ratio_t, …). A row may lack some of the targets: select one with `for_target`.
template <class... EngineState> struct rafter_schema_of {
  static_assert((detail::is_engine_state<EngineState> && ...), "rafter: a file of steps has no such column");
  static constexpr std::string_view name = "rafter";
  using columns = column_list<prefill_tokens_t, decode_tokens_t, prefill_requests_t, decode_requests_t, kv_sum_t,
                              kv_mean_t, kv_max_t, kv_min_t, kv_deviation_t, prefill_attention_pairs_t,
                              prefill_kv_sum_t, gpu_step_time_t, wall_time_t, step_interval_t, EngineState...>;
  using targets = column_list<gpu_step_time_t, wall_time_t, step_interval_t>;
  static constexpr bool partial_targets = true;
  static constexpr bool lists_requests = true;
  using deployment_type = rafter::deployment;
};
using rafter_schema = rafter_schema_of<>;

namespace detail {

inline constexpr std::array<std::string_view, 21> rafter_columns{"experiment",
                                                                 "model",
                                                                 "workload",
                                                                 "hardware",
                                                                 "tp",
                                                                 "rig",
                                                                 "step_id",
                                                                 "start_ns",
                                                                 "new_tokens",
                                                                 "context_tokens",
                                                                 "phases",
                                                                 "queue_running",
                                                                 "queue_waiting",
                                                                 "kv_usage_ratio",
                                                                 "kv_blocks_total",
                                                                 "kv_blocks_free",
                                                                 "finished_requests",
                                                                 "preempted_requests",
                                                                 "gpu_time_us",
                                                                 "wall_time_us",
                                                                 "interval_us"};

/// An error of a table that began `lines` below the first line of its file.
inline io_error lowered(const io_error& why, std::size_t lines) {
  if (why.line == 0 || lines == 0) return why;
  const auto place = [&](std::size_t line) {
    std::string text = printable(why.path, 4096) + ':' + std::to_string(line);
    if (why.column != 0) text += ':' + std::to_string(why.column);
    return text + ": ";
  };
  const std::string_view what = why.what();
  io_error moved({why.path, why.line + lines, why.column}, {}, {}, what.substr(place(why.line).size()));
  moved.field = why.field;
  moved.text = why.text;
  return moved;
}

/// Cuts the `#` lines off the front of a text. @returns them, without `#` and blanks
inline std::vector<std::string> take_comments(std::string_view& text) {
  std::vector<std::string> comments;
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
  while (text.starts_with('#')) {
    const std::size_t end = text.find('\n');
    std::string_view line = text.substr(1, end == std::string_view::npos ? end : end - 1);
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.remove_suffix(1);
    while (line.starts_with(' ')) line.remove_prefix(1);
    comments.emplace_back(line);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return comments;
}

/// Calls `take(item, count)` for the items of a list such as `512;1*12`: an item, or an item so many times.
/// An empty field is an empty list.
template <class Take> void each_item(const csv_row& row, std::size_t column, Take take) {
  std::string_view rest = row.text(column);
  std::int64_t total = 0;
  for (std::size_t number = 1; !rest.empty(); ++number) {
    const std::size_t end = rest.find(';');
    const std::string_view item = rest.substr(0, end);
    const auto refuse = [&](std::string_view fact) {
      throw row.error_at(column, "has the item " + std::to_string(number) + " '" + printable(item) + "', which " +
                                     std::string(fact));
    };
    const std::size_t star = item.find('*');
    std::int64_t count = 1;
    if (star != std::string_view::npos) {
      const char* const last = item.data() + item.size();
      const auto [stop, code] = std::from_chars(item.data() + star + 1, last, count);
      if (stop != last || code != std::errc() || count < 1)
        refuse("repeats something a number of times that is not a whole number");
    }
    if (count > most_requests || (total += count) > most_requests) {
      refuse("makes more than the " + std::to_string(most_requests) + " requests that a step may have");
    }
    take(item.substr(0, star), count, refuse);
    if (end == std::string_view::npos) return;
    rest.remove_prefix(end + 1);
    if (rest.empty()) throw row.error_at(column, "ends with a ';' and no item");
  }
}

inline void token_list(const csv_row& row, std::size_t column, std::vector<double>& into) {
  into.clear();
  each_item(row, column, [&](std::string_view item, std::int64_t count, const auto& refuse) {
    std::int64_t value = 0;
    const auto [stop, code] = std::from_chars(item.data(), item.data() + item.size(), value);
    if (item.empty() || stop != item.data() + item.size() || code != std::errc()) refuse("is not a whole number");
    if (value < 0) refuse("is negative");
    if (value > (std::int64_t{1} << 53U)) refuse("is too large to count anything");
    into.insert(into.end(), static_cast<std::size_t>(count), static_cast<double>(value));
  });
}

inline void phase_list(const csv_row& row, std::size_t column, std::vector<bool>& into) {
  into.clear();
  each_item(row, column, [&](std::string_view item, std::int64_t count, const auto& refuse) {
    if (item != "d" && item != "p") refuse("is neither d (decode) nor p (prefill)");
    into.insert(into.end(), static_cast<std::size_t>(count), item == "d");
  });
}

/// The shortest text in microseconds that `positive_seconds_in` reads as `seconds`, which is positive and finite.
inline std::string text_in_microseconds(double seconds) {
  char buffer[32];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, seconds, std::chars_format::scientific).ptr;
  const std::string_view text(buffer, static_cast<std::size_t>(end - buffer));
  const std::size_t e = text.find('e');
  int exponent = 0;
  const char* from = buffer + e + (text[e + 1] == '+' ? 2 : 1);
  std::from_chars(from, end, exponent);
  std::string digits(1, text[0]);
  if (e > 2) digits.append(text.substr(2, e - 2));
  const int point = exponent + 6 + 1;  // digits before the point
  if (point < -3 || point > 15) {
    if (digits.size() > 1) digits.insert(1, 1, '.');
    return digits + 'e' + std::to_string(point - 1);
  }
  if (point <= 0) return "0." + std::string(static_cast<std::size_t>(-point), '0') + digits;
  const auto whole = static_cast<std::size_t>(point);
  if (digits.size() <= whole) return digits + std::string(whole - digits.size(), '0');
  return digits.substr(0, whole) + '.' + digits.substr(whole);
}

/// Appends `item` so many times to a list, run-length coded.
class run_length_text {
 public:
  void add(std::string_view item) {
    if (count_ > 0 && item == item_) {
      ++count_;
      return;
    }
    flush();
    item_ = item;
    count_ = 1;
  }
  void add(double value) {
    char digits[32];
    const auto end = std::to_chars(digits, digits + sizeof digits, static_cast<std::int64_t>(value)).ptr;
    add(std::string_view(digits, static_cast<std::size_t>(end - digits)));
  }
  std::string finish() {
    flush();
    count_ = 0;
    return std::exchange(text_, {});
  }

 private:
  void flush() {
    if (count_ == 0) return;
    if (!text_.empty()) text_ += ';';
    text_ += item_;
    if (count_ > 1) text_ += '*' + std::to_string(count_);
  }
  std::string text_;
  std::string item_;
  std::size_t count_ = 0;
};

/// What a file without a `phases` column says of a request.
constexpr bool decodes_by_default(double new_tokens, double context) { return new_tokens == 1.0 && context > 0.0; }

template <class... EngineState>
dataset<rafter_schema_of<EngineState...>> read_rafter_table(csv_table_reader& table, const step_read_options& options,
                                                            const std::vector<std::string>& comments) {
  using schema = rafter_schema_of<EngineState...>;
  table.check_columns(rafter_columns, unexpected_columns::refuse);
  const std::size_t model = table.column("model");
  const std::size_t hardware = table.column("hardware");
  const std::size_t tp = table.column("tp");
  const std::size_t new_column = table.column("new_tokens");
  const std::size_t context_column = table.column("context_tokens");
  const std::array<std::size_t, sizeof...(EngineState)> state_columns{
      table.column(rafter_column_name<EngineState>)...};
  const auto experiment = table.find_column("experiment");
  const auto workload = table.find_column("workload");
  const auto rig = table.find_column("rig");
  const auto step = table.find_column("step_id");
  const auto start = table.find_column("start_ns");
  const auto phases = table.find_column("phases");
  const auto gpu = table.find_column("gpu_time_us");
  const auto wall = table.find_column("wall_time_us");
  const auto interval = table.find_column("interval_us");
  const bool derivable = step && start;  // the interval to the next step
  if (!gpu && !wall && !interval && !derivable) static_cast<void>(table.column("gpu_time_us"));

  dataset_builder<schema> build(table.path());
  for (const std::string& comment : comments) build.note(comment);
  step_engines<schema> engines(build, options);
  std::vector<double> new_list;
  std::vector<double> context_list;
  std::vector<bool> phase_of;
  const csv_row_counts rows = table.for_each_row([&](const csv_row& row) {
    const auto& engine = engines.find(row, model, tp, hardware);
    token_list(row, new_column, new_list);
    token_list(row, context_column, context_list);
    const auto same_length = [&](std::size_t column, std::size_t length) {
      if (length == new_list.size()) return;
      throw row.error_at(column, "lists " + std::to_string(length) + " requests but new_tokens lists " +
                                     std::to_string(new_list.size()));
    };
    same_length(context_column, context_list.size());
    if (phases) {
      phase_list(row, *phases, phase_of);
      same_length(*phases, phase_of.size());
    }
    build.begin_row(engine.deployment, row.line() + comments.size());
    bool timed = derivable;
    const auto set_time = [&](auto leaf, const std::optional<std::size_t>& column) {
      if (!column || row.missing(*column)) return;
      build.set(leaf, positive_seconds_in(row, *column));
      timed = true;
    };
    set_time(gpu_step_time, gpu);
    set_time(wall_time, wall);
    set_time(step_interval, interval);
    if (!timed) throw io_error({table.path(), row.line()}, {}, {}, "the step has no time: every target is empty");
    std::size_t at = 0;
    const auto set_state = [&](auto leaf) {
      const std::size_t column = state_columns[at++];
      const double value = row.number(column);
      if (value < 0.0) throw row.error_at(column, "is negative");
      build.set(leaf, value);
    };
    static_cast<void>(set_state);
    static_cast<void>(at);
    (set_state(EngineState{}), ...);
    build.label(group::model, row.required_text(model))
        .label(group::hardware, row.required_text(hardware))
        .label(group::tp, engine.tp)
        .label(group::attention_shape, engine.attention_shape)
        .label(group::routing, engine.routing);
    if (experiment) build.label(group::experiment, row.required_text(*experiment));
    if (workload) build.label(group::workload, row.required_text(*workload));
    if (rig) build.label(group::rig, row.required_text(*rig));
    if (step) build.step_id(static_cast<double>(count_in(row, *step)));
    if (start) build.start_ns(clock_in(row, *start));
    for (std::size_t i = 0; i < new_list.size(); ++i) {
      const bool decode = phases ? phase_of[i] : decodes_by_default(new_list[i], context_list[i]);
      build.add(request{new_list[i], context_list[i], decode});
    }
    keep_row(build, table.path(), comments.size());
  });
  std::string unread;
  column_list<queue_running_t, queue_waiting_t, kv_usage_ratio_t, kv_blocks_total_t, kv_blocks_free_t,
              finished_requests_t, preempted_requests_t>::each([&]<class Leaf>() {
    if (schema::columns::template has<Leaf> || !table.find_column(rafter_column_name<Leaf>)) return;
    unread.append(unread.empty() ? "" : ", ").append(rafter_column_name<Leaf>);
  });
  if (!unread.empty()) build.note("columns not asked for and not read: " + unread);
  return finish_steps(build, table.path(), rows, comments.size());
}

/// Reads a text whose first lines may be comments: errors count from the first line of the file.
template <class... EngineState>
dataset<rafter_schema_of<EngineState...>> read_rafter_text(std::string_view text, const std::string& name,
                                                           const step_read_options& options) {
  const std::vector<std::string> comments = take_comments(text);
  csv_options csv = csv_options_of(options);
  if (options.on_bad_row) {
    csv.on_bad_row = [&](const io_error& why) { options.on_bad_row(lowered(why, comments.size())); };
  }
  const std::size_t known_errors = options.bad_rows == nullptr ? 0 : options.bad_rows->errors.size();
  const auto lower_collected = [&] {
    if (options.bad_rows == nullptr) return;
    auto& errors = options.bad_rows->errors;
    for (std::size_t i = known_errors; i < errors.size(); ++i) errors[i] = lowered(errors[i], comments.size());
  };
  try {
    csv_table_reader table = csv_table_reader::from_text(text, name, csv);
    auto data = read_rafter_table<EngineState...>(table, options, comments);
    lower_collected();
    return data;
  } catch (const io_error& why) {
    lower_collected();
    throw lowered(why, comments.size());
  }
}

}  // namespace detail

/// Reads steps in rafter's own format: one row per step, its requests as lists (docs/io/rafter_steps.md).
/// `read_rafter_steps<queue_running_t>(path)` reads columns of the engine's state too. Comment lines before the
/// header become notes. An interval that the file does not give is derived where the next step is there too.
/// @throws io_error with line, column, field and text for the first bad row, unless the options collect bad rows
template <class... EngineState>
dataset<rafter_schema_of<EngineState...>> read_rafter_steps(const std::string& path,
                                                            const step_read_options& options = {}) {
  const file_bytes file = read_file(path);
  return detail::read_rafter_text<EngineState...>(file.view(), path, options);
}
/// The same for a text; `name` stands for the path in errors.
template <class... EngineState>
dataset<rafter_schema_of<EngineState...>> parse_rafter_steps(std::string_view text, const std::string& name,
                                                             const step_read_options& options = {}) {
  return detail::read_rafter_text<EngineState...>(text, name, options);
}

/// The text of a file in rafter's own format with the steps, requests, labels, ids and times of a dataset; reading it
/// gives a dataset of the same digest (columns of the dataset that the format has not are left out). A deployment is
/// written as the labels of its row: an architecture outside the catalogue has to be given to the reader again.
/// @param comments  lines for the top of the file, e.g. "label source: measured on …"
/// @throws rafter::error for a comment of several lines, or data whose rows have no group `model`, `hardware` or `tp`
template <dataset_schema Schema>
requires(Schema::lists_requests&& Schema::columns::template has<gpu_step_time_t>) std::string
    rafter_steps_text(const dataset<Schema>& data, std::span<const std::string> comments = {}) {
  std::string out;
  for (const std::string& comment : comments) {
    if (comment.find_first_of("\n\r") != std::string::npos) {
      throw error("a comment of a file of steps has one line: '" + printable(comment) + "'");
    }
    out.append("# ").append(comment).append("\n");
  }
  bool phases = false;
  for (std::size_t row = 0; row < data.size() && !phases; ++row) {
    for (const request& one : data.requests(row)) {
      phases = phases || one.decode != detail::decodes_by_default(one.new_tokens, one.context_tokens);
    }
  }
  // A target that no row has is left out; one that the reader would derive is written all the same.
  const auto written = [&]<class Leaf>(Leaf) {
    if constexpr (detail::is_step_target<Leaf>) {
      const auto column = data.template column<Leaf>();
      return std::any_of(column.begin(), column.end(), [](double value) { return !std::isnan(value); });
    } else {
      return detail::is_engine_state<Leaf>;
    }
  };
  std::vector<std::string_view> header;
  std::vector<group> labels;
  for (const group axis :
       {group::experiment, group::model, group::workload, group::hardware, group::tp, group::rig}) {
    const bool required = axis == group::model || axis == group::hardware || axis == group::tp;
    if (required) static_cast<void>(data.groups(axis));
    if (!data.has_group(axis)) continue;
    labels.push_back(axis);
    header.push_back(name_of(axis));
  }
  if (!data.step_ids().empty()) header.push_back("step_id");
  if (!data.start_ns().empty()) header.push_back("start_ns");
  header.push_back("new_tokens");
  header.push_back("context_tokens");
  if (phases) header.push_back("phases");
  std::array<bool, Schema::columns::size> written_columns{};
  Schema::columns::each([&]<class Leaf>() {
    if (!written(Leaf{})) return;
    written_columns[Schema::columns::template index_of<Leaf>()] = true;
    header.push_back(detail::rafter_column_name<Leaf>);
  });

  csv_writer table(out, header);
  detail::run_length_text list;
  for (std::size_t row = 0; row < data.size(); ++row) {
    for (const group axis : labels) table.write(data.groups(axis).name(row));
    if (!data.step_ids().empty()) table.write(static_cast<std::int64_t>(data.step_ids()[row]));
    if (!data.start_ns().empty()) table.write(data.start_ns()[row]);
    for (const request& one : data.requests(row)) list.add(one.new_tokens);
    table.write(list.finish());
    for (const request& one : data.requests(row)) list.add(one.context_tokens);
    table.write(list.finish());
    if (phases) {
      for (const request& one : data.requests(row)) list.add(one.decode ? "d" : "p");
      table.write(list.finish());
    }
    Schema::columns::each([&]<class Leaf>() {
      if (!written_columns[Schema::columns::template index_of<Leaf>()]) return;
      const double value = data.template column<Leaf>()[row];
      if (!detail::is_step_target<Leaf>) {
        table.write(value);
      } else if (std::isnan(value)) {
        table.write_missing();
      } else {
        table.write(detail::text_in_microseconds(value));
      }
    });
    table.end_row();
  }
  return out;
}

/// Writes `rafter_steps_text` to a file. @throws rafter::error as that does, io_error when the file cannot be written
template <dataset_schema Schema>
requires(Schema::lists_requests&& Schema::columns::template has<gpu_step_time_t>) void write_rafter_steps(
    const std::string& path, const dataset<Schema>& data, std::span<const std::string> comments = {}) {
  write_file(path, rafter_steps_text(data, comments));
}

}  // namespace rafter
