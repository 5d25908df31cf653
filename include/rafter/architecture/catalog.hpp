// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rafter/architecture/catalog/codellama.hpp"
#include "rafter/architecture/catalog/deepseek_v3.hpp"
#include "rafter/architecture/catalog/internlm.hpp"
#include "rafter/architecture/catalog/llama2.hpp"
#include "rafter/architecture/catalog/llama3.hpp"
#include "rafter/architecture/catalog/mistral.hpp"
#include "rafter/architecture/catalog/mixtral.hpp"
#include "rafter/architecture/catalog/qwen2.hpp"
#include "rafter/architecture/catalog/qwen3.hpp"
#include "rafter/architecture/decoder.hpp"
#include "rafter/core/nearest_name.hpp"

namespace rafter {

namespace detail {

struct decoder_alias {
  std::string_view alias;  // as `plain_model_name` leaves it
  decoder (*make)();
};

inline constexpr std::array decoder_aliases{
    decoder_alias{"llama-2-7b", &decoder_of<llama2_7b>},
    decoder_alias{"llama-2-13b", &decoder_of<llama2_13b>},
    decoder_alias{"llama-2-70b", &decoder_of<llama2_70b>},
    decoder_alias{"llama-3-1-8b", &decoder_of<llama3_8b>},
    decoder_alias{"llama-3-8b", &decoder_of<llama3_8b>},
    decoder_alias{"meta-llama-3-8b", &decoder_of<llama3_8b>},
    decoder_alias{"meta-llama-3-1-8b", &decoder_of<llama3_8b>},
    decoder_alias{"llama-3-1-70b", &decoder_of<llama3_70b>},
    decoder_alias{"llama-3-70b", &decoder_of<llama3_70b>},
    decoder_alias{"llama-3-3-70b", &decoder_of<llama3_70b>},
    decoder_alias{"meta-llama-3-70b", &decoder_of<llama3_70b>},
    decoder_alias{"meta-llama-3-1-70b", &decoder_of<llama3_70b>},
    decoder_alias{"llama-3-1-405b", &decoder_of<llama3_405b>},
    decoder_alias{"llama-3-405b", &decoder_of<llama3_405b>},
    decoder_alias{"meta-llama-3-1-405b", &decoder_of<llama3_405b>},
    decoder_alias{"llama-3-2-1b", &decoder_of<llama3_2_1b>},
    decoder_alias{"llama-3-2-3b", &decoder_of<llama3_2_3b>},
    decoder_alias{"codellama-34b", &decoder_of<codellama_34b>},
    decoder_alias{"mixtral-8x7b", &decoder_of<mixtral_8x7b>},
    decoder_alias{"mixtral", &decoder_of<mixtral_8x7b>},
    decoder_alias{"mixtral-8x7b-v0-1", &decoder_of<mixtral_8x7b>},
    decoder_alias{"mixtral-8x7b-instruct-v0-1", &decoder_of<mixtral_8x7b>},
    decoder_alias{"mixtral-8x22b", &decoder_of<mixtral_8x22b>},
    decoder_alias{"mixtral-8x22b-v0-1", &decoder_of<mixtral_8x22b>},
    decoder_alias{"mixtral-8x22b-instruct-v0-1", &decoder_of<mixtral_8x22b>},
    decoder_alias{"mistral-7b", &decoder_of<mistral_7b>},
    decoder_alias{"mistral-7b-v0-1", &decoder_of<mistral_7b>},
    decoder_alias{"mistral-7b-instruct-v0-1", &decoder_of<mistral_7b>},
    decoder_alias{"mistral-nemo-12b", &decoder_of<mistral_nemo_12b>},
    decoder_alias{"mistral-nemo", &decoder_of<mistral_nemo_12b>},
    decoder_alias{"mistral-nemo-2407", &decoder_of<mistral_nemo_12b>},
    decoder_alias{"mistral-nemo-base-2407", &decoder_of<mistral_nemo_12b>},
    decoder_alias{"mistral-nemo-instruct-2407", &decoder_of<mistral_nemo_12b>},
    decoder_alias{"mistral-small-24b", &decoder_of<mistral_small_24b>},
    decoder_alias{"mistral-small-24b-base-2501", &decoder_of<mistral_small_24b>},
    decoder_alias{"mistral-small-24b-instruct-2501", &decoder_of<mistral_small_24b>},
    decoder_alias{"internlm-20b", &decoder_of<internlm_20b>},
    decoder_alias{"qwen2-5-0-5b", &decoder_of<qwen2_5_0_5b>},
    decoder_alias{"qwen2-5-1-5b", &decoder_of<qwen2_5_1_5b>},
    decoder_alias{"qwen2-5-3b", &decoder_of<qwen2_5_3b>},
    decoder_alias{"qwen2-5-7b", &decoder_of<qwen2_5_7b>},
    decoder_alias{"qwen2-5-14b", &decoder_of<qwen2_5_14b>},
    decoder_alias{"qwen2-5-32b", &decoder_of<qwen2_5_32b>},
    decoder_alias{"qwen2-5-72b", &decoder_of<qwen2_5_72b>},
    decoder_alias{"qwen3-0-6b", &decoder_of<qwen3_0_6b>},
    decoder_alias{"qwen3-1-7b", &decoder_of<qwen3_1_7b>},
    decoder_alias{"qwen3-4b", &decoder_of<qwen3_4b>},
    decoder_alias{"qwen3-8b", &decoder_of<qwen3_8b>},
    decoder_alias{"qwen3-14b", &decoder_of<qwen3_14b>},
    decoder_alias{"qwen3-32b", &decoder_of<qwen3_32b>},
    decoder_alias{"qwen3-30b-a3b", &decoder_of<qwen3_30b_a3b>},
    decoder_alias{"qwen3-235b-a22b", &decoder_of<qwen3_235b_a22b>},
};

/// Lower case, without the organisation ("meta-llama/"), with '-' for '.', '_' and blanks, and without the endings
/// that do not change an architecture ("-hf", "-instruct", "-chat", "-base", "-it").
inline std::string plain_model_name(std::string_view name) {
  if (const std::size_t slash = name.rfind('/'); slash != std::string_view::npos) name.remove_prefix(slash + 1);
  std::string plain;
  for (const char c : name) {
    const bool separator = c == '.' || c == '_' || c == ' ';
    plain += separator ? '-' : (c >= 'A' && c <= 'Z') ? static_cast<char>(c - 'A' + 'a') : c;
  }
  for (bool again = true; again;) {
    again = false;
    for (const std::string_view ending : {"-hf", "-instruct", "-chat", "-base", "-it"}) {
      if (plain.size() > ending.size() && plain.ends_with(ending)) {
        plain.resize(plain.size() - ending.size());
        again = true;
      }
    }
  }
  return plain;
}

}  // namespace detail

/// The canonical names of the decoders that `find_decoder` knows, in a fixed order.
inline std::vector<std::string> decoder_names() {
  std::vector<std::string> names;
  for (const detail::decoder_alias& entry : detail::decoder_aliases) {
    std::string name = entry.make().name;
    if (names.empty() || names.back() != name) names.push_back(std::move(name));
  }
  return names;
}

/// A decoder by name, tolerant of case, organisation, '.', '_', "-hf" and "-instruct": "llama-2-70b-hf",
/// "Llama-3.1-8B", "mixtral-8x7b-v0-1", "Qwen/Qwen3-30B-A3B". Names that share an architecture give one record.
/// @throws architecture_error with the nearest known name; models with latent attention have static types only
inline decoder find_decoder(std::string_view name) {
  const std::string plain = detail::plain_model_name(name);
  std::vector<std::string_view> known;
  for (const detail::decoder_alias& entry : detail::decoder_aliases) {
    if (entry.alias == plain) return entry.make();
    known.push_back(entry.alias);
  }
  std::string message = "unknown model '" + std::string(name) + "'";
  if (plain.starts_with("deepseek-v") || plain == "deepseek-r1") {
    message += ": latent attention has no run-time record; see the static type deepseek_v3";
  } else if (const std::string_view near = nearest_name(plain, known); !near.empty()) {
    for (const detail::decoder_alias& entry : detail::decoder_aliases) {
      if (entry.alias == near) message += "; did you mean '" + entry.make().name + "'?";
    }
  }
  message += " (known:";
  const char* separator = " ";
  for (const std::string& model : decoder_names()) {
    message.append(separator).append(model);
    separator = ", ";
  }
  throw architecture_error(message + ")");
}

}  // namespace rafter
