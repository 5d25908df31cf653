// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/step/groups.hpp"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace {

using namespace rafter;
using aliases = std::vector<std::pair<std::string, std::string>>;
using codes = std::vector<std::uint32_t>;

group_column column_of(const std::vector<std::string>& labels) {
  group_column column;
  for (const std::string& label : labels) column.push_back(label);
  return column;
}

TEST(GroupColumn, CodesAreGivenInOrderOfFirstAppearance) {
  const group_column column = column_of({"b", "a", "b", "c", "a"});
  EXPECT_EQ(column.codes(), (codes{0, 1, 0, 2, 1}));
  EXPECT_EQ(column.names(), (std::vector<std::string>{"b", "a", "c"}));
  EXPECT_EQ(column.count(), 3U);
  EXPECT_EQ(column.name(3), "c");
  EXPECT_EQ(column.rows_of(0).to_vector(), (std::vector<std::size_t>{0, 2}));
}

TEST(GroupColumn, MergesAliases) {
  const group_column column = column_of({"70b-hf", "7b", "70b"});
  const group_column merged = column.merged({{"70b-hf", "70b"}});
  EXPECT_EQ(merged.codes(), (codes{0, 1, 0}));
  EXPECT_EQ(merged.name(0), "70b");
}

TEST(GroupColumn, FollowsChainsOfAliasesInAnyOrder) {
  const group_column column = column_of({"a", "b", "c", "d"});
  EXPECT_EQ(column.merged({{"b", "c"}, {"a", "b"}}).codes(), (codes{0, 0, 0, 1}));
  EXPECT_EQ(column.merged({{"a", "b"}, {"b", "c"}}).codes(), (codes{0, 0, 0, 1}));
}

TEST(GroupColumn, IgnoresAliasesOfLabelsThatAreAbsent) {
  const group_column column = column_of({"a", "b"});
  EXPECT_EQ(column.merged({{"x", "y"}}), column);
  EXPECT_EQ(column.merged({{"a", "a"}}), column);
}

TEST(GroupColumn, MergesIntoALabelThatNoRowHas) {
  EXPECT_EQ(column_of({"a", "b"}).merged({{"a", "all"}, {"b", "all"}}).names(), (std::vector<std::string>{"all"}));
}

TEST(GroupColumn, RefusesACycleOfAliases) {
  EXPECT_THROW(column_of({"a"}).merged({{"a", "b"}, {"b", "a"}}), dataset_error);
}

TEST(Group, NamesAreWhatReportsPrint) {
  EXPECT_EQ(name_of(group::experiment), "experiment");
  EXPECT_EQ(name_of(group::model), "model");
  EXPECT_EQ(name_of(group::workload), "workload");
  EXPECT_EQ(name_of(group::hardware), "hardware");
  EXPECT_EQ(name_of(group::tp), "tp");
  EXPECT_EQ(name_of(group::rig), "rig");
  EXPECT_EQ(name_of(group::attention_shape), "attention_shape");
  EXPECT_EQ(name_of(group::routing), "routing");
  EXPECT_EQ(name_of(group::gemm_measurement), "gemm_measurement");
  EXPECT_EQ(name_of(group::prefill_attention_measurement), "prefill_attention_measurement");
  EXPECT_EQ(name_of(group::decode_attention_measurement), "decode_attention_measurement");
}

}  // namespace
