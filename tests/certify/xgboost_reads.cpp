// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// Models that rafter writes, read by XGBoost itself where a python3 has it (any version from 1.7 on).
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rafter/core/random.hpp"
#include "rafter/io/xgboost_model.hpp"
#include "rafter/solver/boosted_trees.hpp"
#include "rafter/solver/tree_attribution.hpp"

namespace {

constexpr std::size_t features = 4;

rafter::tree_ensemble random_ensemble(rafter::tree_link link) {
  rafter::detail::seeded_numbers random(17);
  rafter::tree_ensemble made{.features = features, .base = 0.5, .link = link, .feature_names = {"a", "b", "c", "d"}};
  for (int t = 0; t < 12; ++t) {
    rafter::regression_tree tree;
    tree.nodes.resize(t == 0 ? 1 : 15);
    tree.nodes[0].cover = 64.0;
    for (std::size_t i = 0; i < tree.nodes.size(); ++i) {
      rafter::tree_node& node = tree.nodes[i];
      if (2 * i + 2 >= tree.nodes.size()) {
        node.value = static_cast<float>(0.2 * random.normal());
        continue;
      }
      node.left = static_cast<std::int32_t>(2 * i + 1);
      node.right = node.left + 1;
      node.feature = static_cast<std::int32_t>(random.below(features));
      node.threshold = static_cast<float>(random.uniform());
      node.missing_left = random.uniform() < 0.5;
      node.gain = 1.0 + random.uniform();
      tree.nodes[2 * i + 1].cover = 0.25 * node.cover;
      tree.nodes[2 * i + 2].cover = 0.75 * node.cover;
    }
    made.trees.push_back(tree);
  }
  return made;
}

/// Trained here: missing values, few and many distinct ones, and the sentinel split that parts missing from present.
rafter::tree_ensemble trained_ensemble(rafter::tree_link link) {
  rafter::detail::seeded_numbers random(29);
  constexpr std::size_t rows = 400;
  std::vector<double> x(features * rows), labels(rows);
  for (std::size_t i = 0; i < rows; ++i) {
    const double b = random.uniform(), c = std::floor(5.0 * random.uniform());
    x[i] = random.uniform() < 0.3 ? std::numeric_limits<double>::quiet_NaN() : random.uniform();
    x[rows + i] = b;
    x[2 * rows + i] = c;
    x[3 * rows + i] = 1.0;
    labels[i] = 1.0 + b + 0.3 * c + (x[i] == x[i] ? 0.0 : 0.5);
  }
  rafter::boosting_options options;
  options.rounds = 20;
  options.max_depth = 4;
  rafter::tree_training_data data{{x.data(), rows, features}, labels, {}, {"a", "b", "c", "d"}};
  const bool exponential = link == rafter::tree_link::exponential;
  return rafter::fit_boosted_trees(data, exponential ? rafter::tree_loss::gamma() : rafter::tree_loss::squared(),
                                   options)
      .ensemble;
}

TEST(XgboostReads, WhatIsWritten) {
  const auto folder = std::filesystem::temp_directory_path() / "rafter-xgboost-reads";
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  for (const char* objective : {"reg:squarederror", "reg:absoluteerror", "reg:pseudohubererror", "count:poisson",
                                "reg:gamma", "reg:tweedie"}) {
    const auto link = rafter::detail::find_xgboost_objective(objective)->link;
    // A round trip through rafter's own reader first, which needs no XGBoost.
    const rafter::tree_ensemble learned = trained_ensemble(link);
    const rafter::tree_ensemble again =
        rafter::parse_xgboost_json(rafter::write_xgboost_json(learned, {.objective = objective}), "again");
    ASSERT_EQ(again.trees.size(), learned.trees.size()) << objective;
    for (std::size_t t = 0; t < learned.trees.size(); ++t) {
      ASSERT_EQ(again.trees[t].nodes.size(), learned.trees[t].nodes.size()) << objective;
      for (std::size_t i = 0; i < learned.trees[t].nodes.size(); ++i) {
        rafter::tree_node read = again.trees[t].nodes[i];
        const rafter::tree_node& written = learned.trees[t].nodes[i];
        EXPECT_FLOAT_EQ(static_cast<float>(read.cover), static_cast<float>(written.cover));  // single in the file
        EXPECT_FLOAT_EQ(static_cast<float>(read.gain), static_cast<float>(written.gain));
        read.cover = written.cover;
        read.gain = written.gain;
        EXPECT_EQ(read, written) << objective << ", tree " << t << ", node " << i;
      }
    }
    EXPECT_NEAR(again.base, learned.base, 1e-6) << objective;
    const bool made_up =
        std::string_view(objective) == "reg:absoluteerror" || std::string_view(objective) == "reg:tweedie";
    const rafter::tree_ensemble ensemble = made_up ? random_ensemble(link) : learned;
    const rafter::tree_attributions attributions = rafter::explain(ensemble);
    auto work = attributions.make_workspace();
    rafter::detail::seeded_numbers random(23);
    std::string rows;
    for (int i = 0; i < 50; ++i) {
      std::vector<double> x(features), phi(features);
      for (double& each : x) {
        each = random.uniform() < 0.2 ? std::numeric_limits<double>::quiet_NaN()
                                      : static_cast<double>(static_cast<float>(random.uniform()));
      }
      attributions.explain(x.data(), phi.data(), work);
      std::vector<double> numbers = x;
      numbers.push_back(ensemble.margin(x.data()));
      numbers.push_back(ensemble.predict(x.data()));
      numbers.insert(numbers.end(), phi.begin(), phi.end());
      numbers.push_back(attributions.expected());
      for (std::size_t k = 0; k < numbers.size(); ++k) {
        char text[40];
        static_cast<void>(std::snprintf(text, sizeof text, k == 0 ? "%.17g" : ",%.17g", numbers[k]));
        rows += text;
      }
      rows += '\n';
    }
    std::string name = objective;
    name[name.find(':')] = '-';
    rafter::write_file((folder / (name + ".json")).string(),
                       rafter::write_xgboost_json(ensemble, {.objective = objective}));
    rafter::write_file((folder / (name + ".csv")).string(), rows);
  }
  const int status = std::system(("python3 tests/certify/xgboost_reads.py '" + folder.string() + '\'').c_str());
  ASSERT_TRUE(WIFEXITED(status));
  const int code = WEXITSTATUS(status);
  if (code == 77 || code == 127)
    GTEST_SKIP() << "no python3 with XGBoost: that it reads what is written is not checked";
  EXPECT_EQ(code, 0);
  std::filesystem::remove_all(folder);
}

}  // namespace
