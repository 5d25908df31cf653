// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/io/xgboost_model.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <limits>
#include <string>

namespace {

using rafter::io_error;
using rafter::parse_xgboost_json;
using rafter::parse_xgboost_model;
using rafter::tree_ensemble;
using rafter::tree_error;
using rafter::tree_link;

// Tree 0: x0 < 0.1 ? (x1 < 2 ? 1 : 2) : 4; tree 1: a leaf.
const std::string plain = R"({
"learner":{"attributes":{},"feature_names":["tokens","requests"],"feature_types":[],"gradient_booster":{"model":{
"gbtree_model_param":{"num_parallel_tree":"1","num_trees":"2","size_leaf_vector":"0"},"tree_info":[0,0],"trees":[
{"base_weights":[0,0,0,0,0],"default_left":[1,0,0,0,0],"id":0,"left_children":[1,3,-1,-1,-1],
"loss_changes":[9E0,3E0,0E0,0E0,0E0],"parents":[2147483647,0,0,1,1],"right_children":[2,4,-1,-1,-1],
"split_conditions":[1E-1,2E0,4E0,1E0,2.5E-1],"split_indices":[0,1,0,0,0],"split_type":[0,0,0,0,0],
"sum_hessian":[8E0,6E0,2E0,5E0,1E0],"tree_param":{"num_deleted":"0","num_feature":"2","num_nodes":"5"}},
{"default_left":[0],"left_children":[-1],"loss_changes":[0E0],"right_children":[-1],"split_conditions":[5E-1],
"split_indices":[0],"sum_hessian":[8E0]}]},"name":"gbtree"},
"learner_model_param":{"base_score":"5E-1","num_class":"0","num_feature":"2","num_target":"1"},
"objective":{"name":"reg:squarederror","reg_loss_param":{"scale_pos_weight":"1"}}},"version":[1,7,4]})";

/// `plain` with one place of it changed, which must be there.
std::string with(const std::string& from, const std::string& to, std::string text = plain) {
  const std::size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}
std::string complaint(const std::string& text) {
  try {
    static_cast<void>(parse_xgboost_model(text, "m.json"));
  } catch (const io_error& why) {
    return why.what();
  }
  return "none";
}
/// Errors end with this and name line and column before it.
void expect_complaint(const std::string& text, const std::string& wanted) {
  const std::string found = complaint(text);
  EXPECT_TRUE(found.starts_with("m.json:") && found.find(wanted) != std::string::npos) << found;
  EXPECT_EQ(found.find('\n'), std::string::npos);
}
double predict(const tree_ensemble& ensemble, double x0, double x1) {
  return ensemble.predict(std::array{x0, x1}.data());
}

TEST(XgboostModel, ReadsTreesNamesAndBase) {
  const tree_ensemble read = parse_xgboost_json(plain, "m.json");
  EXPECT_EQ(read.features, 2U);
  EXPECT_EQ(read.feature_names, (std::vector<std::string>{"tokens", "requests"}));
  EXPECT_EQ(read.base, 0.5);
  EXPECT_EQ(read.link, tree_link::identity);
  ASSERT_EQ(read.trees.size(), 2U);
  EXPECT_EQ(read.trees[0].nodes[0].threshold, 0.1F);
  EXPECT_EQ(read.trees[0].nodes[0].gain, 9.0);
  EXPECT_EQ(read.trees[0].nodes[1].cover, 6.0);
  EXPECT_EQ(predict(read, 0.0, 1.0), 2.0);
  EXPECT_EQ(predict(read, 0.0, 2.0), 1.25);
  EXPECT_EQ(predict(read, 1.0, 0.0), 5.0);
  const double missing = std::numeric_limits<double>::quiet_NaN();
  EXPECT_EQ(predict(read, missing, missing), 1.25);
}

TEST(XgboostModel, ReadsBaseScoreInEveryLayout) {
  for (const char* written : {"\"2.5E-1\"", "\"[2.5E-1]\"", "0.25", "[0.25]", "[\"2.5E-1\"]"}) {
    EXPECT_EQ(parse_xgboost_json(with("\"5E-1\"", written), "m.json").base, 0.25) << written;
  }
}

TEST(XgboostModel, IgnoresKeysItDoesNotKnowAndDoesWithoutNames) {
  EXPECT_EQ(complaint(with("\"attributes\":{}", "\"attributes\":{\"best\":\"3\"},\"cats\":{\"enc\":[]}")), "none");
  EXPECT_TRUE(parse_xgboost_json(with("[\"tokens\",\"requests\"]", "[]"), "m.json").feature_names.empty());
}

TEST(XgboostModel, TakesDefaultLeftAsBooleansToo) {
  EXPECT_EQ(parse_xgboost_json(with("[1,0,0,0,0]", "[true,false,false,false,false]"), "m.json").trees,
            parse_xgboost_json(plain, "m.json").trees);
}

TEST(XgboostModel, LogLinksTakeTheLogarithmOfTheBaseScore) {
  for (const char* name : {"count:poisson", "reg:gamma", "reg:tweedie"}) {
    const tree_ensemble read = parse_xgboost_json(with("reg:squarederror", name), "m.json");
    EXPECT_EQ(read.link, tree_link::exponential);
    EXPECT_NEAR(read.base, std::log(0.5), 1e-15);
    EXPECT_NEAR(predict(read, 1.0, 0.0), 0.5 * std::exp(4.5), 1e-12);
  }
}

// 1.00000017881393432617187499999 lies below the middle of two floats, and the double nearest to it is the middle:
// rounded twice it would become the wrong one of them.
TEST(XgboostModel, RoundsNumbersOnce) {
  const std::string text = "1.00000017881393432617187499999";
  ASSERT_NE(static_cast<float>(std::stod(text)), std::stof(text));
  EXPECT_EQ(parse_xgboost_json(with("[1E-1,", "[" + text + ","), "m.json").trees[0].nodes[0].threshold,
            std::stof(text));
}

TEST(XgboostModel, ScalesTheLeavesOfDart) {
  std::string dart = with("\"gradient_booster\":{\"model\"", "\"gradient_booster\":{\"gbtree\":{\"model\"");
  dart = with("\"name\":\"gbtree\"}", "\"name\":\"gbtree\"},\"name\":\"dart\",\"weight_drop\":[5E-1,3]}", dart);
  const tree_ensemble read = parse_xgboost_json(dart, "m.json");
  EXPECT_EQ(predict(read, 1.0, 0.0), 0.5 + 0.5 * 4.0 + 3 * 0.5);
  expect_complaint(with("[5E-1,3]", "[1]", dart), "weight_drop': holds 1 values for 2 trees");
  expect_complaint(with(",\"weight_drop\":[5E-1,3]", "", dart), "gradient_booster.weight_drop': is missing");
}

TEST(XgboostModel, RenumbersChildrenThatStandBeforeTheirParent) {
  // The same tree with nodes 1 and 3 exchanged.
  std::string other = with("[1,3,-1,-1,-1]", "[3,-1,-1,1,-1]");
  other = with("[2,4,-1,-1,-1]", "[2,-1,-1,4,-1]", other);
  other = with("[1E-1,2E0,4E0,1E0,2.5E-1]", "[1E-1,1E0,4E0,2E0,2.5E-1]", other);
  other = with("\"split_indices\":[0,1,0,0,0]", "\"split_indices\":[0,0,0,1,0]", other);
  other = with("[9E0,3E0,0E0,0E0,0E0]", "[9E0,0E0,0E0,3E0,0E0]", other);
  other = with("[8E0,6E0,2E0,5E0,1E0]", "[8E0,5E0,2E0,6E0,1E0]", other);
  const tree_ensemble read = parse_xgboost_json(other, "m.json"), first = parse_xgboost_json(plain, "m.json");
  EXPECT_EQ(predict(read, 0.0, 1.0), predict(first, 0.0, 1.0));
  EXPECT_EQ(predict(read, 0.0, 2.0), predict(first, 0.0, 2.0));
  EXPECT_EQ(predict(read, 1.0, 0.0), predict(first, 1.0, 0.0));
  for (std::size_t i = 0; i < 5; ++i)
    EXPECT_EQ(read.trees[0].nodes[i].cover > 1.0, first.trees[0].nodes[i].cover > 1.0);
}

TEST(XgboostModel, LeavesOutWhatWasPruned) {
  // Node 1 became a leaf; 3 and 4 are marked as deleted.
  std::string pruned = with("[1,3,-1,-1,-1]", "[1,-1,-1,-1,-1]");
  pruned = with("[2,4,-1,-1,-1]", "[2,-1,-1,-1,-1]", pruned);
  const std::string marked =
      with("\"split_indices\":[0,1,0,0,0]", "\"split_indices\":[0,0,0,2147483647,2147483647]", pruned);
  const tree_ensemble read = parse_xgboost_json(marked, "m.json");
  EXPECT_EQ(read.trees[0].nodes.size(), 3U);
  EXPECT_EQ(predict(read, 0.0, 9.0), 3.0);
  expect_complaint(pruned, "trees[0]': no split leads to node 3");
}

TEST(XgboostModel, RefusesWhatItDoesNotPredict) {
  expect_complaint(with("reg:squarederror", "binary:logistic"),
                   "objective.name': '\"binary:logistic\"' predicts a probability");
  expect_complaint(with("reg:squarederror", "multi:softprob"), "predicts several classes");
  expect_complaint(with("reg:squarederror", "rank:ndcg"), "predicts a rank");
  expect_complaint(with("reg:squarederror", "survival:aft"), "predicts survival");
  expect_complaint(with("reg:squarederror", "my:own"), "is not an objective known here; read are reg:squarederror,");
  expect_complaint(with("\"name\":\"gbtree\"", "\"name\":\"gblinear\""),
                   "gradient_booster.name': '\"gblinear\"' is not a booster of trees");
  expect_complaint(with("\"num_class\":\"0\"", "\"num_class\":\"3\""),
                   "learner_model_param.num_class': '\"3\"' is more than one");
  expect_complaint(with("\"num_target\":\"1\"", "\"num_target\":\"2\""), "num_target': '\"2\"' is more than one");
  expect_complaint(with("\"tree_info\":[0,0]", "\"tree_info\":[0,1]"),
                   "model.tree_info[1]': '1' is a group of its own");
  expect_complaint(with("\"size_leaf_vector\":\"0\"", "\"size_leaf_vector\":\"2\""),
                   "size_leaf_vector': '\"2\"' is more than one");
  expect_complaint(with("\"split_type\":[0,0", "\"split_type\":[0,1"),
                   "trees[0].split_type[1]': '1' is a categorical split");
  expect_complaint(with("\"5E-1\"", "\"[5E-1,2E0]\""), "base_score': '\"[5E-1,2E0]\"' holds several values");
  expect_complaint(with("\"5E-1\"", "[1,2]"), "base_score': holds 2 values for 1 target");
}

TEST(XgboostModel, RefusesWhatIsNoTreeAndSaysWhere) {
  const std::string trees = "field 'learner.gradient_booster.model.trees[0].";
  expect_complaint(with("[1,3,-1,-1,-1]", "[1,9,-1,-1,-1]"),
                   trees + "left_children[1]': expected an integer in [-1, 4], found 9");
  expect_complaint(with("[1,3,-1,-1,-1]", "[1,-2,-1,-1,-1]"),
                   trees + "left_children[1]': expected an integer in [-1, 4], found -2");
  expect_complaint(with("[1,3,-1,-1,-1]", "[1,0,-1,-1,-1]"),
                   trees + "left_children[1]': '0' is a node that another split leads to");
  expect_complaint(with("[2,4,-1,-1,-1]", "[2,3,-1,-1,-1]"),
                   trees + "right_children[1]': '3' is a node that another");
  expect_complaint(with("[2,4,-1,-1,-1]", "[2,-1,-1,-1,-1]"),
                   trees + "right_children[1]': expected an integer in [0, 4]");
  expect_complaint(with("[2,4,-1,-1,-1]", "[2,4,1,-1,-1]"),
                   trees + "right_children[2]': '1' is the right child of a node without");
  expect_complaint(with("[2,4,-1,-1,-1]", "[2,4,-1,-1]"), trees + "right_children': holds 4 values for 5 nodes");
  expect_complaint(with("[1,0,0,0,0]", "[1,0]"), trees + "default_left': holds 2 values for 5 nodes");
  expect_complaint(with("\"split_indices\":[0,1", "\"split_indices\":[0,2"),
                   trees + "split_indices[1]': '2' is none of the 2 features");
  expect_complaint(with("\"num_nodes\":\"5\"", "\"num_nodes\":\"6\""),
                   trees + "tree_param.num_nodes': '\"6\"' is not the number of nodes");
  expect_complaint(with("[1E-1,2E0,4E0", "[1E-1,2E0,4E39"),
                   trees + "split_conditions[2]': '4E39' is outside the range of a float");
  expect_complaint(with("[1E-1,2E0", "[1E-1,\"2\""), trees + "split_conditions[1]': expected a number, found \"2\"");
  expect_complaint(with("[1E-1,", "[NaN,"), "'NaN' is not well-formed JSON");
  expect_complaint(with("\"loss_changes\"", "\"loss_changed\""), trees + "loss_changes': is missing; did you mean");
  expect_complaint(with("[\"tokens\",\"requests\"]", "[\"tokens\"]"),
                   "feature_names': holds 1 values for 2 features");
  expect_complaint(with("\"tree_info\":[0,0]", "\"tree_info\":[0]"), "tree_info': holds 1 values for 2 trees");
  expect_complaint(with("\"5E-1\"", "\"half\""), "base_score': '\"half\"' is not a number");
  expect_complaint(with("reg:squarederror", "reg:gamma", with("\"5E-1\"", "\"0\"")),
                   "base_score': '\"0\"' is not positive");
  expect_complaint(with("\"num_feature\":\"2\",\"num_target\"", "\"num_feature\":\"-2\",\"num_target\""),
                   "num_feature': '\"-2\"' is not a non-negative");
  expect_complaint("{\"version\":[1,7,4]}", "learner': is missing");
  expect_complaint("binf\x01\x02", "'binf\\x01\\x02' begins neither JSON nor UBJSON");
}

std::string ubjson(const std::string& text, bool counted, bool typed) {
  const auto bytes = nlohmann::json::to_ubjson(nlohmann::json::parse(text), counted, typed);
  return {bytes.begin(), bytes.end()};
}

TEST(XgboostModel, ReadsUbjsonInEveryStyle) {
  const tree_ensemble wanted = parse_xgboost_json(plain, "m.json");
  for (const auto& [counted, typed] : {std::pair{false, false}, {true, false}, {true, true}}) {
    const tree_ensemble read = parse_xgboost_model(ubjson(plain, counted, typed), "m.ubj");
    EXPECT_EQ(read.trees, wanted.trees);
    EXPECT_EQ(read.base, wanted.base);
    EXPECT_EQ(read.feature_names, wanted.feature_names);
  }
}

TEST(XgboostModel, RefusesBadUbjsonByPath) {
  const std::string whole = ubjson(plain, true, true);
  EXPECT_NE(complaint(whole.substr(0, whole.size() / 2)).find("too early"), std::string::npos);
  EXPECT_EQ(complaint(ubjson(with("[1,3,-1,-1,-1]", "[1,9,-1,-1,-1]"), true, true)),
            "m.json: field 'learner.gradient_booster.model.trees[0].left_children[1]': expected an integer in [-1, "
            "4], found 9");
  auto bad = nlohmann::json::parse(plain);
  bad["learner"]["gradient_booster"]["model"]["trees"][0]["split_conditions"][0] = std::nan("");
  const auto bytes = nlohmann::json::to_ubjson(bad);
  EXPECT_NE(complaint({bytes.begin(), bytes.end()}).find("is not a number"), std::string::npos);
}

TEST(XgboostModel, WhatIsWrittenReadsBackEqual) {
  const tree_ensemble wanted = parse_xgboost_json(plain, "m.json");
  const std::string written = write_xgboost_json(wanted);
  const tree_ensemble read = parse_xgboost_json(written, "again.json");
  EXPECT_EQ(read.trees, wanted.trees);
  EXPECT_EQ(read.base, wanted.base);
  EXPECT_EQ(read.feature_names, wanted.feature_names);
  EXPECT_EQ(write_xgboost_json(read), written);
}

TEST(XgboostModel, WritesExtremeFloatsExactly) {
  tree_ensemble made = parse_xgboost_json(plain, "m.json");
  made.trees[0].nodes[0].threshold = std::numeric_limits<float>::max();
  made.trees[0].nodes[1].threshold = -std::numeric_limits<float>::denorm_min();
  made.trees[0].nodes[3].value = 0x1.fffffep-1F;
  made.feature_names[0] = "a \"name\"\n\xc3\xa9";
  const tree_ensemble read = parse_xgboost_json(write_xgboost_json(made), "again.json");
  EXPECT_EQ(read.trees, made.trees);
  EXPECT_EQ(read.feature_names, made.feature_names);
}

TEST(XgboostModel, WritesTheBaseOfALogLinkAsItsExponential) {
  tree_ensemble made = parse_xgboost_json(with("reg:squarederror", "count:poisson"), "m.json");
  made.base = 3.3;
  const std::string written = write_xgboost_json(made, {.objective = "count:poisson"});
  EXPECT_NE(written.find("\"count:poisson\",\"poisson_regression_param\""), std::string::npos);
  const tree_ensemble read = parse_xgboost_json(written, "again.json");
  EXPECT_EQ(read.link, tree_link::exponential);
  EXPECT_NEAR(read.base, 3.3, 6e-8);
  EXPECT_EQ(read.trees, made.trees);
}

TEST(XgboostModel, RefusesToWriteWhatTheFormatCannotHold) {
  const tree_ensemble good = parse_xgboost_json(plain, "m.json");
  EXPECT_THROW(static_cast<void>(write_xgboost_json(good, {.objective = "reg:gamma"})), tree_error);
  EXPECT_THROW(static_cast<void>(write_xgboost_json(good, {.objective = "binary:logistic"})), tree_error);
  tree_ensemble bad = good;
  bad.trees[0].nodes[0].threshold = std::numeric_limits<float>::infinity();
  EXPECT_THROW(static_cast<void>(write_xgboost_json(bad)), tree_error);
  bad = good;
  bad.trees[0].nodes[0].cover = 1e300;
  EXPECT_THROW(static_cast<void>(write_xgboost_json(bad)), tree_error);
  bad = good;
  bad.trees[0].nodes[0].left = 0;
  EXPECT_THROW(static_cast<void>(write_xgboost_json(bad)), tree_error);
}

}  // namespace
