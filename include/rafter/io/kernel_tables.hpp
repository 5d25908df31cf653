// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rafter/analytical/operation_table.hpp"
#include "rafter/io/csv.hpp"
#include "rafter/io/mfu_points.hpp"

/// Tables of single kernels, as vidur and aiconfigurator publish them, as points of operations.
namespace rafter {

/// How tokens spread over experts, as a shape member of `operations::expert_products`.
enum class expert_routing : unsigned char { balanced, power_law_1_01, power_law_1_2 };

/// Which rows of an attention table are wanted: those of one sliding window (0: none).
struct attention_rows {
  double window = 0.0;
};

namespace detail {

inline constexpr std::array<std::string_view, 11> aiconfigurator_attention_columns{
    "kernel_source", "batch_size",     "isl",  "num_heads",   "num_key_value_heads", "head_dim",
    "attn_dtype",    "kv_cache_dtype", "step", "window_size", "latency_us"};
inline constexpr std::array<std::string_view, 11> aiconfigurator_moe_columns{
    "kernel_source", "moe_dtype",   "num_tokens",  "hidden_size",  "inter_size", "topk",
    "num_experts",   "moe_tp_size", "moe_ep_size", "distribution", "latency_us"};
inline constexpr std::array<std::string_view, 6> aiconfigurator_allreduce_columns{
    "kernel_source", "allreduce_dtype", "num_gpus", "message_size", "backend", "latency_us"};
inline constexpr std::array<std::string_view, 5> aiconfigurator_nccl_columns{"op_name", "nccl_dtype", "num_gpus",
                                                                             "message_size", "latency_us"};
inline constexpr std::array<std::string_view, 7> vidur_network_columns{
    "num_workers", "devices_per_node", "size_bytes", "median_ms", "mean_ms", "min_ms", "max_ms"};

inline double bits_in(const csv_row& row, std::size_t column) {
  const std::string_view text = row.required_text(column);
  if (text == "bfloat16" || text == "half") return 16.0;
  if (text == "fp8" || text == "int8") return 8.0;
  throw row.error_at(column, "is not one of bfloat16, half, fp8, int8");
}
/// A number that one of another column divides without rest.
inline double divided_in(const csv_row& row, std::size_t column, double by, const char* name) {
  const double share = size_in(row, column) / by;
  if (share != static_cast<double>(static_cast<std::int64_t>(share))) {
    throw row.error_at(column, std::string("is not divided by ") + name);
  }
  return share;
}

/// Rows of an attention table; `decode` says which of the two it is.
template <class Operation>
std::vector<operation_point<Operation>> read_attention_table(csv_table_reader& table, const attention_rows& wanted) {
  constexpr bool decode = std::is_same_v<Operation, operations::decode_attention>;
  table.check_columns(aiconfigurator_attention_columns, unexpected_columns::refuse);
  const std::size_t requests = table.column("batch_size"), length = table.column("isl");
  const std::size_t heads = table.column("num_heads"), kv_heads = table.column("num_key_value_heads");
  const std::size_t head_dim = table.column("head_dim"), format = table.column("attn_dtype");
  const std::size_t cache = table.column("kv_cache_dtype"), step = table.column("step");
  const std::size_t window = table.column("window_size"), time = table.column("latency_us");
  std::vector<operation_point<Operation>> points;
  table.for_each_row([&](const csv_row& row) {
    if (row.required_text(format) != "bfloat16") throw row.error_at(format, "is not bfloat16");
    const operation_point<Operation> one{
        {bits_in(row, cache), size_in(row, heads), size_in(row, kv_heads), size_in(row, head_dim)},
        {size_in(row, requests), decode ? static_cast<double>(count_in(row, step)) + 1.0 : size_in(row, length)},
        kernel_time_in(row, time, 1e6)};
    const double new_tokens = size_in(row, length), past = static_cast<double>(count_in(row, step));
    if (decode && new_tokens != 1.0) throw row.error_at(length, "is not the 1 new token of a decode request");
    if (!decode && past != 0.0) throw row.error_at(step, "is past KV, which this operation has none of");
    if (static_cast<double>(count_in(row, window)) == wanted.window) points.push_back(one);
  });
  return points;
}

inline std::vector<operation_point<operations::expert_products>> read_moe_table(csv_table_reader& table) {
  table.check_columns(aiconfigurator_moe_columns, unexpected_columns::refuse);
  const std::size_t format = table.column("moe_dtype"), tokens = table.column("num_tokens");
  const std::size_t hidden = table.column("hidden_size"), width = table.column("inter_size");
  const std::size_t top_k = table.column("topk"), experts = table.column("num_experts");
  const std::size_t tp = table.column("moe_tp_size"), ep = table.column("moe_ep_size");
  const std::size_t routing = table.column("distribution"), time = table.column("latency_us");
  std::vector<operation_point<operations::expert_products>> points;
  table.for_each_row([&](const csv_row& row) {
    const std::string_view text = row.required_text(routing);
    const auto spread = text == "balanced"         ? expert_routing::balanced
                        : text == "power_law_1.01" ? expert_routing::power_law_1_01
                        : text == "power_law_1.2"
                            ? expert_routing::power_law_1_2
                            : throw row.error_at(routing, "is not one of balanced, power_law_1.01, power_law_1.2");
    points.push_back({{bits_in(row, format), static_cast<double>(spread), size_in(row, hidden),
                       size_in(row, width) / size_in(row, tp), size_in(row, top_k), size_in(row, experts),
                       divided_in(row, experts, size_in(row, ep), "moe_ep_size")},
                      {size_in(row, tokens)},
                      kernel_time_in(row, time, 1e6)});
  });
  return points;
}

inline std::vector<operation_point<operations::all_reduce>> read_allreduce_table(csv_table_reader& table,
                                                                                 std::string_view wanted) {
  table.check_columns(aiconfigurator_allreduce_columns, unexpected_columns::refuse);
  const std::size_t format = table.column("allreduce_dtype"), ranks = table.column("num_gpus");
  const std::size_t size = table.column("message_size"), backend = table.column("backend");
  const std::size_t time = table.column("latency_us");
  std::vector<operation_point<operations::all_reduce>> points;
  table.for_each_row([&](const csv_row& row) {
    const operation_point<operations::all_reduce> one{
        {size_in(row, ranks)}, {size_in(row, size) * bits_in(row, format) / 8.0}, kernel_time_in(row, time, 1e6)};
    if (row.required_text(backend) == wanted) points.push_back(one);
  });
  return points;
}

inline std::vector<operation_point<operations::all_reduce>> read_nccl_table(csv_table_reader& table) {
  table.check_columns(aiconfigurator_nccl_columns, unexpected_columns::refuse);
  const std::size_t name = table.column("op_name"), format = table.column("nccl_dtype");
  const std::size_t ranks = table.column("num_gpus"), size = table.column("message_size");
  const std::size_t time = table.column("latency_us");
  std::vector<operation_point<operations::all_reduce>> points;
  table.for_each_row([&](const csv_row& row) {
    const double bits = bits_in(row, format);
    const operation_point<operations::all_reduce> one{
        {size_in(row, ranks)}, {size_in(row, size) * bits / 8.0}, kernel_time_in(row, time, 1e6)};
    if (row.required_text(name) == "all_reduce" && bits == 16.0) points.push_back(one);
  });
  return points;
}

inline std::vector<operation_point<operations::all_reduce>> read_network_table(csv_table_reader& table) {
  table.check_columns(vidur_network_columns, unexpected_columns::refuse);
  const std::size_t ranks = table.column("num_workers"), size = table.column("size_bytes");
  const std::size_t time = table.column("median_ms");
  std::vector<operation_point<operations::all_reduce>> points;
  table.for_each_row([&](const csv_row& row) {
    points.push_back({{size_in(row, ranks)}, {size_in(row, size)}, kernel_time_in(row, time, 1e3)});
  });
  return points;
}

/// The elementwise kernels of each row, summed; some tables lack the second norm.
inline std::vector<operation_point<operations::elementwise>> read_vidur_elementwise_table(csv_table_reader& table) {
  const vidur_columns columns(table);
  std::vector<std::size_t> times;
  for (const char* name :
       {"input_layernorm_ms", "attn_rope_ms", "post_attention_layernorm_ms", "mlp_act_ms", "add_ms"}) {
    if (const auto found = table.find_column(name)) times.push_back(*found);
  }
  std::vector<operation_point<operations::elementwise>> points;
  table.for_each_row([&](const csv_row& row) {
    const vidur_layer layer = columns.layer(row);
    double seconds = 0.0;
    for (const std::size_t column : times) seconds += kernel_time_in(row, column, 1e3);
    points.push_back(
        {{layer.hidden, layer.heads, layer.kv_heads, layer.head_dim, layer.width}, {layer.tokens}, seconds});
  });
  return points;
}
}  // namespace detail

/// Points of matrix products that read_vidur_gemms or read_aiconfigurator_gemms read: bf16 and fp16 are 16 bits, fp8
/// is 8. fp8 with scales per block is another kernel (`measured_gemm::kernel`); leave one kind out before.
inline std::vector<operation_point<operations::matrix_product>> points_of(std::span<const measured_gemm> gemms) {
  std::vector<operation_point<operations::matrix_product>> points;
  points.reserve(gemms.size());
  for (const measured_gemm& one : gemms) {
    points.push_back({{one.format == precision::fp8 ? 8.0 : 16.0, one.n, one.k}, {one.m}, one.seconds});
  }
  return points;
}

/// Reads the elementwise kernels of a vidur table `mlp.csv`, summed for each row.
/// @throws io_error with line, column, field and text for the first bad row, unless the options collect bad rows: so
///         do all
///         readers here
inline std::vector<operation_point<operations::elementwise>> read_vidur_elementwise(const std::string& path,
                                                                                    const csv_options& options = {}) {
  csv_table_reader table(path, options);
  return detail::read_vidur_elementwise_table(table);
}
/// The same for a text; `name` stands for the path in errors. So for all below.
inline std::vector<operation_point<operations::elementwise>> parse_vidur_elementwise(
    std::string_view text, const std::string& name, const csv_options& options = {}) {
  csv_table_reader table = csv_table_reader::from_text(text, name, options);
  return detail::read_vidur_elementwise_table(table);
}

/// Reads a vidur table `all_reduce.csv`: the median over ranks, sizes in bytes.
inline std::vector<operation_point<operations::all_reduce>> read_vidur_all_reduce(const std::string& path,
                                                                                  const csv_options& options = {}) {
  csv_table_reader table(path, options);
  return detail::read_network_table(table);
}
inline std::vector<operation_point<operations::all_reduce>> parse_vidur_all_reduce(std::string_view text,
                                                                                   const std::string& name,
                                                                                   const csv_options& options = {}) {
  csv_table_reader table = csv_table_reader::from_text(text, name, options);
  return detail::read_network_table(table);
}

/// Reads an aiconfigurator table of prefill attention (`context_attention*.csv`): `isl` tokens, no past KV.
inline std::vector<operation_point<operations::prompt_attention>> read_context_attention(
    const std::string& path, const attention_rows& wanted = {}, const csv_options& options = {}) {
  csv_table_reader table(path, options);
  return detail::read_attention_table<operations::prompt_attention>(table, wanted);
}
inline std::vector<operation_point<operations::prompt_attention>> parse_context_attention(
    std::string_view text, const std::string& name, const attention_rows& wanted = {},
    const csv_options& options = {}) {
  csv_table_reader table = csv_table_reader::from_text(text, name, options);
  return detail::read_attention_table<operations::prompt_attention>(table, wanted);
}

/// Reads an aiconfigurator table of decode attention (`generation_attention*.csv`): the KV length is `step` + 1.
inline std::vector<operation_point<operations::decode_attention>> read_generation_attention(
    const std::string& path, const attention_rows& wanted = {}, const csv_options& options = {}) {
  csv_table_reader table(path, options);
  return detail::read_attention_table<operations::decode_attention>(table, wanted);
}
inline std::vector<operation_point<operations::decode_attention>> parse_generation_attention(
    std::string_view text, const std::string& name, const attention_rows& wanted = {},
    const csv_options& options = {}) {
  csv_table_reader table = csv_table_reader::from_text(text, name, options);
  return detail::read_attention_table<operations::decode_attention>(table, wanted);
}

/// Reads an aiconfigurator table `moe.csv`: `inter_size` over `moe_tp_size` ranks, experts over `moe_ep_size`.
inline std::vector<operation_point<operations::expert_products>> read_moe(const std::string& path,
                                                                          const csv_options& options = {}) {
  csv_table_reader table(path, options);
  return detail::read_moe_table(table);
}
inline std::vector<operation_point<operations::expert_products>> parse_moe(std::string_view text,
                                                                           const std::string& name,
                                                                           const csv_options& options = {}) {
  csv_table_reader table = csv_table_reader::from_text(text, name, options);
  return detail::read_moe_table(table);
}

/// Reads the rows of one backend (vllm_graph, vllm_eager) of an aiconfigurator table `custom_allreduce.csv`; its
/// messages count elements, the points bytes.
inline std::vector<operation_point<operations::all_reduce>> read_custom_allreduce(
    const std::string& path, std::string_view backend = "vllm_graph", const csv_options& options = {}) {
  csv_table_reader table(path, options);
  return detail::read_allreduce_table(table, backend);
}
inline std::vector<operation_point<operations::all_reduce>> parse_custom_allreduce(
    std::string_view text, const std::string& name, std::string_view backend = "vllm_graph",
    const csv_options& options = {}) {
  csv_table_reader table = csv_table_reader::from_text(text, name, options);
  return detail::read_allreduce_table(table, backend);
}

/// Reads the 16-bit all-reduces of an aiconfigurator table `nccl.csv`; its messages count elements, the points bytes.
inline std::vector<operation_point<operations::all_reduce>> read_nccl_all_reduce(const std::string& path,
                                                                                 const csv_options& options = {}) {
  csv_table_reader table(path, options);
  return detail::read_nccl_table(table);
}
inline std::vector<operation_point<operations::all_reduce>> parse_nccl_all_reduce(std::string_view text,
                                                                                  const std::string& name,
                                                                                  const csv_options& options = {}) {
  csv_table_reader table = csv_table_reader::from_text(text, name, options);
  return detail::read_nccl_table(table);
}

/// Reads one device's folder of aiconfigurator: 16-bit and per-tensor fp8 products, attention without sliding window,
/// experts, all-reduce inside a CUDA graph (NCCL's for numbers of ranks that it lacks). Shapes with as many KV heads
/// as heads are those of the `_mha_sglang` tables where these have them, so that one rig measured both phases. Files
/// beyond gemm.csv and the two attention tables may be absent.
inline operation_points read_aiconfigurator_folder(const std::filesystem::path& folder,
                                                   const csv_options& options = {}) {
  const auto file = [&](const char* name) { return (folder / name).string(); };
  const auto there = [&](const char* name) { return std::filesystem::exists(folder / name); };
  operation_points points;
  std::vector<measured_gemm> gemms = read_aiconfigurator_gemms(file("gemm.csv"), options);
  std::erase_if(gemms, [](const measured_gemm& one) { return one.kernel.find("Block") != std::string::npos; });
  points.products = points_of(gemms);
  const auto attention = [&](auto& into, auto mha, auto all) {
    std::erase_if(mha, [](const auto& one) { return one.shape[1] != one.shape[2]; });
    into = std::move(mha);
    add_new_shapes(into, std::span<const typename decltype(all)::value_type>(all));
  };
  using prompt_points = decltype(points.prompt_attention);
  using decode_points = decltype(points.decode_attention);
  const char* const prompt_mha = "context_attention_mha_sglang.csv";
  const char* const decode_mha = "generation_attention_mha_sglang.csv";
  attention(points.prompt_attention,
            there(prompt_mha) ? read_context_attention(file(prompt_mha), {}, options) : prompt_points{},
            read_context_attention(file("context_attention.csv"), {}, options));
  attention(points.decode_attention,
            there(decode_mha) ? read_generation_attention(file(decode_mha), {}, options) : decode_points{},
            read_generation_attention(file("generation_attention.csv"), {}, options));
  if (there("moe.csv")) points.experts = read_moe(file("moe.csv"), options);
  if (there("custom_allreduce.csv")) {
    points.all_reduce = read_custom_allreduce(file("custom_allreduce.csv"), "vllm_graph", options);
  }
  if (there("nccl.csv")) {
    const auto nccl = read_nccl_all_reduce(file("nccl.csv"), options);
    add_new_shapes(points.all_reduce, std::span<const operation_point<operations::all_reduce>>(nccl));
  }
  return points;
}

}  // namespace rafter
