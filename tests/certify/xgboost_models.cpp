// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// Models that XGBoost 1.7.4 trained and saved, with what it predicts, explains and counts: every folder that has a
// model.json in fixtures/trees. Its README says how they were made and why the tolerances are what they are.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <numeric>
#include <string>
#include <vector>

#include "../support/csv.hpp"
#include "../support/data.hpp"
#include "rafter/io/xgboost_model.hpp"
#include "rafter/solver/tree_attribution.hpp"
#include "rafter/solver/tree_importance.hpp"

namespace {

struct fixture {
  std::string name;
  std::filesystem::path folder;
  rafter::tree_ensemble ensemble;
  std::size_t rows = 0;
  std::vector<double> x;  // row after row

  const double* row(std::size_t i) const { return x.data() + i * ensemble.features; }
};

const std::vector<fixture>& fixtures() {
  static const std::vector<fixture> all = [] {
    std::vector<fixture> made;
    const auto root = data_folder() / "fixtures" / "trees";
    if (!std::filesystem::is_directory(root)) return made;
    for (const auto& data : std::filesystem::directory_iterator(root)) {
      if (!std::filesystem::exists(data.path() / "data.csv")) continue;
      const csv_table table(data.path() / "data.csv");
      for (const auto& model : std::filesystem::directory_iterator(data.path())) {
        if (!std::filesystem::exists(model.path() / "model.json")) continue;
        fixture one;
        one.name = data.path().filename().string() + '/' + model.path().filename().string();
        one.folder = model.path();
        one.ensemble = rafter::read_xgboost_model((model.path() / "model.json").string());
        one.rows = table.rows.size();
        for (std::size_t i = 0; i < one.rows; ++i) {
          for (const std::string& feature : one.ensemble.feature_names) one.x.push_back(table.number(i, feature));
        }
        made.push_back(std::move(one));
      }
    }
    std::sort(made.begin(), made.end(), [](const fixture& a, const fixture& b) { return a.name < b.name; });
    return made;
  }();
  return all;
}

#define RAFTER_NEEDS_FIXTURES() \
  if (fixtures().empty()) GTEST_SKIP() << "no fixtures/trees under RAFTER_DATA: models of XGBoost are not checked"

TEST(XgboostModels, AreAllThere) {
  RAFTER_NEEDS_FIXTURES();
  EXPECT_EQ(fixtures().size(), 20U);
}

TEST(XgboostModels, PredictAsXgboostDoes) {
  RAFTER_NEEDS_FIXTURES();
  for (const fixture& each : fixtures()) {
    const csv_table wanted(each.folder / "pred.csv");
    ASSERT_EQ(wanted.rows.size(), each.rows);
    double worst = 0.0;
    std::size_t other_digits = 0;
    for (std::size_t i = 0; i < each.rows; ++i) {
      worst = std::max(worst, std::abs(each.ensemble.predict(each.row(i)) - wanted.number(i, std::size_t{0})));
      // XGBoost's own arithmetic: floats, tree by tree. Then all nine digits are equal.
      auto sum = static_cast<float>(each.ensemble.base);
      for (const auto& tree : each.ensemble.trees) sum += tree.nodes[tree.leaf_of(each.row(i))].value;
      std::array<char, 32> text{};
      std::snprintf(text.data(), text.size(), "%.9g", static_cast<double>(sum));
      other_digits += text.data() != wanted.rows[i].at(0) ? 1U : 0U;
    }
    std::printf("%-24s predictions differ by %.1e\n", each.name.c_str(), worst);
    EXPECT_LE(worst, 1e-5) << each.name;
    EXPECT_EQ(other_digits, 0U) << each.name;
  }
}

TEST(XgboostModels, RowsEndInTheSameLeaves) {
  RAFTER_NEEDS_FIXTURES();
  for (const fixture& each : fixtures()) {
    const csv_table wanted(each.folder / "leaf_first60.csv");
    ASSERT_EQ(wanted.names.size(), each.ensemble.trees.size());
    for (std::size_t i = 0; i < wanted.rows.size(); ++i) {
      for (std::size_t t = 0; t < each.ensemble.trees.size(); ++t) {
        ASSERT_EQ(static_cast<double>(each.ensemble.trees[t].leaf_of(each.row(i))), wanted.number(i, t)) << each.name;
      }
    }
  }
}

TEST(XgboostModels, AreTheSameInUbjsonAndInANewerLayout) {
  RAFTER_NEEDS_FIXTURES();
  const auto expect_equal = [](const rafter::tree_ensemble& a, const rafter::tree_ensemble& b) {
    EXPECT_TRUE(a.trees == b.trees);
    EXPECT_EQ(a.base, b.base);
    EXPECT_EQ(a.features, b.features);
    EXPECT_EQ(a.feature_names, b.feature_names);
  };
  std::size_t newer = 0;
  for (const fixture& each : fixtures()) {
    expect_equal(each.ensemble, rafter::read_xgboost_model((each.folder / "model.ubj").string()));
    const auto translated = each.folder / "model_hand_translated_to_3x_layout.json";
    if (!std::filesystem::exists(translated)) continue;
    expect_equal(each.ensemble, rafter::read_xgboost_model(translated.string()));
    ++newer;
  }
  EXPECT_EQ(newer, 1U);
}

// Number by number as XGBoost wrote them, but for base_weights, which an ensemble does not keep.
TEST(XgboostModels, AreWrittenWithTheSameDigits) {
  RAFTER_NEEDS_FIXTURES();
  for (const fixture& each : fixtures()) {
    const std::string written = rafter::write_xgboost_json(each.ensemble);
    const rafter::file_bytes original = rafter::read_file((each.folder / "model.json").string());
    for (const char* key : {"default_left", "left_children", "loss_changes", "parents", "right_children",
                            "split_conditions", "split_indices", "sum_hessian", "feature_names", "base_score"}) {
      const std::string quoted = '"' + std::string(key) + "\":";
      std::size_t ours = 0, theirs = 0, found = 0;
      while ((ours = written.find(quoted, ours)) != std::string::npos) {
        theirs = original.view().find(quoted, theirs);
        ASSERT_NE(theirs, std::string::npos) << each.name;
        const std::string_view mine =
            std::string_view(written).substr(ours, written.find_first_of("]}", ours) - ours);
        EXPECT_EQ(mine.substr(0, mine.find("\",\"")),
                  original.view().substr(theirs, mine.substr(0, mine.find("\",\"")).size()))
            << each.name;
        ours += quoted.size();
        theirs += quoted.size();
        ++found;
      }
      EXPECT_GE(found, 1U) << key;
    }
    const rafter::tree_ensemble read = rafter::parse_xgboost_json(written, "written");
    EXPECT_TRUE(read.trees == each.ensemble.trees);
    EXPECT_EQ(read.base, each.ensemble.base);
  }
}

TEST(XgboostModels, CountAndWeighSplitsAsXgboostDoes) {
  RAFTER_NEEDS_FIXTURES();
  for (const fixture& each : fixtures()) {
    const csv_table wanted(each.folder / "importance.csv");
    const auto found = rafter::importance(each.ensemble);
    double worst = 0.0;
    EXPECT_EQ(wanted.rows.size(), found.size());
    for (std::size_t i = 0; i < wanted.rows.size(); ++i) {
      const auto& names = each.ensemble.feature_names;
      const auto f =
          static_cast<std::size_t>(std::find(names.begin(), names.end(), wanted.rows[i].at(0)) - names.begin());
      ASSERT_LT(f, found.size());
      EXPECT_EQ(static_cast<double>(found[f].weight), wanted.number(i, "weight"));
      const auto compare = [&](double mine, const char* column) {
        const double theirs = wanted.number(i, column);
        worst = std::max(worst, theirs == 0.0 ? std::abs(mine) : std::abs(mine / theirs - 1.0));
      };
      compare(found[f].gain(), "gain");
      compare(found[f].cover(), "cover");
      compare(found[f].total_gain, "total_gain");
      compare(found[f].total_cover, "total_cover");
    }
    std::printf("%-24s importances differ by a factor of 1 + %.1e\n", each.name.c_str(), worst);
    EXPECT_LE(worst, 1e-6) << each.name;
  }
}

TEST(XgboostModels, ExplainRowsAsXgboostDoes) {
  RAFTER_NEEDS_FIXTURES();
  std::size_t exact_files = 0;
  for (const fixture& each : fixtures()) {
    const std::size_t features = each.ensemble.features;
    const rafter::tree_attributions attributions = rafter::explain(each.ensemble);
    auto work = attributions.make_workspace();
    std::vector<double> phi(each.rows * features);
    attributions.explain(each.x.data(), each.rows, phi.data(), work);

    double unsummed = 0.0;
    for (std::size_t i = 0; i < each.rows; ++i) {
      const double* const first = phi.data() + i * features;
      const double sum = std::accumulate(first, first + features, attributions.expected());
      unsummed = std::max(unsummed, std::abs(sum - each.ensemble.margin(each.row(i))));
    }
    const auto worst_in = [&](const std::filesystem::path& file) {
      const csv_table wanted(file);
      double worst = 0.0;
      for (std::size_t i = 0; i < wanted.rows.size(); ++i) {
        for (std::size_t f = 0; f < features; ++f) {
          worst = std::max(worst, std::abs(phi[i * features + f] - wanted.number(i, f)));
        }
        worst = std::max(worst, std::abs(attributions.expected() - wanted.number(i, features)));
      }
      return worst;
    };
    const double worst = worst_in(each.folder / "contribs_first60.csv");
    std::printf("%-24s attributions differ by %.1e, sums by %.1e", each.name.c_str(), worst, unsummed);
    EXPECT_LE(unsummed, 1e-10) << each.name;
    EXPECT_LE(worst, 1e-5) << each.name;
    if (std::filesystem::exists(each.folder / "contribs_exact64_first20.csv")) {
      const double exact = worst_in(each.folder / "contribs_exact64_first20.csv");
      std::printf(", from the sums over all subsets by %.1e", exact);
      EXPECT_LE(exact, 1e-10) << each.name;
      ++exact_files;
    }
    std::printf("\n");
  }
  EXPECT_EQ(exact_files, 5U);
}

TEST(XgboostModels, ExplainRowsAgainstABackground) {
  RAFTER_NEEDS_FIXTURES();
  for (const fixture& each : fixtures()) {
    const std::size_t features = each.ensemble.features, background = 25;
    const rafter::interventional_attributions attributions(each.ensemble, each.row(each.rows - background),
                                                           background);
    auto work = attributions.make_workspace();
    std::vector<double> phi(features);
    for (std::size_t i = 0; i < 20; ++i) {
      attributions.explain(each.row(i), phi.data(), work);
      EXPECT_NEAR(std::accumulate(phi.begin(), phi.end(), attributions.expected()), each.ensemble.margin(each.row(i)),
                  1e-10)
          << each.name;
    }
  }
}

}  // namespace
