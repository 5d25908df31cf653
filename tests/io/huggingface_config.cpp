// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/io/huggingface_config.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "rafter/architecture/catalog.hpp"
#include "support/data.hpp"

namespace {

using rafter::decoder;
using rafter::io_error;

/// A config.json by hand: keys and JSON values.
using fields = std::vector<std::pair<std::string, std::string>>;

const fields llama{{"model_type", "\"llama\""},    {"num_hidden_layers", "16"},     {"hidden_size", "2048"},
                   {"num_attention_heads", "32"},  {"num_key_value_heads", "8"},    {"intermediate_size", "8192"},
                   {"vocab_size", "128256"},       {"torch_dtype", "\"bfloat16\""}, {"head_dim", "64"},
                   {"tie_word_embeddings", "true"}};

fields with(fields all, const std::string& key, const std::string& value) {
  for (auto& [name, text] : all) {
    if (name == key) {
      text = value;
      return all;
    }
  }
  all.emplace_back(key, value);
  return all;
}

fields without(fields all, const std::string& key) {
  std::erase_if(all, [&](const auto& field) { return field.first == key; });
  return all;
}

std::string json(const fields& all) {
  std::string text = "{";
  for (const auto& [key, value] : all) text += (text.size() > 1 ? ",\n " : "\n ") + ("\"" + key + "\": ") + value;
  return text + "\n}\n";
}

decoder parse(const fields& all) { return rafter::parse_huggingface_config(json(all), "models/tiny/config.json"); }

/// The message of the refusal; fails the test when the text is accepted.
std::string refusal(const std::string& text) {
  try {
    rafter::parse_huggingface_config(text, "models/tiny/config.json");
  } catch (const io_error& failure) {
    const std::string what = failure.what();
    EXPECT_EQ(what.find('\n'), std::string::npos) << what;
    EXPECT_TRUE(what.starts_with("models/tiny/config.json")) << what;
    return what;
  }
  ADD_FAILURE() << "accepted: " << text;
  return {};
}

std::string refusal(const fields& all) { return refusal(json(all)); }

bool says(const std::string& message, const std::string& part) { return message.find(part) != std::string::npos; }

TEST(HuggingfaceConfig, GivesTheCataloguesFiguresForTheFourStudyModels) {
  const auto folder = data_folder() / "model_configs";
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << "no model_configs in RAFTER_DATA: study configs not compared";
  for (const char* model : {"llama-2-7b-hf", "llama-2-70b-hf", "codellama-34b-instruct-hf", "mixtral-8x7b-v0.1"}) {
    decoder read = rafter::read_huggingface_config(folder / model / "config.json");
    const decoder known = rafter::find_decoder(model);
    EXPECT_EQ(rafter::find_decoder(read.name), known);
    read.name = known.name;
    EXPECT_EQ(read, known) << model;
  }
}

TEST(HuggingfaceConfig, ReadsAFolderAndNamesTheModelAfterItUnlessTheFileHasAName) {
  const auto folder = std::filesystem::temp_directory_path() / "rafter_huggingface_config_test" / "my-model";
  std::filesystem::create_directories(folder);
  std::ofstream(folder / "config.json") << json(llama);
  EXPECT_EQ(rafter::read_huggingface_config(folder).name, "my-model");
  std::ofstream(folder / "config.json") << json(with(llama, "_name_or_path", "\"org/other\""));
  EXPECT_EQ(rafter::read_huggingface_config(folder).name, "org/other");
  std::filesystem::remove_all(folder.parent_path());
  EXPECT_THROW(rafter::read_huggingface_config(folder), io_error);
}

TEST(HuggingfaceConfig, ReadsLlamaWithTiedEmbeddings) {
  decoder read = parse(llama);
  read.name = rafter::llama3_2_1b::name;
  EXPECT_EQ(read, rafter::decoder_of<rafter::llama3_2_1b>());
}

TEST(HuggingfaceConfig, TakesMissingOrNullKvHeadsOfLlamaAsOnePerHead) {
  EXPECT_EQ(parse(without(llama, "num_key_value_heads")).kv_heads, 32);
  EXPECT_EQ(parse(with(llama, "num_key_value_heads", "null")).kv_heads, 32);
}

TEST(HuggingfaceConfig, DerivesTheHeadDimensionWhereItsKindDoes) {
  EXPECT_EQ(parse(without(llama, "head_dim")).head_dim, 64);
  EXPECT_EQ(parse(with(llama, "head_dim", "128")).head_dim, 128);
  EXPECT_TRUE(says(refusal(with(without(llama, "head_dim"), "hidden_size", "2049")), "num_attention_heads = 32"));
}

TEST(HuggingfaceConfig, ReadsQwen2WithItsBiasesAndIdleWindow) {
  const fields qwen{{"architectures", "[\"Qwen2ForCausalLM\"]"},
                    {"model_type", "\"qwen2\""},
                    {"num_hidden_layers", "28"},
                    {"hidden_size", "3584"},
                    {"num_attention_heads", "28"},
                    {"num_key_value_heads", "4"},
                    {"intermediate_size", "18944"},
                    {"vocab_size", "152064"},
                    {"torch_dtype", "\"bfloat16\""},
                    {"use_sliding_window", "false"},
                    {"sliding_window", "131072"},
                    {"tie_word_embeddings", "false"}};
  EXPECT_EQ(rafter::weight_count(parse(qwen)), 7615616512.0);  // safetensors total of Qwen2.5-7B
  EXPECT_TRUE(says(refusal(with(with(qwen, "use_sliding_window", "true"), "sliding_window", "4096")), "4096"));
}

TEST(HuggingfaceConfig, ReadsQwen3MixtureOfExperts) {
  const fields qwen{{"model_type", "\"qwen3_moe\""}, {"num_hidden_layers", "48"},      {"hidden_size", "2048"},
                    {"num_attention_heads", "32"},   {"num_key_value_heads", "4"},     {"head_dim", "128"},
                    {"intermediate_size", "6144"},   {"moe_intermediate_size", "768"}, {"num_experts", "128"},
                    {"num_experts_per_tok", "8"},    {"vocab_size", "151936"},         {"dtype", "\"bfloat16\""},
                    {"decoder_sparse_step", "1"},    {"mlp_only_layers", "[]"},        {"attention_bias", "false"},
                    {"sliding_window", "null"}};
  decoder read = parse(qwen);
  read.name = rafter::qwen3_30b_a3b::name;
  EXPECT_EQ(read, rafter::decoder_of<rafter::qwen3_30b_a3b>());
  EXPECT_TRUE(says(refusal(with(qwen, "mlp_only_layers", "[0]")), "'mlp_only_layers'"));
  EXPECT_TRUE(says(refusal(with(qwen, "decoder_sparse_step", "2")), "'decoder_sparse_step'"));
  EXPECT_TRUE(says(refusal(without(qwen, "head_dim")), "'head_dim'"));
  EXPECT_TRUE(says(refusal(with(qwen, "num_experts_per_tok", "129")), "experts_per_token = 129"));
}

TEST(HuggingfaceConfig, CountsTheSharedExpertOfQwen2Moe) {
  const fields qwen{{"model_type", "\"qwen2_moe\""},
                    {"num_hidden_layers", "24"},
                    {"hidden_size", "2048"},
                    {"num_attention_heads", "16"},
                    {"num_key_value_heads", "16"},
                    {"intermediate_size", "5632"},
                    {"moe_intermediate_size", "1408"},
                    {"shared_expert_intermediate_size", "5632"},
                    {"num_experts", "60"},
                    {"num_experts_per_tok", "4"},
                    {"vocab_size", "151936"},
                    {"torch_dtype", "\"bfloat16\""}};
  EXPECT_EQ(parse(qwen).shared_intermediate, 5632);
  EXPECT_EQ(rafter::weight_count(parse(qwen)), 14315784192.0);  // safetensors total of Qwen1.5-MoE-A2.7B
  EXPECT_TRUE(says(refusal(without(qwen, "shared_expert_intermediate_size")), "is missing"));
}

TEST(HuggingfaceConfig, TiesTheEmbeddingsOfGemmaUnlessToldOtherwise) {
  const fields gemma{{"model_type", "\"gemma\""},    {"num_hidden_layers", "18"},  {"hidden_size", "2048"},
                     {"num_attention_heads", "8"},   {"num_key_value_heads", "1"}, {"head_dim", "256"},
                     {"intermediate_size", "16384"}, {"vocab_size", "256000"},     {"torch_dtype", "\"bfloat16\""}};
  EXPECT_EQ(rafter::weight_count(parse(gemma)), 2506172416.0);  // safetensors total of gemma-2b
}

TEST(HuggingfaceConfig, TakesInternlmOnlyWhenItSaysThatItHasNoBiases) {
  const fields internlm{{"model_type", "\"internlm\""}, {"num_hidden_layers", "60"},
                        {"hidden_size", "5120"},        {"num_attention_heads", "40"},
                        {"intermediate_size", "13824"}, {"vocab_size", "103168"},
                        {"torch_dtype", "\"float16\""}, {"bias", "false"}};
  decoder read = parse(internlm);
  read.name = rafter::internlm_20b::name;
  EXPECT_EQ(read, rafter::decoder_of<rafter::internlm_20b>());
  EXPECT_TRUE(says(refusal(without(internlm, "bias")), "'bias'"));
  EXPECT_TRUE(says(refusal(with(internlm, "bias", "true")), "'bias'"));
}

TEST(HuggingfaceConfig, TakesTheElementSizeFromTheTypeOfTheTensors) {
  const decoder wide = parse(with(llama, "torch_dtype", "\"float32\""));
  EXPECT_EQ(wide.bytes_per_weight, 4.0);
  EXPECT_EQ(wide.bytes_per_kv, 4.0);
  EXPECT_TRUE(says(refusal(with(llama, "torch_dtype", "\"int3\"")), "'int3'"));
  EXPECT_TRUE(says(refusal(without(llama, "torch_dtype")), "'torch_dtype': is missing"));
}

TEST(HuggingfaceConfig, RefusesKindsThatItCannotCountAndListsThoseItCan) {
  const std::string bert = refusal(with(llama, "model_type", "\"bert\""));
  EXPECT_TRUE(says(bert, "'bert' is not a decoder-only transformer that rafter can count (known: llama, ")) << bert;
  for (const char* kind : {"t5", "deepseek_v3", "mamba", "jamba", "llava", "qwen2_vl", "gemma3", "gpt_oss", ""}) {
    EXPECT_TRUE(says(refusal(with(llama, "model_type", '"' + std::string(kind) + '"')), "model_type")) << kind;
  }
  EXPECT_TRUE(says(refusal(with(llama, "model_type", "\"lama\"")), "did you mean 'llama'"));
}

TEST(HuggingfaceConfig, RefusesWhatADecoderCannotSay) {
  const std::vector<std::pair<std::string, std::string>> additions{
      {"quantization_config", R"({"quant_method": "awq", "bits": 4})"},
      {"sliding_window", "4096"},
      {"attention_bias", "true"},
      {"mlp_bias", "true"},
      {"is_encoder_decoder", "true"},
      {"vision_config", "{}"},
      {"text_config", "{}"},
      {"architectures", "[\"LlamaForSequenceClassification\"]"},
      {"layer_types", "[\"full_attention\", \"linear_attention\"]"}};
  for (const auto& [key, value] : additions) {
    EXPECT_TRUE(says(refusal(with(llama, key, value)), "'" + key + "'")) << key;
  }
  EXPECT_TRUE(says(refusal(with(llama, "quantization_config", R"({"quant_method": "awq"})")), "'awq'"));
}

TEST(HuggingfaceConfig, AcceptsAWindowThatNoContextReaches) {
  EXPECT_EQ(parse(with(with(llama, "sliding_window", "4096"), "max_position_embeddings", "4096")).layers, 16);
}

TEST(HuggingfaceConfig, NamesEachMissingCount) {
  for (const char* key :
       {"model_type", "num_hidden_layers", "hidden_size", "num_attention_heads", "intermediate_size", "vocab_size"}) {
    EXPECT_TRUE(says(refusal(without(llama, key)), "field '" + std::string(key) + "': is missing")) << key;
  }
  const std::string misspelt = refusal(with(without(llama, "vocab_size"), "vocab_siz", "32000"));
  EXPECT_TRUE(says(misspelt, "did you mean 'vocab_siz'?")) << misspelt;
}

TEST(HuggingfaceConfig, NamesPlaceKeyAndTextOfEachBadCount) {
  for (const char* value : {"-1", "0", "\"32\"", "32.5", "32.0", "true", "[]", "{}", "2000000000", "1e400",
                            "99999999999999999999", "-9223372036854775808"}) {
    EXPECT_FALSE(refusal(with(llama, "num_hidden_layers", value)).empty()) << value;
  }
  try {
    parse(with(llama, "num_hidden_layers", "\"32\""));
    FAIL();
  } catch (const io_error& failure) {
    EXPECT_EQ(failure.path, "models/tiny/config.json");
    EXPECT_EQ(failure.line, 3U);
    EXPECT_EQ(failure.column, 2U);
    EXPECT_EQ(failure.field, "num_hidden_layers");
    EXPECT_EQ(failure.text, "\"32\"");
  }
}

TEST(HuggingfaceConfig, RefusesWrongTypesOfFlagsAndTexts) {
  EXPECT_TRUE(says(refusal(with(llama, "tie_word_embeddings", "1")), "is not true or false"));
  EXPECT_TRUE(says(refusal(with(llama, "torch_dtype", "16")), "is not a text"));
  EXPECT_TRUE(says(refusal(with(llama, "model_type", "[]")), "is not a text"));
  EXPECT_TRUE(says(refusal(with(llama, "architectures", "\"LlamaForCausalLM\"")), "is not a list"));
  EXPECT_TRUE(says(refusal(with(llama, "architectures", "[7]")), "is not a text"));
}

TEST(HuggingfaceConfig, RefusesHeadsThatAreNotAMultipleOfKvHeads) {
  EXPECT_TRUE(says(refusal(with(llama, "num_key_value_heads", "5")), "kv_heads = 5"));
}

TEST(HuggingfaceConfig, RefusesTextThatIsNotOneJsonObject) {
  for (const std::string& text : {std::string(), std::string("{"), std::string("[]"), std::string("7"),
                                  std::string("{} {}"), std::string("{\"a\": NaN}"), std::string("\xff\xfe{}"),
                                  std::string("{\"a\0b\": 1", 8), std::string("null"), std::string(100000, '[')}) {
    EXPECT_FALSE(refusal(text).empty());
  }
  try {
    rafter::parse_huggingface_config("{\n \"a\": 1,\n oops}", "c.json");
    FAIL();
  } catch (const io_error& failure) {
    EXPECT_EQ(failure.line, 3U);
  }
}

TEST(HuggingfaceConfig, RefusesDeepNestingBeforeItExhaustsTheStack) {
  const std::string deep = std::string(1000000, '[') + std::string(1000000, ']');
  EXPECT_TRUE(says(refusal(with(llama, "num_hidden_layers", deep)), "deeper"));
}

TEST(HuggingfaceConfig, RefusesAKeyGivenTwice) {
  fields twice = llama;
  twice.emplace_back("vocab_size", "32000");
  EXPECT_TRUE(says(refusal(twice), "'vocab_size': is given twice"));
}

}  // namespace
