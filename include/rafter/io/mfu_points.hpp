// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iterator>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "rafter/analytical/curve_points.hpp"
#include "rafter/hardware/accelerator.hpp"
#include "rafter/io/csv.hpp"
#include "rafter/io/step_reader.hpp"
#include "rafter/units/quantity.hpp"

namespace rafter {

/// One measured matrix product C[m,n] = A[m,k]·B[k,n] on one device; m counts tokens.
struct measured_gemm {
  std::string kernel;                  ///< the operator (vidur) or the library's kernel (aiconfigurator)
  precision format = precision::bf16;  ///< of A and B
  double m = 0.0, n = 0.0, k = 0.0;
  double seconds = 0.0;  ///< positive

  double flop() const { return 2.0 * m * n * k; }
  /// FLOP for each byte of A and B, read once, and of C, written in 16 bits.
  double intensity() const {
    const double element = format == precision::fp8 ? 1.0 : 2.0;
    return flop() / (element * (m * k + k * n) + 2.0 * m * n);
  }
  /// Achieved FLOP/s ÷ peak.
  double mfu(flop_per_second peak) const { return flop() / (seconds * peak.value); }
};

namespace detail {
inline constexpr std::array<std::string_view, 18> vidur_mlp_columns{"tp",
                                                                    "num_tokens",
                                                                    "n_head",
                                                                    "n_kv_head",
                                                                    "n_embd",
                                                                    "n_expanded_embd",
                                                                    "vocab_size",
                                                                    "use_gated_mlp",
                                                                    "emb_ms",
                                                                    "input_layernorm_ms",
                                                                    "attn_pre_proj_ms",
                                                                    "attn_rope_ms",
                                                                    "attn_post_proj_ms",
                                                                    "post_attention_layernorm_ms",
                                                                    "mlp_up_proj_ms",
                                                                    "mlp_act_ms",
                                                                    "mlp_down_proj_ms",
                                                                    "add_ms"};
inline constexpr std::array<std::string_view, 6> aiconfigurator_gemm_columns{
    "kernel_source", "gemm_dtype", "m", "n", "k", "latency_us"};

/// A count that is not zero, as a double.
inline double size_in(const csv_row& row, std::size_t column) {
  const std::int64_t value = count_in(row, column);
  if (value == 0) throw row.error_at(column, "is no size of a matrix");
  return static_cast<double>(value);
}
/// A size that tensor parallelism divides among `tp` ranks.
inline double share_in(const csv_row& row, std::size_t column, double tp) {
  const double share = size_in(row, column) / tp;
  if (share != static_cast<double>(static_cast<std::int64_t>(share))) {
    throw row.error_at(column, "is not divided by tp = " + std::to_string(static_cast<std::int64_t>(tp)));
  }
  return share;
}
/// A measured time in a unit of which there are `per_second`, in seconds.
inline double kernel_time_in(const csv_row& row, std::size_t column, double per_second) {
  const double time = row.number(column) / per_second;
  if (!(time > 0.0)) throw row.error_at(column, "is not a time that a kernel can take");
  return time;
}
inline precision gemm_format_in(const csv_row& row, std::size_t column) {
  const std::string_view text = row.required_text(column);
  if (text == "bfloat16") return precision::bf16;
  if (text == "fp8" || text == "fp8_block") return precision::fp8;
  throw row.error_at(column, "is not one of bfloat16, fp8, fp8_block");
}

/// What a row of a vidur table says of one layer on one rank.
struct vidur_layer {
  double tokens = 0.0, hidden = 0.0, heads = 0.0, kv_heads = 0.0, head_dim = 0.0, width = 0.0;
  double inputs = 1.0;  ///< gate and up are one product, twice as wide
};
class vidur_columns {
 public:
  explicit vidur_columns(const csv_table_reader& table)
      : ranks_((table.check_columns(vidur_mlp_columns, unexpected_columns::refuse), table.column("tp"))),
        tokens_(table.column("num_tokens")),
        heads_(table.column("n_head")),
        kv_heads_(table.column("n_kv_head")),
        hidden_(table.column("n_embd")),
        expanded_(table.column("n_expanded_embd")),
        gated_(table.column("use_gated_mlp")) {}

  vidur_layer layer(const csv_row& row) const {
    const double tp = size_in(row, ranks_);
    vidur_layer one;
    one.tokens = size_in(row, tokens_);
    one.hidden = size_in(row, hidden_);
    one.heads = share_in(row, heads_, tp);
    one.kv_heads = share_in(row, kv_heads_, tp);
    one.head_dim = one.hidden / size_in(row, heads_);
    if (one.head_dim != static_cast<double>(static_cast<std::int64_t>(one.head_dim))) {
      throw row.error_at(heads_, "does not divide n_embd");
    }
    one.width = share_in(row, expanded_, tp);
    const std::string_view is_gated = row.required_text(gated_);
    if (is_gated != "True" && is_gated != "False") throw row.error_at(gated_, "is neither True nor False");
    one.inputs = is_gated == "True" ? 2.0 : 1.0;
    return one;
  }

 private:
  std::size_t ranks_, tokens_, heads_, kv_heads_, hidden_, expanded_, gated_;
};

/// Four products for each row.
inline std::vector<measured_gemm> read_vidur_table(csv_table_reader& table) {
  const vidur_columns columns(table);
  const std::size_t qkv = table.column("attn_pre_proj_ms"), output = table.column("attn_post_proj_ms");
  const std::size_t up = table.column("mlp_up_proj_ms"), down = table.column("mlp_down_proj_ms");
  std::vector<measured_gemm> gemms;
  table.for_each_row([&](const csv_row& row) {
    const auto [m, d, heads, kv_heads, head_dim, width, inputs] = columns.layer(row);
    const measured_gemm four[] = {
        {"attn_pre_proj", precision::fp16, m, (heads + 2.0 * kv_heads) * head_dim, d, kernel_time_in(row, qkv, 1e3)},
        {"attn_post_proj", precision::fp16, m, d, heads * head_dim, kernel_time_in(row, output, 1e3)},
        {"mlp_up_proj", precision::fp16, m, inputs * width, d, kernel_time_in(row, up, 1e3)},
        {"mlp_down_proj", precision::fp16, m, d, width, kernel_time_in(row, down, 1e3)}};
    gemms.insert(gemms.end(), std::begin(four), std::end(four));
  });
  return gemms;
}

inline std::vector<measured_gemm> read_aiconfigurator_table(csv_table_reader& table) {
  table.check_columns(aiconfigurator_gemm_columns, unexpected_columns::refuse);
  const std::size_t source = table.column("kernel_source"), format = table.column("gemm_dtype");
  const std::size_t m = table.column("m"), n = table.column("n"), k = table.column("k");
  const std::size_t time = table.column("latency_us");
  std::vector<measured_gemm> gemms;
  table.for_each_row([&](const csv_row& row) {
    gemms.push_back({std::string(row.required_text(source)), gemm_format_in(row, format), size_in(row, m),
                     size_in(row, n), size_in(row, k), kernel_time_in(row, time, 1e6)});
  });
  return gemms;
}
}  // namespace detail

/// Reads the matrix products of a vidur table `mlp.csv` (one row for each tp and number of tokens; median milliseconds of
/// each operator in one layer on one rank, 16-bit floats): QKV projection, output projection, MLP up (with the gate where
/// there is one) and MLP down, four products a row. Their shapes follow from the model's sizes and tp, which must divide
/// heads, KV heads and the MLP's width. A pair that was measured twice gives both.
/// @throws io_error with line, column, field and text for the first bad row, unless the options collect bad rows
inline std::vector<measured_gemm> read_vidur_gemms(const std::string& path, const csv_options& options = {}) {
  csv_table_reader table(path, options);
  return detail::read_vidur_table(table);
}
/// The same for a text; `name` stands for the path in errors.
inline std::vector<measured_gemm> parse_vidur_gemms(std::string_view text, const std::string& name,
                                                    const csv_options& options = {}) {
  csv_table_reader table = csv_table_reader::from_text(text, name, options);
  return detail::read_vidur_table(table);
}

/// Reads an aiconfigurator table `gemm.csv`: kernel_source, gemm_dtype (bfloat16, fp8, fp8_block), m, n, k, latency_us.
/// @throws io_error as read_vidur_gemms
inline std::vector<measured_gemm> read_aiconfigurator_gemms(const std::string& path,
                                                            const csv_options& options = {}) {
  csv_table_reader table(path, options);
  return detail::read_aiconfigurator_table(table);
}
/// The same for a text; `name` stands for the path in errors.
inline std::vector<measured_gemm> parse_aiconfigurator_gemms(std::string_view text, const std::string& name,
                                                             const csv_options& options = {}) {
  csv_table_reader table = csv_table_reader::from_text(text, name, options);
  return detail::read_aiconfigurator_table(table);
}

/// The MFU of each product against its FLOP, one point for each, in their order: what `median_per_bin` and
/// `measured_curve` take. Against something else: `&measured_gemm::intensity`, `&measured_gemm::m`, or any function.
/// @param peak  dense peak of the device in the format of the products, which must all have one
/// @throws curve_error for products of two formats, and for an MFU above 1: the peak is then not that of the device
template <class Against = double (measured_gemm::*)() const>
std::vector<curve_point> mfu_points(std::span<const measured_gemm> gemms, flop_per_second peak,
                                    Against against = &measured_gemm::flop) {
  std::vector<curve_point> points;
  points.reserve(gemms.size());
  for (const measured_gemm& one : gemms) {
    const auto name = [&] {
      return "mfu_points: product " + std::to_string(points.size() + 1) + " (" + one.kernel + ")";
    };
    if (one.format != gemms.front().format) {
      throw curve_error(name() + " is in " + std::string(text_of(one.format)) + ", the first in " +
                        std::string(text_of(gemms.front().format)) + "; each has a peak of its own");
    }
    const double reached = one.mfu(peak);
    if (!(reached <= 1.0)) {
      throw curve_error(name() + " has the MFU " + std::to_string(reached) +
                        "; above 1 the peak is not that of the device and format");
    }
    points.push_back({std::invoke(against, one), reached});
  }
  return points;
}

/// The products with one weight matrix [k,n]: what is left to vary is m.
inline std::vector<measured_gemm> of_shape(std::span<const measured_gemm> gemms, double n, double k) {
  std::vector<measured_gemm> found;
  for (const measured_gemm& one : gemms) {
    if (one.n == n && one.k == k) found.push_back(one);
  }
  return found;
}

}  // namespace rafter
