// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "rafter/analytical/work.hpp"
#include "rafter/io/step_reader.hpp"

namespace rafter {

/// Steps composed from measured kernels, as the `kernel_steps` tables hold them: per-request lists, and the time on
/// the GPU of one rank with its parts. The parts are labels of the same row, never features; they may be 0.
struct kernel_schema {
  static constexpr std::string_view name = "kernel_steps";
  using columns =
      column_list<prefill_tokens_t, decode_tokens_t, prefill_requests_t, decode_requests_t, kv_sum_t, kv_mean_t,
                  kv_max_t, kv_min_t, kv_deviation_t, prefill_attention_pairs_t, prefill_kv_sum_t, gemm_time_t,
                  moe_time_t, prefill_attention_time_t, decode_attention_time_t, other_time_t, elementwise_counted_t,
                  gemm_in_waves_t, gpu_step_time_t>;
  using targets = column_list<gpu_step_time_t>;
  static constexpr bool lists_requests = true;
  using deployment_type = rafter::deployment;
};

namespace detail {
inline constexpr std::array<std::string_view, 22> kernel_columns{
    "hardware",         "model",          "tp",           "workload",   "gemm_source",     "attn_source",
    "num_prefill_reqs", "prefill_tokens", "prefill_len",  "prefill_kv", "num_decode_reqs", "decode_kv",
    "total_tokens",     "decode_kv_sum",  "gemm_us",      "moe_us",     "prefill_attn_us", "decode_attn_us",
    "other_us",         "total_us",       "allreduce_us", "gate_up"};

/// Times are printed to 0.001 us: a total and its four parts differ by at most five times half of that.
inline constexpr double kernel_rounding_us = 0.0026;

/// Reads the rows of an open table.
inline dataset<kernel_schema> read_kernel_table(csv_table_reader& table, const step_read_options& options) {
  table.check_columns(kernel_columns, unexpected_columns::refuse);
  const std::size_t hardware = table.column("hardware");
  const std::size_t model = table.column("model");
  const std::size_t tp = table.column("tp");
  const std::size_t workload = table.column("workload");
  const std::size_t rig = table.column("gemm_source");
  const std::size_t attention_rig = table.column("attn_source");
  const std::size_t prefills = table.column("num_prefill_reqs");
  const std::size_t prefill = table.column("prefill_tokens");
  const std::size_t prefill_length = table.column("prefill_len");
  const std::size_t prefill_past = table.column("prefill_kv");
  const std::size_t decodes = table.column("num_decode_reqs");
  const std::size_t decode_length = table.column("decode_kv");
  const std::size_t tokens = table.column("total_tokens");
  const std::size_t decode_sum = table.column("decode_kv_sum");
  const std::size_t gemm = table.column("gemm_us");
  const std::size_t moe = table.column("moe_us");
  const std::size_t prefill_attention = table.column("prefill_attn_us");
  const std::size_t decode_attention = table.column("decode_attn_us");
  const std::size_t other = table.column("other_us");
  const std::size_t total = table.column("total_us");

  dataset_builder<kernel_schema> build(table.path());
  step_engines<kernel_schema> engines(build, options);
  const csv_row_counts rows = table.for_each_row([&](const csv_row& row) {
    const auto& engine = engines.find(row, model, tp, hardware);
    const std::int64_t prefill_count = request_count_in(row, prefills);
    const std::int64_t decode_count = request_count_in(row, decodes);
    const double new_length = static_cast<double>(count_in(row, prefill_length));
    const double past = static_cast<double>(count_in(row, prefill_past));
    const double kv = static_cast<double>(count_in(row, decode_length));
    const double prefill_sum = new_length * static_cast<double>(prefill_count);
    const double decoding = static_cast<double>(decode_count);
    const auto agrees = [&](std::size_t column, double computed, const char* how) {
      if (static_cast<double>(count_in(row, column)) != computed)
        throw row.error_at(column, std::string("is not ") + how);
    };
    agrees(prefill, prefill_sum, "num_prefill_reqs * prefill_len");
    agrees(tokens, prefill_sum + decoding, "prefill_tokens + num_decode_reqs");
    agrees(decode_sum, kv * decoding, "num_decode_reqs * decode_kv");
    if (prefill_count > 0 && new_length < 1.0)
      throw row.error_at(prefill_length, "is no prompt for num_prefill_reqs > 0");
    if (decode_count > 0 && kv < 1.0) throw row.error_at(decode_length, "leaves out the new token itself");

    const double gemm_seconds = seconds_in(row, gemm);
    const double moe_seconds = seconds_in(row, moe);
    const double prefill_attention_seconds = seconds_in(row, prefill_attention);
    const double decode_attention_seconds = seconds_in(row, decode_attention);
    const double other_seconds = seconds_in(row, other);
    const double total_seconds = positive_seconds_in(row, total);
    const double parts = gemm_seconds + prefill_attention_seconds + decode_attention_seconds + other_seconds;
    if (!(std::abs(parts - total_seconds) <= kernel_rounding_us * 1e-6)) {
      throw row.error_at(total, "is not gemm_us + prefill_attn_us + decode_attn_us + other_us");
    }
    if (moe_seconds > gemm_seconds + kernel_rounding_us * 1e-6) {
      throw row.error_at(moe, "is more than gemm_us, which contains it");
    }

    // The vidur rig measured the elementwise kernels too, and another GEMM library; aiconfigurator's did neither. What a rig
    // of another name counts is not known, and read as the observables' defaults say.
    const std::string_view source = row.required_text(rig);
    const bool from_vidur = source.starts_with("vidur");
    const bool from_aic = source.starts_with("aic");
    const auto whole = [](double number) { return std::to_string(static_cast<std::int64_t>(number)); };
    const std::string_view attention_source = row.required_text(attention_rig);
    const auto attention = [&](std::int64_t requests, double length) {
      if (requests == 0) return std::string(no_measurement);
      return std::string(attention_source) + ' ' + engine.attention_shape + ' ' + std::to_string(requests) + " of " +
             whole(length);
    };
    build.begin_row(engine.deployment, row.line())
        .set(gemm_time, gemm_seconds)
        .set(moe_time, moe_seconds)
        .set(prefill_attention_time, prefill_attention_seconds)
        .set(decode_attention_time, decode_attention_seconds)
        .set(other_time, other_seconds)
        .set(gpu_step_time, total_seconds)
        .set(elementwise_counted, from_aic ? 0.0 : 1.0)
        .set(gemm_in_waves, from_vidur ? 1.0 : 0.0)
        .label(group::model, row.required_text(model))
        .label(group::workload, row.required_text(workload))
        .label(group::hardware, row.required_text(hardware))
        .label(group::tp, engine.tp)
        .label(group::rig, row.required_text(rig))
        .label(group::attention_shape, engine.attention_shape)
        .label(group::routing, engine.routing)
        .label(group::gemm_measurement, std::string(source) + ' ' + std::string(row.required_text(model)) + " tp" +
                                            engine.tp + " tokens " + whole(prefill_sum + decoding))
        .label(group::prefill_attention_measurement, attention(prefill_count, new_length))
        .label(group::decode_attention_measurement, attention(decode_count, kv));
    for (std::int64_t i = 0; i < prefill_count; ++i) build.add(request::prefilling(new_length, past));
    for (std::int64_t i = 0; i < decode_count; ++i) build.add(request::decoding(kv - 1.0));
    keep_row(build, table.path());
  });
  build.note("label source: composed (sums of kernels measured one by one; no host, launch or all-reduce time)");
  if (table.find_column("allreduce_us")) build.note("allreduce_us is not read: it is no part of total_us");
  return finish_steps(build, table.path(), rows);
}
}  // namespace detail

/// Reads a `kernel_steps` table: one row per composed step, requests given as so many of one length. Times are
/// microseconds in the file and seconds here. The rig is `gemm_source`; models of one shape are aliases.
/// Checked on each row: counts are whole and add up, times are not negative, the total is positive and the sum of its
/// parts within the rounding of the file, a decode request attends at least to its own token.
/// @throws io_error with line, column, field and text for the first bad row, unless the options collect bad rows
inline dataset<kernel_schema> read_kernel_steps(const std::string& path, const step_read_options& options = {}) {
  csv_table_reader table(path, detail::csv_options_of(options));
  return detail::read_kernel_table(table, options);
}
/// The same for a text; `name` stands for the path in errors.
inline dataset<kernel_schema> parse_kernel_steps(std::string_view text, const std::string& name,
                                                 const step_read_options& options = {}) {
  csv_table_reader table = csv_table_reader::from_text(text, name, detail::csv_options_of(options));
  return detail::read_kernel_table(table, options);
}

}  // namespace rafter
