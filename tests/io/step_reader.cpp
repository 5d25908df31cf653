// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/io/step_reader.hpp"

#include <gtest/gtest.h>

#include <string>

#include "rafter/io/blis_steps.hpp"
#include "support/message.hpp"

namespace {

using namespace rafter;

/// The seconds that a text in microseconds is read as.
double seconds_of(const std::string& text) {
  const std::string table = "time\n" + text + "\n";
  csv_table_reader reader = csv_table_reader::from_text(table, "t.csv");
  csv_row row;
  reader.next(row);
  return detail::seconds_in(row, 0);
}

TEST(StepReader, MicrosecondsBecomeTheNearestSeconds) {
  EXPECT_EQ(seconds_of("5925.069"), 5925.069e-6);  // 5925.069/1e6 is another double
  EXPECT_NE(seconds_of("5925.069"), 5925.069 / 1e6);
  EXPECT_EQ(seconds_of("682"), 682e-6);
  EXPECT_EQ(seconds_of("1.5e3"), 1.5e-3);
  EXPECT_EQ(seconds_of("1.5E+03"), 1.5e-3);
  EXPECT_EQ(seconds_of("25e-1"), 2.5e-6);
  EXPECT_EQ(seconds_of("0"), 0.0);
  EXPECT_EQ(seconds_of("1" + std::string(80, '0')), 1e74);
}

TEST(StepReader, ADatasetsRefusalKeepsItsLine) {
  EXPECT_STREQ(detail::io_error_of(dataset_error("a.csv:17: kv_sum = 3 is odd"), "a.csv", 0).what(),
               "a.csv:17: kv_sum = 3 is odd");
  EXPECT_EQ(detail::io_error_of(dataset_error("a.csv:17: no"), "a.csv", 2).line, 15U);
  EXPECT_STREQ(detail::io_error_of(dataset_error("a.csv: nothing left"), "a.csv", 2).what(), "a.csv: nothing left");
}

TEST(StepReader, TheStudysModelsAreKnownByTheirShape) {
  EXPECT_EQ(detail::study_model_code(find_decoder("Llama-3.1-70B")), 2.0);  // the shape of Llama-2-70B
  EXPECT_EQ(detail::study_model_code(find_decoder("qwen3-8b")), -1.0);
}

}  // namespace
