// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/solver/tree_loss.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "../support/message.hpp"
#include "rafter/core/random.hpp"

namespace {

using rafter::tree_loss;

const std::vector<tree_loss> every_loss{tree_loss::squared(), tree_loss::pseudo_huber(1.5), tree_loss::poisson(),
                                        tree_loss::gamma(), tree_loss::quantile(0.9)};

TEST(TreeLoss, HasTheGradientOfItsValue) {
  for (const tree_loss& loss : every_loss) {
    for (const double y : {0.3, 1.0, 7.5}) {
      for (const double m : {-1.3, -0.2, 0.4, 1.7, 2.6}) {
        const double h = 1e-5;
        const double difference = (loss.value(m + h, y) - loss.value(m - h, y)) / (2.0 * h);
        EXPECT_NEAR(loss.derivatives(m, y).gradient, difference, 1e-8 * (1.0 + std::abs(difference))) << loss.name();
      }
    }
  }
}

// But for the quantile, whose own second derivative is 0.
TEST(TreeLoss, HasTheHessianOfItsValue) {
  for (const tree_loss& loss : every_loss) {
    if (loss.kind == rafter::tree_loss_kind::quantile) continue;
    for (const double y : {0.3, 1.0, 7.5}) {
      for (const double m : {-1.3, -0.2, 0.4, 1.7, 2.6}) {
        const double h = 1e-5;
        const double difference =
            (loss.derivatives(m + h, y).gradient - loss.derivatives(m - h, y).gradient) / (2.0 * h);
        EXPECT_NEAR(loss.derivatives(m, y).hessian, difference, 1e-8 * (1.0 + std::abs(difference))) << loss.name();
      }
    }
  }
}

// Twice the loss above its smallest value; half of that for pseudo-Huber, and the loss itself for the quantile.
TEST(TreeLoss, ReportsDeviancesFromTheBestMargin) {
  for (const tree_loss& loss : every_loss) {
    const double y = 2.5;
    const double best = loss.link() == rafter::tree_link::exponential ? std::log(y) : y;
    const bool twice = loss.kind != rafter::tree_loss_kind::pseudo_huber && !loss.name().starts_with("quantile");
    for (const double m : {-0.7, 0.5, 3.1}) {
      const double deviance = loss.visit([&](const auto& one) { return one.deviance(m, y); });
      EXPECT_NEAR(deviance, (twice ? 2.0 : 1.0) * (loss.value(m, y) - loss.value(best, y)), 1e-12) << loss.name();
    }
  }
  EXPECT_EQ(tree_loss::squared().metric(9.0), 3.0);
  EXPECT_EQ(tree_loss::gamma().metric(9.0), 9.0);
}

TEST(TreeLoss, CountsZeroInPoisson) {
  EXPECT_DOUBLE_EQ(tree_loss::poisson().visit([](const auto& one) { return one.deviance(0.5, 0.0); }),
                   2.0 * std::exp(0.5));
}

// No constant does better: the derivative of the sum changes its sign there.
TEST(TreeLoss, BeginsAtTheBestConstant) {
  rafter::detail::seeded_numbers random(4);
  std::vector<double> y(201), w(201);
  for (std::size_t i = 0; i < y.size(); ++i) {
    y[i] = std::exp(random.normal());
    w[i] = random.uniform();
  }
  for (const tree_loss& loss : every_loss) {
    if (loss.kind == rafter::tree_loss_kind::pseudo_huber) continue;
    for (const bool weighted : {false, true}) {
      const double base = loss.base_margin(y, weighted ? std::span<const double>(w) : std::span<const double>());
      const auto total = [&](double m) {
        double sum = 0.0;
        for (std::size_t i = 0; i < y.size(); ++i) sum += (weighted ? w[i] : 1.0) * loss.value(m, y[i]);
        return sum;
      };
      EXPECT_LE(total(base), total(base + 1e-3) + 1e-9) << loss.name();
      EXPECT_LE(total(base), total(base - 1e-3) + 1e-9) << loss.name();
    }
  }
  EXPECT_EQ(tree_loss::pseudo_huber(1.0).base_margin(y, {}), tree_loss::quantile(0.5).base_margin(y, {}));
}

TEST(TreeLoss, TakesQuantilesOfWeightedSamples) {
  std::vector<rafter::detail::weighted_value> sample{{4, 1}, {1, 1}, {3, 1}, {2, 1}};
  EXPECT_EQ(rafter::detail::weighted_quantile(sample, 0.25), 1.0);
  EXPECT_EQ(rafter::detail::weighted_quantile(sample, 0.5), 2.0);
  EXPECT_EQ(rafter::detail::weighted_quantile(sample, 0.51), 3.0);
  EXPECT_EQ(rafter::detail::weighted_quantile(sample, 0.99), 4.0);
  sample = {{1, 0}, {2, 1}, {3, 8}};
  EXPECT_EQ(rafter::detail::weighted_quantile(sample, 0.05), 2.0);
  EXPECT_EQ(rafter::detail::weighted_quantile(sample, 0.2), 3.0);
}

TEST(TreeLoss, RefusesLabelsOutsideItsDomainNamingTheRow) {
  const std::vector<double> negative{1, 2, -3}, zero{1, 0, 2}, none{1, std::numeric_limits<double>::quiet_NaN()},
      infinite{std::numeric_limits<double>::infinity()};
  EXPECT_EQ(message_of([&] { tree_loss::poisson().check(negative); }),
            "rafter: tree_loss: Poisson deviance: label -3 of row 2, must not be negative");
  EXPECT_EQ(message_of([&] { tree_loss::gamma().check(zero); }),
            "rafter: tree_loss: gamma deviance: label 0 of row 1, must be positive");
  EXPECT_EQ(message_of([&] { tree_loss::poisson().check(zero); }), "no exception");
  EXPECT_EQ(message_of([&] { tree_loss::squared().check(none); }),
            "rafter: tree_loss: squared error: label nan of row 1, must be a finite number (up to 1e30)");
  EXPECT_EQ(message_of([&] { tree_loss::squared().check(infinite); }),
            "rafter: tree_loss: squared error: label inf of row 0, must be a finite number (up to 1e30)");
}

TEST(TreeLoss, RefusesParametersThatMakeNoSense) {
  EXPECT_EQ(message_of([] { tree_loss::pseudo_huber(0.0).check({}); }),
            "rafter: tree_loss: delta 0, must be positive");
  EXPECT_EQ(message_of([] { tree_loss::quantile(1.0).check({}); }),
            "rafter: tree_loss: quantile 1, must be between 0 and 1");
  const std::vector<double> zeros{0, 0};
  EXPECT_EQ(message_of([&] { tree_loss::poisson().base_margin(zeros, {}); }),
            "rafter: tree_loss: all labels are 0: their mean has no logarithm");
}

}  // namespace
