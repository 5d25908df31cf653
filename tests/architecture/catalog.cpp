// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/architecture/catalog.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "support/data.hpp"

namespace {

using namespace rafter;

// Totals of the tensors as the publishers' model pages state them, to the last weight: a layer, bias or norm more or
// less changes them. (Index files give bytes: 16,060,522,496 for Llama-3.1-8B and 61,064,245,248 for Qwen3-30B-A3B,
// in 16 bits.) InternLM-20B and the two small Qwen3, whose pages round or count the tied head twice: 1-2 %.
TEST(ArchitectureCatalog, HasThePublishedNumberOfWeights) {
  const std::vector<std::pair<const char*, double>> exact{
      {"llama-2-7b", 6738415616},        {"llama-2-13b", 13015864320},       {"llama-2-70b", 68976648192},
      {"llama-3.1-8b", 8030261248},      {"llama-3.1-70b", 70553706496},     {"llama-3.1-405b", 405853388800},
      {"llama-3.2-1b", 1235814400},      {"llama-3.2-3b", 3212749824},       {"codellama-34b", 33743970304},
      {"mixtral-8x7b", 46702792704},     {"mixtral-8x22b", 140620634112},    {"mistral-7b", 7241732096},
      {"mistral-nemo-12b", 12247782400}, {"mistral-small-24b", 23572403200}, {"qwen2.5-0.5b", 494032768},
      {"qwen2.5-1.5b", 1543714304},      {"qwen2.5-3b", 3085938688},         {"qwen2.5-7b", 7615616512},
      {"qwen2.5-14b", 14770033664},      {"qwen2.5-32b", 32763876352},       {"qwen2.5-72b", 72706203648},
      {"qwen3-4b", 4022468096},          {"qwen3-8b", 8190735360},           {"qwen3-14b", 14768307200},
      {"qwen3-32b", 32762123264},        {"qwen3-30b-a3b", 30532122624},     {"qwen3-235b-a22b", 235093634560}};
  for (const auto& [name, weights] : exact) EXPECT_EQ(weight_count(find_decoder(name)), weights) << name;
  EXPECT_NEAR(weight_count(find_decoder("internlm-20b")), 20e9, 0.2e9);
  EXPECT_NEAR(weight_count(find_decoder("qwen3-0.6b")), 0.6e9, 0.01e9);
  EXPECT_NEAR(weight_count(find_decoder("qwen3-1.7b")), 1.7e9, 0.03e9);
}

// Jiang et al. 2024 (12.9 B), Mixtral 8x22B announcement (39 B), Qwen3 report (3.3 B and 22 B); tolerance 2 %.
TEST(ArchitectureCatalog, HasThePublishedNumberOfActiveWeights) {
  EXPECT_NEAR(active_weight_count(mixtral_8x7b{}) / 12.9e9, 1, 0.02);
  EXPECT_NEAR(active_weight_count(mixtral_8x22b{}) / 39e9, 1, 0.02);
  EXPECT_NEAR(active_weight_count(qwen3_30b_a3b{}) / 3.3e9, 1, 0.02);
  EXPECT_NEAR(active_weight_count(qwen3_235b_a22b{}) / 22e9, 1, 0.02);
}

struct shape {
  const char* name;
  int layers, hidden, heads, kv_heads, head_dim, intermediate, experts_per_token = 1, experts = 1;
};

// The table of kernel_steps/README.md, under the names of its rows.
TEST(ArchitectureCatalog, AgreesWithTheShapesOfTheKernelStepData) {
  const std::vector<shape> table{
      {"Llama-2-7b-hf", 32, 4096, 32, 32, 128, 11008},     {"Llama-2-70b-hf", 80, 8192, 64, 8, 128, 28672},
      {"Llama-3.1-70B", 80, 8192, 64, 8, 128, 28672},      {"CodeLlama-34b-Instruct-hf", 48, 8192, 64, 8, 128, 22016},
      {"internlm-20b", 60, 5120, 40, 40, 128, 13824},      {"Qwen3-0.6B", 28, 1024, 16, 8, 128, 3072},
      {"Qwen3-1.7B", 28, 2048, 16, 8, 128, 6144},          {"Qwen3-8B", 36, 4096, 32, 8, 128, 12288},
      {"Llama-3.2-1B", 16, 2048, 32, 8, 64, 8192},         {"Llama-3.2-3B", 28, 3072, 24, 8, 128, 8192},
      {"Llama-3.1-8B", 32, 4096, 32, 8, 128, 14336},       {"Mistral-Nemo-12B", 40, 5120, 32, 8, 128, 14336},
      {"Mistral-Small-24B", 40, 5120, 32, 8, 128, 32768},  {"Mixtral-8x7B", 32, 4096, 32, 8, 128, 14336, 2, 8},
      {"Qwen3-30B-A3B", 48, 2048, 32, 4, 128, 768, 8, 128}};
  for (const shape& s : table) {
    decoder expected = find_decoder(s.name);
    expected.layers = s.layers;
    expected.hidden = s.hidden;
    expected.heads = s.heads;
    expected.kv_heads = s.kv_heads;
    expected.head_dim = s.head_dim;
    expected.intermediate = s.intermediate;
    expected.experts = s.experts;
    expected.experts_per_token = s.experts_per_token;
    EXPECT_EQ(find_decoder(s.name), expected) << s.name;
  }
}

TEST(ArchitectureCatalog, KnowsEveryModelOfTheData) {
  const std::vector<std::pair<const char*, std::size_t>> files{
      {"kernel_steps/steps.csv", 15}, {"kernel_steps/steps_h200.csv", 11}, {"blis_steps/steps.csv", 3}};
  for (const auto& [name, models] : files) {
    std::ifstream file(data_folder() / name);
    if (!file) GTEST_SKIP() << name << " is not in RAFTER_DATA: its model names not looked up";
    std::set<std::string> seen;
    std::string line;
    std::getline(file, line);
    while (std::getline(file, line)) {
      const std::size_t from = line.find(',') + 1;
      seen.insert(line.substr(from, line.find(',', from) - from));
    }
    EXPECT_EQ(seen.size(), models) << name;
    for (const std::string& model : seen) EXPECT_NO_THROW(check(find_decoder(model))) << model;
  }
}

TEST(ArchitectureCatalog, ToleratesOrganisationCaseEndingsAndSeparators) {
  EXPECT_EQ(find_decoder("llama-2-70b"), find_decoder("meta-llama/Llama-2-70b-chat-hf"));
  EXPECT_EQ(find_decoder("mixtral-8x7b-v0-1"), find_decoder("mistralai/Mixtral-8x7B-Instruct-v0.1"));
  EXPECT_EQ(find_decoder("mixtral"), decoder_of<mixtral_8x7b>());
  EXPECT_EQ(find_decoder("codellama-34b"), find_decoder("codellama/CodeLlama-34b-Instruct-hf"));
  EXPECT_EQ(find_decoder("llama_3.1_8b"), find_decoder("meta-llama/Meta-Llama-3-8B-Instruct"));
  EXPECT_EQ(find_decoder("Qwen/Qwen2.5-7B-Instruct"), decoder_of<qwen2_5_7b>());
}

TEST(ArchitectureCatalog, HasOneMeaningPerAliasAndAValidRecordForEach) {
  std::set<std::string_view> aliases;
  for (const detail::decoder_alias& entry : detail::decoder_aliases) {
    EXPECT_TRUE(aliases.insert(entry.alias).second) << entry.alias;
    EXPECT_EQ(detail::plain_model_name(entry.alias), entry.alias) << "this alias can never be found";
    EXPECT_NO_THROW(check(entry.make())) << entry.alias;
  }
  for (const std::string& name : decoder_names()) EXPECT_EQ(find_decoder(name).name, name);
}

TEST(ArchitectureCatalog, SuggestsTheNearestModel) {
  const auto refusal = [](const char* name) -> std::string {
    try {
      find_decoder(name);
    } catch (const architecture_error& failure) {
      return failure.what();
    }
    return "accepted";
  };
  EXPECT_EQ(
      refusal("lama-2-7b").rfind("unknown model 'lama-2-7b'; did you mean 'llama-2-7b'? (known: llama-2-7b, ", 0),
      0U);
  EXPECT_NE(refusal("deepseek-v3").find("deepseek_v3"), std::string::npos);
  EXPECT_NE(refusal("").find("unknown model ''"), std::string::npos);
}

}  // namespace
