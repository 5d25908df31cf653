// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// Parameters with a value for each label: separate, pooled in part, and what an unseen label gets.
#include <gtest/gtest.h>

#include <cmath>
#include <cstddef>
#include <random>
#include <string>
#include <vector>

#include "rafter/estimator/nonlinear.hpp"
#include "rafter/estimator/per.hpp"
#include "support/engine_steps.hpp"
#include "support/message.hpp"

namespace {

using namespace rafter;
using namespace rafter::literals;
using tiny::engine_step;

inline constexpr bounded<"launch", 1e-6_c, 1e-3_c, 1_c, units::second> launch{};
inline constexpr bounded<"per_token", 1e-9_c, 1e-6_c, 1_c, units::second / units::token> per_token{};
inline constexpr auto model = launch + per_token * (prefill_tokens + decode_tokens);
template <auto Weight>
inline constexpr auto pooled_model =
    partially_pooled<Weight>(per_label<"model">(launch)) + partially_pooled<Weight>(per_label<"model">(per_token)) *
                                                               (prefill_tokens + decode_tokens);

/// Each engine is a model with a launch time of its own.
const dataset<tiny::aggregated>& data() {
  static const auto made = [] {
    std::mt19937_64 random(1);
    std::normal_distribution<double> normal;
    return tiny::dataset_of(tiny::random_engine_steps(400, 3), [&](const engine_step& s, std::size_t) {
      const double own = 1.0 + static_cast<double>(s.engine);
      return (1e-3 * own + 1e-5 * own * own * (s.prefill_tokens + s.decode_tokens)) * std::exp(0.1 * normal(random));
    });
  }();
  return made;
}
const row_set all = row_set::all(400);
row_set of_model(const std::string& name) {
  return row_set::where(400, [&](std::size_t row) { return data().groups(group::model).name(row) == name; });
}
std::vector<double> predicted(const auto& fitted, const row_set& rows) {
  std::vector<double> made(rows.size());
  fitted.predict(data(), rows, std::span<double>(made));
  return made;
}

TEST(NonlinearLabels, EachOnItsOwnIsTheSameAsSeparateFits) {
  const auto together = nonlinear<with_parameters_per<"model">(model)>::fit(data(), all);
  const auto apart = per<group::model, nonlinear<model>>::fit(data(), all);
  ASSERT_EQ(together.layout().size(), 8U);
  ASSERT_EQ(apart.parts().size(), 4U);
  for (const auto& [label, part] : apart.parts()) {
    for (const std::string name : {"launch", "per_token"}) {
      EXPECT_NEAR(together.parameter(name + "[" + label + "]"), part.parameter(name), 1e-7 * part.parameter(name));
    }
  }
  const auto a = predicted(together, all), b = predicted(apart, all);
  for (std::size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], b[i], 1e-7 * b[i]);
  EXPECT_EQ(together.summary().parameters, 8U);
  EXPECT_EQ(apart.summary().parameters, 8U);
  EXPECT_EQ(apart.parameters()[3].name, "per_token[" + apart.parts()[1].first + "]");
}
TEST(NonlinearLabels, SharedParametersAreSharedAndOthersAreNot) {
  constexpr auto half = per_label<"model">(launch) + per_token * (prefill_tokens + decode_tokens);
  const auto fitted = nonlinear<half>::fit(data(), all);
  EXPECT_EQ(fitted.layout().size(), 5U);
  // The minimum, by hand: no step along any parameter lowers the cost.
  const auto cost = [&](const std::vector<double>& at) {
    double sum = 0;
    for (std::size_t i = 0; i < 400; ++i) {
      const std::string& label = data().groups(group::model).name(i);
      const double base = at[fitted.layout().find("launch[" + label + "]")];
      const double tokens = data().column<prefill_tokens_t>()[i] + data().column<decode_tokens_t>()[i];
      sum +=
          0.5 * std::pow(std::log((base + at[fitted.layout().find("per_token")] * tokens) / data().target()[i]), 2);
    }
    return sum;
  };
  const std::vector<double> best = fitted.solution().parameters;
  EXPECT_NEAR(cost(best), fitted.solution().cost, 1e-12 * fitted.solution().cost);
  for (std::size_t j = 0; j < 5; ++j) {
    for (const double by : {0.999, 1.001}) {
      std::vector<double> moved = best;
      moved[j] *= by;
      EXPECT_GT(cost(moved), cost(best));
    }
  }
}

TEST(NonlinearLabels, PoolingWithoutWeightIsSeparateAndWithMuchWeightGlobal) {
  const auto apart = nonlinear<with_parameters_per<"model">(model)>::fit(data(), all);
  const auto global = nonlinear<model>::fit(data(), all);
  const auto loose = nonlinear<pooled_model<1e-6_c>>::fit(data(), all);
  const auto tight = nonlinear<pooled_model<1e8_c>>::fit(data(), all);
  const auto between = nonlinear<pooled_model<5_c>>::fit(data(), all);
  for (const std::string label : {"model-0", "model-1", "model-2", "model-3"}) {
    for (const std::string name : {"launch", "per_token"}) {
      const std::string full = name + "[" + label + "]";
      EXPECT_NEAR(loose.parameter(full), apart.parameter(full), 1e-5 * apart.parameter(full)) << full;
      EXPECT_NEAR(tight.parameter(full), global.parameter(name), 1e-5 * global.parameter(name)) << full;
      const double low = std::min(apart.parameter(full), between.parameter(name + "[common]"));
      const double high = std::max(apart.parameter(full), between.parameter(name + "[common]"));
      if (name == "per_token") {  // pulled towards the common value, and not beyond it
        EXPECT_GT(between.parameter(full), low * 0.98) << full;
        EXPECT_LT(between.parameter(full), high * 1.02) << full;
      }
    }
  }
  // The common value of logarithms pulled alike is their mean.
  double logs = 0;
  for (const char* label : {"model-0", "model-1", "model-2", "model-3"}) {
    logs += std::log(between.parameter(std::string("per_token[") + label + "]")) / 4;
  }
  EXPECT_NEAR(std::log(between.parameter("per_token[common]")), logs, 1e-6);
}

TEST(NonlinearLabels, AnUnseenLabelGetsTheCommonValue) {
  const row_set seen = row_set::where(400, [&](std::size_t row) { return !of_model("model-2").contains(row); });
  const auto fitted = nonlinear<pooled_model<5_c>>::fit(data(), seen);
  const row_set unseen = of_model("model-2");
  const auto values = predicted(fitted, unseen);
  std::size_t at = 0;
  unseen.for_each([&](std::size_t row) {
    const double tokens = data().column<prefill_tokens_t>()[row] + data().column<decode_tokens_t>()[row];
    const double expected = fitted.parameter("launch[common]") + fitted.parameter("per_token[common]") * tokens;
    EXPECT_NEAR(values[at++], expected, 1e-14 * expected);
  });
  // A record too, by its label.
  struct record {
    double prefill_tokens, decode_tokens;
  };
  const double common = fitted.bind<record>(tiny::engines()[2], {"model-2"})({10, 20}).value;
  EXPECT_NEAR(common, fitted.parameter("launch[common]") + 30 * fitted.parameter("per_token[common]"), 1e-15);
  const double known = fitted.bind<record>(tiny::engines()[1], {"model-1"})({10, 20}).value;
  EXPECT_NEAR(known, fitted.parameter("launch[model-1]") + 30 * fitted.parameter("per_token[model-1]"), 1e-15);
  EXPECT_EQ(message_of([&] {
              fitted.predict(record{10, 20}, tiny::engines()[1]);
            }),
            "the model has parameters per label of 1 axes, and 0 labels were given");
}
TEST(NonlinearLabels, WithoutPoolingAnUnseenLabelIsRefusedByName) {
  const row_set seen = row_set::where(400, [&](std::size_t row) { return !of_model("model-2").contains(row); });
  const auto fitted = nonlinear<with_parameters_per<"model">(model)>::fit(data(), seen);
  EXPECT_EQ(message_of([&] { predicted(fitted, all); }),
            "parameter 'launch': nothing was fitted for model 'model-2'");
  EXPECT_EQ(message_of([&] { predicted(fitted, seen); }), "no exception");
  const auto apart = per<group::model, nonlinear<model>>::fit(data(), seen);
  EXPECT_EQ(message_of([&] { predicted(apart, all); }), "nothing was fitted for model 'model-2'");
}
TEST(NonlinearLabels, KnowWhatTheyAreFittedPer) {
  using separate = nonlinear<with_parameters_per<"model">(model)>;
  EXPECT_TRUE(separate::fitted_per(group::model));
  EXPECT_FALSE(separate::fitted_per(group::workload));
  EXPECT_FALSE(nonlinear<pooled_model<5_c>>::fitted_per(group::model));  // it has something to say of others
  EXPECT_FALSE(nonlinear<model>::fitted_per(group::model));
}
TEST(NonlinearLabels, OfTwoAxesKeepEachItsOwn) {
  constexpr auto both =
      per_label<"model">(launch) + per_label<"workload">(per_token) * (prefill_tokens + decode_tokens);
  const auto fitted = nonlinear<both>::fit(data(), all);
  EXPECT_EQ(fitted.layout().size(), 4U + 2U);
  const auto values = predicted(fitted, all);
  for (std::size_t i = 0; i < 400; ++i) {
    const double tokens = data().column<prefill_tokens_t>()[i] + data().column<decode_tokens_t>()[i];
    const double expected = fitted.parameter("launch[" + data().groups(group::model).name(i) + "]") +
                            fitted.parameter("per_token[" + data().groups(group::workload).name(i) + "]") * tokens;
    EXPECT_NEAR(values[i], expected, 1e-14 * expected);
  }
}

}  // namespace
