// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/step/digest.hpp"

#include <gtest/gtest.h>

#include <bit>
#include <cstdint>
#include <string>
#include <vector>

namespace {

using namespace rafter;

struct small_schema {
  static constexpr std::string_view name = "small";
  using columns = column_list<prefill_tokens_t, decode_tokens_t, gpu_step_time_t>;
  using targets = column_list<gpu_step_time_t>;
  static constexpr bool lists_requests = true;
  struct deployment_type {};
};
struct other_schema : small_schema {
  static constexpr std::string_view name = "other";
};

struct step {
  double time = 0.01;
  double context = 7.0;
  std::string model = "a";
  double id = 1.0;
};

template <class Schema = small_schema>
std::string digest_of(const std::vector<step>& steps, const std::string& source = "x.csv") {
  dataset_builder<Schema> build(source);
  const auto engine = build.add_deployment({});
  std::size_t line = source.size();
  for (const step& one : steps) {
    build.begin_row(engine, ++line).set(gpu_step_time, one.time).label(group::model, one.model).step_id(one.id);
    build.add(request::decoding(one.context));
    build.end_row();
  }
  return digest(build.finish());
}

TEST(Digest, DoesNotDependOnWhereTheDataWasReadFrom) {
  EXPECT_EQ(digest_of({{}}, "x.csv"), digest_of({{}}, "elsewhere/y.csv"));
}

TEST(Digest, DependsOnEveryNumberLabelRequestAndId) {
  const std::string plain = digest_of({{}});
  EXPECT_NE(plain, digest_of({{.time = 0.010000000000000002}}));
  EXPECT_NE(plain, digest_of({{.context = 8.0}}));
  EXPECT_NE(plain, digest_of({{.model = "b"}}));
  EXPECT_NE(plain, digest_of({{.id = 2.0}}));
  EXPECT_NE(plain, digest_of<other_schema>({{}}));
}

TEST(Digest, DependsOnTheOrderOfTheRows) {
  const step first{.time = 0.01, .id = 1.0};
  const step second{.time = 0.02, .id = 2.0};
  EXPECT_NE(digest_of({first, second}), digest_of({second, first}));
}

// The bytes written out by hand, little-endian, hashed on their own.
TEST(Digest, IsTheSha256OfTheDocumentedBytes) {
  std::string bytes_by_hand;
  const auto word = [&](std::uint64_t value) {
    for (int i = 0; i < 8; ++i) bytes_by_hand += static_cast<char>(value >> (8 * i) & 0xffU);
  };
  const auto text = [&](const std::string& value) {
    word(value.size());
    bytes_by_hand += value;
  };
  const auto number = [&](double value) { word(std::bit_cast<std::uint64_t>(value)); };
  text("rafter dataset 1");
  text("small");
  word(1);
  word(3);
  text("prefill_tokens");
  number(0.0);
  text("decode_tokens");
  number(1.0);
  text("gpu_step_time");
  number(0.01);
  text("requests");
  word(1);
  number(1.0);
  number(7.0);
  word(1);
  text("model");
  word(1);
  text("a");
  word(0);
  text("step_ids");
  word(1);
  number(1.0);
  text("start_ns");
  word(0);
  EXPECT_EQ(digest_of({{}}), sha256_hex(bytes_by_hand));
}

}  // namespace
