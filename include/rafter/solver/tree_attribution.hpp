// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "rafter/config.hpp"
#include "rafter/core/pack.hpp"
#include "rafter/solver/tree_ensemble.hpp"

namespace rafter {

namespace detail {

/// Points t and weights of ∫₀¹ f(t) dt, exact for polynomials up to degree 2·count - 1 (Gauss and Legendre).
inline std::pair<std::vector<double>, std::vector<double>> gauss_legendre(std::size_t count) {
  std::vector<double> points(count), weights(count);
  for (std::size_t k = 0; k < count; ++k) {
    double x =
        std::cos(3.14159265358979323846 * (static_cast<double>(k) + 0.75) / (static_cast<double>(count) + 0.5));
    double slope = 1.0;
    for (int step = 0; step < 100; ++step) {
      double before = 1.0, value = x;  // Legendre polynomials of degree n - 1 and n
      for (std::size_t n = 2; n <= count; ++n) {
        const auto degree = static_cast<double>(n);
        before = std::exchange(value, ((2.0 * degree - 1.0) * x * value - (degree - 1.0) * before) / degree);
      }
      slope = static_cast<double>(count) * (x * value - before) / (x * x - 1.0);
      const double change = value / slope;
      x -= change;
      if (std::abs(change) < 1e-15) break;
    }
    points[k] = 0.5 * (1.0 - x);
    weights[k] = 1.0 / ((1.0 - x * x) * slope * slope);
  }
  return {points, weights};
}

/// What a row and the splits are compared as: a double that holds a float.
inline double as_single(double x) { return static_cast<double>(static_cast<float>(x)); }

}  // namespace detail

/// Shapley values of the features for the margin of an ensemble, path-dependent: a feature outside the coalition is
/// averaged by following both branches of its splits with the shares of the training rows (`cover`) that went there.
/// Exact; they add up: expected() + Σ phi = margin. Sources: Lundberg et al. 2020, "From local explanations to global
/// understanding with explainable AI for trees" (Tree SHAP, XGBoost's pred_contribs); Yu et al. 2022, "Linear tree
/// Shap" (sums over subtrees, each edge against the last one on its path that asks the same feature).
///
/// A leaf of value v whose path asks features with shares zⱼ and conditions met oⱼ ∈ {0, 1} gives feature i
///
///   v (oᵢ - zᵢ) ∫₀¹ Πⱼ≠ᵢ ((1-t) zⱼ + t oⱼ) dt
///
/// (the integral of t^|S| (1-t)^(d-1-|S|) is the Shapley weight of a coalition S). The integrand is a polynomial of
/// degree d - 1, so ⌈d/2⌉ Gauss points give it exactly; products run down the tree and sums run up, point by point.
class tree_attributions {
 public:
  /// Memory that a call writes; one for each thread.
  class workspace {
   public:
    workspace() = default;

   private:
    friend class tree_attributions;
    std::vector<double> products, met, row, sums;
  };

  /// @throws tree_error where check() refuses the ensemble, or a split has no training rows behind it (cover)
  explicit tree_attributions(const tree_ensemble& ensemble) : features_(ensemble.features) {
    ensemble.check();
    double offset = 0.0;
    for (std::size_t t = 0; t < ensemble.trees.size(); ++t) offset += add(ensemble.trees[t], t);
    expected_ = ensemble.base + offset;
  }

  std::size_t features() const { return features_; }
  /// The base and the mean leaf of each tree, weighted by cover; the last column of XGBoost's pred_contribs.
  double expected() const { return expected_; }

  workspace make_workspace() const {
    workspace made;
    made.products.resize(most_products_ * pack_width);
    made.met.resize(most_nodes_ * pack_width);
    made.row.resize(features_ * block);
    made.sums.resize(features_ * block);
    return made;
  }

  /// @param x    one number for each feature; NaN: missing
  /// @param phi  gets one attribution for each feature
  void explain(const double* x, double* phi, workspace& work) const { explain(x, 1, phi, work); }
  /// Several rows at once, the same bits as one by one. @param x, phi  row after row, `features` numbers each
  void explain(const double* x, std::size_t rows, double* phi, workspace& work) const {
    for (std::size_t first = 0; first < rows; first += block) {
      const std::size_t count = std::min(block, rows - first);
      const std::size_t packed = count / pack_width * pack_width;
      // Where a row stands: packs lie feature by feature, then the rows left over.
      const auto slot = [&](std::size_t row, std::size_t feature) {
        if (row >= packed) return row * features_ + feature;
        return row / pack_width * pack_width * features_ + feature * pack_width + row % pack_width;
      };
      for (std::size_t r = 0; r < count; ++r) {
        for (std::size_t f = 0; f < features_; ++f) {
          work.row[slot(r, f)] = detail::as_single(x[(first + r) * features_ + f]);
        }
      }
      std::fill_n(work.sums.data(), count * features_, 0.0);
      for (const tree& each : trees_) {
        for (std::size_t r = 0; r < packed; r += pack_width) add_tree<pack>(each, r * features_, work);
        for (std::size_t r = packed; r < count; ++r) add_tree<double>(each, r * features_, work);
      }
      for (std::size_t r = 0; r < count; ++r) {
        for (std::size_t f = 0; f < features_; ++f) phi[(first + r) * features_ + f] = work.sums[slot(r, f)];
      }
    }
  }

 private:
  static constexpr std::size_t block = 32;  // rows that a tree is used for while it is in the cache

  struct node {
    double threshold;  ///< of a leaf: its value
    double left_share, right_share;
    std::int32_t left, right;  ///< -1: a leaf
    std::int32_t feature;
    std::int32_t asked_before;  ///< the last node above (or this one) that a split on this feature led to; 0: none
    double missing_left;        ///< 1 or 0
  };
  struct tree {
    std::size_t first_node, nodes, first_number, points;
  };

  std::size_t features_;
  double expected_ = 0.0;
  std::size_t most_nodes_ = 0, most_products_ = 0;
  std::vector<tree> trees_;
  std::vector<node> nodes_;
  /// For each tree its Gauss weights; for each node of it 4 numbers for each point t:
  ///   h = t / f,  -1/(1-t) - (1-z)/f,  1 / ((1-t) fₗ),  1 / ((1-t) fᵣ)
  /// where f = (1-t) z + t for the share z of the feature's splits above, fₗ and fᵣ with this split's shares too.
  std::vector<double> numbers_;

  /// @returns the mean leaf
  double add(const regression_tree& from, std::size_t index) {
    const std::size_t count = from.nodes.size();
    const auto refuse = [&](std::size_t at) {
      throw tree_error("tree " + std::to_string(index) + ", node " + std::to_string(at) +
                       ": attributions need a positive cover of splits and none below zero");
    };
    std::vector<std::int32_t> parent(count, -1);
    std::vector<double> reach(count, 1.0), share(count, 1.0);  // share: of the splits on the feature that led here
    std::vector<std::size_t> distinct(count, 0);
    std::size_t most_distinct = 1;
    double mean = 0.0;
    const std::size_t first_node = nodes_.size();
    for (std::size_t i = 0; i < count; ++i) {
      const tree_node& one = from.nodes[i];
      node made{};
      made.left = one.left;
      made.right = one.right;
      if (one.leaf()) {
        made.threshold = static_cast<double>(one.value);
        mean += reach[i] * made.threshold;
        most_distinct = std::max(most_distinct, distinct[i]);
        nodes_.push_back(made);
        continue;
      }
      const auto left = static_cast<std::size_t>(one.left), right = static_cast<std::size_t>(one.right);
      const double cover = one.cover;
      if (!(cover > 0.0) || !std::isfinite(cover)) refuse(i);
      made.threshold = static_cast<double>(one.threshold);
      made.missing_left = one.missing_left ? 1.0 : 0.0;
      made.feature = one.feature;
      made.left_share = from.nodes[left].cover / cover;
      made.right_share = from.nodes[right].cover / cover;
      for (const double each : {made.left_share, made.right_share}) {
        if (!(each >= 0.0) || !std::isfinite(each)) refuse(i);
      }
      for (auto above = static_cast<std::int32_t>(i); parent[static_cast<std::size_t>(above)] >= 0;) {
        const std::int32_t split = parent[static_cast<std::size_t>(above)];
        if (from.nodes[static_cast<std::size_t>(split)].feature == one.feature) {
          made.asked_before = above;
          break;
        }
        above = split;
      }
      const double z = share[static_cast<std::size_t>(made.asked_before)];
      for (const auto& [child, part] : {std::pair{left, made.left_share}, {right, made.right_share}}) {
        parent[child] = static_cast<std::int32_t>(i);
        reach[child] = reach[i] * part;
        share[child] = z * part;
        distinct[child] = distinct[i] + (made.asked_before == 0 ? 1 : 0);
      }
      nodes_.push_back(made);
    }

    const std::size_t points = (most_distinct + 1) / 2;
    trees_.push_back({first_node, count, numbers_.size(), points});
    most_nodes_ = std::max(most_nodes_, count);
    most_products_ = std::max(most_products_, count * points);
    const auto [at, weights] = detail::gauss_legendre(points);
    numbers_.insert(numbers_.end(), weights.begin(), weights.end());
    for (std::size_t i = 0; i < count; ++i) {
      const node& one = nodes_[first_node + i];
      if (one.left < 0) continue;
      const double z = share[static_cast<std::size_t>(one.asked_before)];
      const double z_left = z * one.left_share, z_right = z * one.right_share;
      for (const double t : at) numbers_.push_back(t / ((1.0 - t) * z + t));
      for (const double t : at) numbers_.push_back(-1.0 / (1.0 - t) - (1.0 - z) / ((1.0 - t) * z + t));
      for (const double t : at) numbers_.push_back(1.0 / ((1.0 - t) * ((1.0 - t) * z_left + t)));
      for (const double t : at) numbers_.push_back(1.0 / ((1.0 - t) * ((1.0 - t) * z_right + t)));
    }
    return mean;
  }

  template <class V> void add_tree(const tree& each, std::size_t at, workspace& work) const {
    switch (each.points) {
      case 1:
        return add_tree<V, 1>(each, at, work);
      case 2:
        return add_tree<V, 2>(each, at, work);
      case 3:
        return add_tree<V, 3>(each, at, work);
      case 4:
        return add_tree<V, 4>(each, at, work);
      default:
        return add_tree<V, 0>(each, at, work);
    }
  }

  /// @tparam Points  0: as many as the tree says
  template <class V, std::size_t Points>
  RAFTER_HOT void add_tree(const tree& each, std::size_t at, workspace& work) const {
    constexpr std::size_t width = lanes<V>;
    const std::size_t points = Points != 0 ? Points : each.points;
    const node* const nodes = nodes_.data() + each.first_node;
    const double* number = numbers_.data() + each.first_number;
    const double* const row = work.row.data() + at;
    double* const sums = work.sums.data() + at;
    double* const products = work.products.data();
    double* const met = work.met.data();
    const V one = broadcast<V>(1.0), zero = broadcast<V>(0.0);

    // Down: at each node and point the product over the features of the path.
    for (std::size_t g = 0; g < points; ++g) store(products + g * width, broadcast<V>(number[g]));
    number += points;
    store(met, one);
    for (std::size_t i = 0; i < each.nodes; ++i) {
      const node& split = nodes[i];
      double* const here = products + i * points * width;
      if (split.left < 0) {
        for (std::size_t g = 0; g < points; ++g) store(here + g * width, load<V>(here + g * width) * split.threshold);
        continue;
      }
      const auto left = static_cast<std::size_t>(split.left), right = static_cast<std::size_t>(split.right);
      const V x = load<V>(row + static_cast<std::size_t>(split.feature) * width);
      const V below = choose(x < split.threshold, one, zero);
      const V goes_left = choose(x == x, below, broadcast<V>(split.missing_left));
      const V before = load<V>(met + static_cast<std::size_t>(split.asked_before) * width);
      const V met_left = before * goes_left;
      const V met_right = before - met_left;
      store(met + left * width, met_left);
      store(met + right * width, met_right);
      double* const to_left = products + left * points * width;
      double* const to_right = products + right * points * width;
      for (std::size_t g = 0; g < points; ++g) {
        const double h = number[g];
        const V rest = one - before * h;
        const V product = load<V>(here + g * width);
        store(to_left + g * width, product * (rest * split.left_share + met_left * h));
        store(to_right + g * width, product * (rest * split.right_share + met_right * h));
      }
      number += 4 * points;
    }

    // Up: at each node the sum over the leaves below.
    for (std::size_t i = each.nodes; i-- > 0;) {
      const node& split = nodes[i];
      if (split.left < 0) continue;
      number -= 4 * points;
      const auto left = static_cast<std::size_t>(split.left), right = static_cast<std::size_t>(split.right);
      const double* const from_left = products + left * points * width;
      const double* const from_right = products + right * points * width;
      V all = zero, by_left = zero, by_right = zero;
      for (std::size_t g = 0; g < points; ++g) {
        const V sum_left = load<V>(from_left + g * width);
        const V sum_right = load<V>(from_right + g * width);
        const V sum = sum_left + sum_right;
        store(products + (i * points + g) * width, sum);
        all += sum * number[points + g];
        by_left += sum_left * number[2 * points + g];
        by_right += sum_right * number[3 * points + g];
      }
      double* const phi = sums + static_cast<std::size_t>(split.feature) * width;
      const V before = load<V>(met + static_cast<std::size_t>(split.asked_before) * width);
      const V gain = before * all + (load<V>(met + left * width) * by_left + load<V>(met + right * width) * by_right);
      store(phi, load<V>(phi) + gain);
    }
  }
};

/// `explain(ensemble).explain(x, phi, work)`. @throws tree_error (see tree_attributions)
inline tree_attributions explain(const tree_ensemble& ensemble) { return tree_attributions(ensemble); }

/// Shapley values against a background: a feature outside the coalition takes its value from a row of the background,
/// and the attributions are the mean over those rows. Exact for each of them, in one walk over the nodes that either
/// row can reach. They add up: expected() + Σ phi = margin. Needs no covers.
/// Source: Lundberg et al. 2020 (interventional Tree SHAP).
class interventional_attributions {
 public:
  /// Memory that a call writes; one for each thread.
  class workspace {
   public:
    workspace() = default;

   private:
    friend class interventional_attributions;
    std::vector<double> row;
    std::vector<signed char> follows;  // by feature: 1 the row, -1 the background, 0 not decided
  };

  /// @param background  rows of one number for each feature; NaN: missing. Ensemble and rows are copied.
  /// @throws tree_error where check() refuses the ensemble, or there is no row
  interventional_attributions(const tree_ensemble& ensemble, const double* background, std::size_t rows)
      : features_(ensemble.features), rows_(rows), trees_(ensemble.trees) {
    ensemble.check();
    if (rows == 0) throw tree_error("attributions need a background of at least one row");
    double sum = 0.0;
    for (std::size_t r = 0; r < rows; ++r) sum += ensemble.margin(background + r * features_);
    expected_ = sum / static_cast<double>(rows);
    background_.reserve(rows * features_);
    for (std::size_t k = 0; k < rows * features_; ++k) background_.push_back(detail::as_single(background[k]));
    std::size_t depth = 0;
    for (const regression_tree& each : trees_) depth = std::max(depth, each.depth());
    // (a-1)! b! / (a+b)!: the weight of a leaf that a features of the row and b of the background lead to.
    stride_ = depth + 1;
    weights_.resize(stride_ * stride_);
    for (std::size_t a = 1; a <= depth; ++a) {
      double weight = 1.0 / static_cast<double>(a);
      for (std::size_t b = 0; a + b <= depth; ++b) {
        weights_[a * stride_ + b] = weight;
        weight *= static_cast<double>(b + 1) / static_cast<double>(a + b + 1);
      }
    }
  }

  std::size_t features() const { return features_; }
  /// The mean margin of the background.
  double expected() const { return expected_; }
  workspace make_workspace() const {
    workspace made;
    made.row.resize(features_);
    made.follows.resize(features_);
    return made;
  }

  /// @param x    one number for each feature; NaN: missing
  /// @param phi  gets one attribution for each feature
  void explain(const double* x, double* phi, workspace& work) const {
    for (std::size_t f = 0; f < features_; ++f) {
      work.row[f] = detail::as_single(x[f]);
      phi[f] = 0.0;
    }
    for (const regression_tree& each : trees_) {
      for (std::size_t r = 0; r < rows_; ++r) {
        static_cast<void>(
            walk({each.nodes.data(), work.row.data(), background_.data() + r * features_, work.follows.data(), phi},
                 0, 0, 0));
      }
    }
    for (std::size_t f = 0; f < features_; ++f) phi[f] /= static_cast<double>(rows_);
  }

 private:
  struct pair_of_rows {
    const tree_node* nodes;
    const double *row, *other;
    signed char* follows;
    double* phi;
  };
  struct parts {
    double row = 0.0, other = 0.0;  ///< what each feature that follows the row, or the background, gets
  };

  static std::int32_t next(const tree_node& split, double value) {
    const bool left = value == value ? value < static_cast<double>(split.threshold) : split.missing_left;
    return left ? split.left : split.right;
  }
  /// @param a, b  features on the path that follow the row, and the background
  parts walk(const pair_of_rows& of, std::int32_t at, std::size_t a, std::size_t b) const {
    for (;;) {
      const tree_node& node = of.nodes[at];
      if (node.leaf()) {
        const auto value = static_cast<double>(node.value);
        return {value * weights_[a * stride_ + b], value * weights_[b * stride_ + a]};
      }
      const auto feature = static_cast<std::size_t>(node.feature);
      const std::int32_t to_row = next(node, of.row[feature]), to_other = next(node, of.other[feature]);
      if (to_row == to_other || of.follows[feature] > 0) {
        at = to_row;
      } else if (of.follows[feature] < 0) {
        at = to_other;
      } else {
        of.follows[feature] = 1;
        const parts with_row = walk(of, to_row, a + 1, b);
        of.follows[feature] = -1;
        const parts with_other = walk(of, to_other, a, b + 1);
        of.follows[feature] = 0;
        of.phi[feature] += with_row.row - with_other.other;
        return {with_row.row + with_other.row, with_row.other + with_other.other};
      }
    }
  }

  std::size_t features_, rows_, stride_ = 0;
  double expected_ = 0.0;
  std::vector<regression_tree> trees_;
  std::vector<double> background_, weights_;
};

}  // namespace rafter
