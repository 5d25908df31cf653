// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "rafter/architecture/decoder.hpp"
#include "rafter/core/nearest_name.hpp"
#include "rafter/io/error.hpp"

namespace rafter {

namespace detail {

/// What a `model_type` of the transformers library means for the count. Defaults are those of its configuration
/// class; where that default is a number of one model (8 KV heads, head_dim 128), the key is required instead.
struct huggingface_kind {
  std::string_view model_type;
  bool moe = false;
  bool qkv_bias = false;
  bool qk_norm = false;
  bool kv_heads_default_to_heads = false;
  bool head_dim_required = false;
  bool tied_by_default = false;
  std::string_view experts_key = {};
  std::string_view expert_width_key = "intermediate_size";
  std::string_view shared_width_key = {};
};

inline constexpr std::array huggingface_kinds{
    huggingface_kind{.model_type = "llama", .kv_heads_default_to_heads = true},
    huggingface_kind{.model_type = "mistral"},
    huggingface_kind{.model_type = "mixtral", .moe = true, .experts_key = "num_local_experts"},
    huggingface_kind{.model_type = "qwen2", .qkv_bias = true},
    huggingface_kind{.model_type = "qwen2_moe",
                     .moe = true,
                     .qkv_bias = true,
                     .experts_key = "num_experts",
                     .expert_width_key = "moe_intermediate_size",
                     .shared_width_key = "shared_expert_intermediate_size"},
    huggingface_kind{.model_type = "qwen3", .qk_norm = true, .head_dim_required = true},
    huggingface_kind{.model_type = "qwen3_moe",
                     .moe = true,
                     .qk_norm = true,
                     .head_dim_required = true,
                     .experts_key = "num_experts",
                     .expert_width_key = "moe_intermediate_size"},
    huggingface_kind{.model_type = "internlm", .kv_heads_default_to_heads = true},
    huggingface_kind{.model_type = "gemma", .head_dim_required = true, .tied_by_default = true},
};

/// One config.json: typed access to its keys, with errors that name path, line, key and value.
class huggingface_document {
 public:
  huggingface_document(std::string path, std::string_view text) : path_(std::move(path)), text_(text) {
    std::vector<std::set<std::string>> keys;  // of the objects that are open
    std::string repeated;
    const auto watch = [&](int depth, nlohmann::json::parse_event_t event, nlohmann::json& parsed) {
      using enum nlohmann::json::parse_event_t;
      if (depth > 64) throw io_error({path_}, {}, {}, "nests deeper than 64 levels");
      if (event == object_start) keys.emplace_back();
      if (event == object_end && !keys.empty()) keys.pop_back();
      if (event == key && !keys.empty() && !keys.back().insert(parsed.get<std::string>()).second &&
          repeated.empty()) {
        repeated = parsed.get<std::string>();
      }
      return true;
    };
    try {
      json_ = nlohmann::json::parse(text_, watch);
    } catch (const nlohmann::json::exception& failure) {
      std::size_t byte = 0;
      if (const auto* at = dynamic_cast<const nlohmann::json::parse_error*>(&failure)) byte = at->byte;
      throw io_error(place_of(byte > 0 ? byte - 1 : 0), {}, {}, "is not well-formed JSON");
    }
    if (!repeated.empty()) refuse(repeated, {}, "is given twice");
    if (!json_.is_object()) throw io_error({path_}, {}, {}, "is not a JSON object");
  }

  /// Present and not null.
  bool has(std::string_view key) const { return value_of(key) != nullptr; }

  int count(std::string_view key, int least = 1) const {
    const nlohmann::json& value = required(key);
    if (!value.is_number_integer()) refuse(key, value.dump(), "is not a whole number");
    // Above 1e9 no such count is meant, and products of counts stay exact in double.
    constexpr std::int64_t most = 1'000'000'000;
    const bool too_big = value.is_number_unsigned() && value.get<std::uint64_t>() > static_cast<std::uint64_t>(most);
    if (too_big || value.get<std::int64_t>() < least) {
      refuse(key, value.dump(), "is not in [" + std::to_string(least) + ", " + std::to_string(most) + "]");
    }
    return static_cast<int>(value.get<std::int64_t>());
  }
  bool flag(std::string_view key, bool if_absent) const {
    const nlohmann::json* value = value_of(key);
    if (value == nullptr) return if_absent;
    if (!value->is_boolean()) refuse(key, value->dump(), "is not true or false");
    return value->get<bool>();
  }
  std::string text(std::string_view key) const {
    const nlohmann::json& value = required(key);
    if (!value.is_string()) refuse(key, value.dump(), "is not a text");
    return value.get<std::string>();
  }
  std::vector<std::string> texts(std::string_view key) const {
    std::vector<std::string> all;
    const nlohmann::json* value = value_of(key);
    if (value == nullptr) return all;
    if (!value->is_array()) refuse(key, value->dump(), "is not a list");
    for (const nlohmann::json& item : *value) {
      if (!item.is_string()) refuse(key, item.dump(), "is not a text");
      all.push_back(item.get<std::string>());
    }
    return all;
  }
  bool is_empty_list_or_absent(std::string_view key) const {
    const nlohmann::json* value = value_of(key);
    return value == nullptr || (value->is_array() && value->empty());
  }
  std::string dump(std::string_view key) const { return required(key).dump(); }
  /// A short name for a nested object: its member `inner` if that is a text, else all of it.
  std::string inner_text(std::string_view key, const char* inner) const {
    const nlohmann::json& value = required(key);
    if (value.is_object() && value.contains(inner) && value[inner].is_string())
      return value[inner].get<std::string>();
    return value.dump();
  }

  [[noreturn]] void refuse(std::string_view key, std::string_view offending, std::string_view fact) const {
    throw io_error(place_of_key(key), key, offending, fact);
  }

 private:
  const nlohmann::json* value_of(std::string_view key) const {
    const auto found = json_.find(key);
    return found == json_.end() || found->is_null() ? nullptr : &*found;
  }
  const nlohmann::json& required(std::string_view key) const {
    const nlohmann::json* value = value_of(key);
    if (value == nullptr) {
      std::vector<std::string> present;
      for (const auto& item : json_.items()) present.push_back(item.key());
      refuse(key, {}, "is missing" + (has_null(key) ? std::string(" (null)") : did_you_mean(key, present)));
    }
    return *value;
  }
  bool has_null(std::string_view key) const { return json_.find(key) != json_.end(); }

  io_place place_of(std::size_t byte) const {
    const std::string_view before = text_.substr(0, byte);
    std::size_t line = 1;
    std::size_t line_start = 0;
    for (std::size_t i = 0; i < before.size(); ++i) {
      if (before[i] == '\n') {
        ++line;
        line_start = i + 1;
      }
    }
    return {path_, line, before.size() - line_start + 1};
  }
  /// The place of a key that occurs once in the text; without a line when it does not or occurs in nested objects
  /// too.
  io_place place_of_key(std::string_view key) const {
    const std::string quoted = '"' + std::string(key) + '"';
    const std::size_t first = text_.find(quoted);
    if (first == std::string_view::npos || text_.find(quoted, first + 1) != std::string_view::npos) return {path_};
    return place_of(first);
  }

  std::string path_;
  std::string_view text_;
  nlohmann::json json_;
};

inline const huggingface_kind& kind_of(const huggingface_document& document) {
  const std::string type = document.text("model_type");
  std::string known;
  std::vector<std::string_view> names;
  for (const huggingface_kind& kind : huggingface_kinds) {
    if (kind.model_type == type) return kind;
    names.push_back(kind.model_type);
    known.append(known.empty() ? "" : ", ").append(kind.model_type);
  }
  document.refuse(
      "model_type", type,
      "is not a decoder-only transformer that rafter can count (known: " + known + ")" + did_you_mean(type, names));
}

/// Refuses what changes the work or the weights in a way that `decoder` cannot say.
inline void refuse_the_uncountable(const huggingface_document& document, const huggingface_kind& kind) {
  if (document.flag("is_encoder_decoder", false)) {
    document.refuse("is_encoder_decoder", "true", "means an encoder, which rafter cannot count");
  }
  for (const std::string& architecture : document.texts("architectures")) {
    if (!architecture.ends_with("ForCausalLM")) {
      document.refuse("architectures", architecture, "is not a causal language model (…ForCausalLM)");
    }
  }
  for (const char* nested : {"text_config", "vision_config", "audio_config"}) {
    if (document.has(nested))
      document.refuse(nested, {}, "means a model of several parts, which rafter cannot count");
  }
  for (const std::string& layer : document.texts("layer_types")) {
    if (layer != "full_attention")
      document.refuse("layer_types", layer, "is a kind of layer that rafter cannot count");
  }
  const bool window_in_use = document.flag("use_sliding_window", true);
  if (document.has("sliding_window") && window_in_use) {
    const int window = document.count("sliding_window");
    const bool never_reached =
        document.has("max_position_embeddings") && window >= document.count("max_position_embeddings");
    if (!never_reached) {
      document.refuse("sliding_window", std::to_string(window),
                      "is a window of attention, which rafter cannot count; null it if no context is longer");
    }
  }
  for (const char* bias : {"attention_bias", "mlp_bias"}) {
    if (document.flag(bias, false)) document.refuse(bias, "true", "means biases that rafter cannot count");
  }
  if (kind.model_type == "internlm" && document.flag("bias", true)) {
    document.refuse("bias", document.has("bias") ? "true" : "",
                    "means biases that rafter cannot count (default: true)");
  }
  if (kind.moe) {
    if (document.has("decoder_sparse_step") && document.count("decoder_sparse_step") != 1) {
      document.refuse("decoder_sparse_step", document.dump("decoder_sparse_step"),
                      "mixes dense layers in, which rafter cannot count");
    }
    if (!document.is_empty_list_or_absent("mlp_only_layers")) {
      document.refuse("mlp_only_layers", document.dump("mlp_only_layers"),
                      "mixes dense layers in, which rafter cannot count");
    }
  }
  if (document.has("quantization_config")) {
    document.refuse("quantization_config", document.inner_text("quantization_config", "quant_method"),
                    "quantises some weights and not others, which rafter cannot count; remove it and set "
                    "bytes_per_weight");
  }
}

inline double element_bytes(const huggingface_document& document) {
  const std::string_view key = document.has("dtype") && !document.has("torch_dtype") ? "dtype" : "torch_dtype";
  const std::string type = document.text(key);
  if (type == "float16" || type == "bfloat16") return 2.0;
  if (type == "float32") return 4.0;
  document.refuse(key, type, "is not an element type that rafter knows (float16, bfloat16, float32)");
}

}  // namespace detail

/// The decoder that a Hugging Face `config.json` describes.
/// Kinds (`model_type`): llama (also Code Llama, Yi, …), mistral, mixtral, qwen2, qwen2_moe, qwen3, qwen3_moe,
/// internlm, gemma. `torch_dtype` (or `dtype`) gives the bytes of weights, KV and activations alike.
/// @param text  the JSON
/// @param path  for messages, and for the name when the file has no `_name_or_path`: its folder's name
/// @throws io_error with path, line, key and value: not JSON, a key given twice, missing, of the wrong type or out of
///         range; a model that `decoder` cannot describe (encoders, several parts, latent or windowed attention,
///         hybrid layers, uncounted biases, quantised weights)
inline decoder parse_huggingface_config(std::string_view text, const std::string& path) {
  const detail::huggingface_document document(path, text);
  const detail::huggingface_kind& kind = detail::kind_of(document);
  detail::refuse_the_uncountable(document, kind);

  decoder a;
  if (document.has("_name_or_path")) a.name = document.text("_name_or_path");
  if (a.name.empty()) a.name = std::filesystem::path(path).parent_path().filename().string();
  a.layers = document.count("num_hidden_layers");
  a.hidden = document.count("hidden_size");
  a.heads = document.count("num_attention_heads");
  const bool as_heads = kind.kv_heads_default_to_heads && !document.has("num_key_value_heads");
  a.kv_heads = as_heads ? a.heads : document.count("num_key_value_heads");
  if (document.has("head_dim") || kind.head_dim_required) {
    a.head_dim = document.count("head_dim");
  } else if (a.hidden % a.heads == 0) {
    a.head_dim = a.hidden / a.heads;
  } else {
    document.refuse(
        "hidden_size", std::to_string(a.hidden),
        "is not a multiple of num_attention_heads = " + std::to_string(a.heads) + ", and head_dim is missing");
  }
  a.intermediate = document.count(kind.expert_width_key);
  if (kind.moe) {
    a.experts = document.count(kind.experts_key);
    a.experts_per_token = document.count("num_experts_per_tok");
    if (!kind.shared_width_key.empty()) a.shared_intermediate = document.count(kind.shared_width_key, 0);
  }
  a.vocabulary = document.count("vocab_size");
  a.bytes_per_weight = a.bytes_per_kv = a.bytes_per_activation = detail::element_bytes(document);
  a.tied_embeddings = document.flag("tie_word_embeddings", kind.tied_by_default);
  a.qkv_bias = kind.qkv_bias;
  a.qk_norm = kind.qk_norm;
  try {
    check(a);
  } catch (const architecture_error& failure) {
    throw io_error({path}, {}, {}, printable(failure.what(), 300));
  }
  return a;
}

/// Reads `config.json`, or the file of that name in a folder. @throws io_error as `parse_huggingface_config`, and
/// when the file cannot be read or is too big to be one (over 4 MiB)
inline decoder read_huggingface_config(const std::filesystem::path& file_or_folder) {
  std::error_code ignored;
  const bool folder = std::filesystem::is_directory(file_or_folder, ignored);
  const std::filesystem::path path = folder ? file_or_folder / "config.json" : file_or_folder;
  std::ifstream file(path, std::ios::binary);
  if (!file) throw io_error({path.string()}, {}, {}, "cannot be opened");
  constexpr std::size_t limit = std::size_t{4} << 20U;
  std::string text(limit + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (file.bad()) throw io_error({path.string()}, {}, {}, "cannot be read");
  text.resize(static_cast<std::size_t>(file.gcount()));
  if (text.size() > limit) throw io_error({path.string()}, {}, {}, "is over 4 MiB: not a model's config.json");
  return parse_huggingface_config(text, path.string());
}

}  // namespace rafter
