// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/io/steps.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "support/message.hpp"

namespace {

using namespace rafter;

struct size_of_data {
  template <class Data> std::size_t operator()(const Data& data) const { return data.size(); }
};

TEST(Steps, AFormatIsFoundByItsName) {
  const auto path = std::filesystem::temp_directory_path() / "rafter_steps_format_test.csv";
  write_file(path.string(),
             "model,hardware,tp,new_tokens,context_tokens,gpu_time_us\nllama-2-7b,h100,1,1*2,10;11,5000\n");
  EXPECT_EQ(with_steps("rafter", path.string(), {}, size_of_data{}), 1U);
  EXPECT_NE(
      message_of([&] { with_steps("kernel_steps", path.string(), {}, size_of_data{}); }).find("unexpected column"),
      std::string::npos);
  std::filesystem::remove(path);
}

TEST(Steps, AnUnknownFormatIsNamedWithTheNearestOne) {
  EXPECT_EQ(message_of([] { with_steps("kernel_step", "x.csv", {}, size_of_data{}); }),
            "x.csv: 'kernel_step' is no format of steps; did you mean 'kernel_steps'?");
}

TEST(Steps, FormatsAreListedByTheNamesOfTheirSchemas) {
  ASSERT_EQ(step_formats.size(), 3U);
  EXPECT_EQ(step_formats[0].name, "rafter");
  EXPECT_EQ(step_formats[1].name, "kernel_steps");
  EXPECT_EQ(step_formats[2].name, "blis_steps");
}

}  // namespace
