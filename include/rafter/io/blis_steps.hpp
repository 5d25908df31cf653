// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "rafter/io/step_reader.hpp"

namespace rafter {

/// Steps of vLLM's scheduler on H100, as the `blis_steps` table logs them: batch composition, queues and the KV pool,
/// no per-request lists. The target is what the log calls a step's duration, a span on the host: see the plausibility
/// audit before believing that it is GPU time. The better target, `step_interval`, exists only
/// where the next step was logged too: select it with `data.for_target(step_interval)`.
struct blis_schema {
  static constexpr std::string_view name = "blis_steps";
  using columns = column_list<prefill_tokens_t, decode_tokens_t, prefill_requests_t, decode_requests_t,
                              queue_running_t, queue_waiting_t, kv_usage_ratio_t, kv_blocks_total_t, kv_blocks_free_t,
                              finished_requests_t, preempted_requests_t, logged_duration_t, step_interval_t>;
  using targets = column_list<logged_duration_t, step_interval_t>;
  static constexpr bool partial_targets = true;  // step_interval: of steps whose successor was logged
  static constexpr bool lists_requests = false;
  using deployment_type = rafter::deployment;
};

namespace detail {
inline constexpr std::array<std::string_view, 21> blis_columns{
    "experiment_id",    "model",          "workload",         "tp",
    "step_id",          "ts_start_ns",    "ts_end_ns",        "duration_us",
    "queue_running",    "queue_waiting",  "num_prefill_reqs", "num_decode_reqs",
    "scheduled_tokens", "prefill_tokens", "decode_tokens",    "num_finished",
    "num_preempted",    "kv_usage_ratio", "kv_blocks_total",  "kv_blocks_free",
    "cycle_time_us"};

/// Reads the rows of an open table.
inline dataset<blis_schema> read_blis_table(csv_table_reader& table, const step_read_options& options) {
  table.check_columns(blis_columns, unexpected_columns::refuse);
  const std::size_t experiment = table.column("experiment_id");
  const std::size_t model = table.column("model");
  const std::size_t workload = table.column("workload");
  const std::size_t tp = table.column("tp");
  const std::size_t step = table.column("step_id");
  const std::size_t start = table.column("ts_start_ns");
  const std::size_t end = table.column("ts_end_ns");
  const std::size_t duration = table.column("duration_us");
  const std::size_t running = table.column("queue_running");
  const std::size_t waiting = table.column("queue_waiting");
  const std::size_t prefills = table.column("num_prefill_reqs");
  const std::size_t decodes = table.column("num_decode_reqs");
  const std::size_t scheduled = table.column("scheduled_tokens");
  const std::size_t prefill = table.column("prefill_tokens");
  const std::size_t decode = table.column("decode_tokens");
  const std::size_t finished = table.column("num_finished");
  const std::size_t preempted = table.column("num_preempted");
  const std::size_t usage = table.column("kv_usage_ratio");
  const std::size_t total = table.column("kv_blocks_total");
  const std::size_t free = table.column("kv_blocks_free");

  dataset_builder<blis_schema> build(table.path());
  step_engines<blis_schema> engines(build, options);
  const auto number = [](std::int64_t count) { return static_cast<double>(count); };
  const csv_row_counts rows = table.for_each_row([&](const csv_row& row) {
    const auto& engine = engines.find(row, model, tp, "h100");
    const std::int64_t prefill_count = count_in(row, prefill);
    const std::int64_t decode_count = count_in(row, decode);
    if (count_in(row, scheduled) != prefill_count + decode_count) {
      throw row.error_at(scheduled,
                         "is not prefill_tokens + decode_tokens = " + std::to_string(prefill_count + decode_count));
    }
    const std::int64_t start_ns = clock_in(row, start);
    const std::int64_t end_ns = clock_in(row, end);
    if (end_ns < start_ns) throw row.error_at(end, "is before ts_start_ns");
    const std::int64_t microseconds = count_in(row, duration);
    if (microseconds == 0) throw row.error_at(duration, "is not a time that a step can take");
    const std::int64_t off_ns = (end_ns - start_ns) - 1000 * microseconds;
    if (off_ns > 1000 || off_ns < -1000) {
      throw row.error_at(duration, "is not (ts_end_ns - ts_start_ns)/1000 = " +
                                       std::to_string((end_ns - start_ns) / 1000) + " within 1");
    }
    const double ratio = row.number(usage);
    if (!(ratio >= 0.0 && ratio <= 1.0)) throw row.error_at(usage, "is not in [0, 1]");
    const std::int64_t total_blocks = count_in(row, total);
    const std::int64_t free_blocks = count_in(row, free);
    if (free_blocks > total_blocks) {
      throw row.error_at(free, "is more than kv_blocks_total = " + std::to_string(total_blocks));
    }
    build.begin_row(engine.deployment, row.line())
        .set(prefill_tokens, number(prefill_count))
        .set(decode_tokens, number(decode_count))
        .set(prefill_requests, number(count_in(row, prefills)))
        .set(decode_requests, number(count_in(row, decodes)))
        .set(queue_running, number(count_in(row, running)))
        .set(queue_waiting, number(count_in(row, waiting)))
        .set(kv_usage_ratio, ratio)
        .set(kv_blocks_total, number(total_blocks))
        .set(kv_blocks_free, number(free_blocks))
        .set(finished_requests, number(count_in(row, finished)))
        .set(preempted_requests, number(count_in(row, preempted)))
        .set(logged_duration, number(microseconds) / 1e6)
        .label(group::experiment, row.required_text(experiment))
        .label(group::model, row.required_text(model))
        .label(group::workload, row.required_text(workload))
        .label(group::hardware, "h100")
        .label(group::tp, engine.tp)
        .label(group::attention_shape, engine.attention_shape)
        .label(group::routing, engine.routing)
        .step_id(number(count_in(row, step)))
        .start_ns(start_ns);
    keep_row(build, table.path());
  });
  if (table.find_column("cycle_time_us")) {
    build.note("cycle_time_us is not read: it was matched between two clocks and does not follow the true interval");
  }
  return finish_steps(build, table.path(), rows);
}
}  // namespace detail

/// Reads a `blis_steps` table: 20 columns, one row per sampled step. Times are whole microseconds in the file and
/// seconds here. Models are found in the catalogue or in `options.architectures`; the hardware is H100 SXM.
/// Checked on each row: counts are whole and not negative, scheduled = prefill + decode tokens, the duration agrees
/// with the two time stamps within 1 us, free blocks <= all blocks, usage in [0, 1], step ids unique per experiment.
/// @throws io_error with line, column, field and text for the first bad row, unless the options collect bad rows
inline dataset<blis_schema> read_blis_steps(const std::string& path, const step_read_options& options = {}) {
  csv_table_reader table(path, detail::csv_options_of(options));
  return detail::read_blis_table(table, options);
}
/// The same for a text; `name` stands for the path in errors.
inline dataset<blis_schema> parse_blis_steps(std::string_view text, const std::string& name,
                                             const step_read_options& options = {}) {
  csv_table_reader table = csv_table_reader::from_text(text, name, detail::csv_options_of(options));
  return detail::read_blis_table(table, options);
}

}  // namespace rafter
