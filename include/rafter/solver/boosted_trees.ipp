// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// Definitions for rafter/solver/boosted_trees.hpp; include that instead.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <chrono>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <numeric>
#include <utility>

#include "rafter/config.hpp"
#include "rafter/core/random.hpp"
#include "rafter/solver/boosted_trees.hpp"
#include "rafter/solver/linear_solver.hpp"
#include "rafter/solver/thread_team.hpp"

namespace rafter::detail {

inline constexpr std::size_t histogram_bins = binned_features::most_bins;  // cells from feature to feature
inline constexpr std::size_t rows_per_block = 4096;   // whose sums are added one block after the other
inline constexpr std::size_t rows_per_task = 16'384;  // of a partition
inline constexpr std::size_t most_packed_rows = std::size_t{1} << 20;
inline constexpr std::size_t kept_histogram_bytes = std::size_t{512} << 20;

// The sum of gradients and of hessians of some rows, where each hessian is 1: one integer, gradient << bits | count.
struct packed_sums {
  using cell = std::int64_t;
  int bits = 0;
  std::int64_t mask = 0;
  double unit = 1.0;   // of the gradient
  double scale = 1.0;  // 1 / unit

  RAFTER_ALWAYS_INLINE double gradient(cell c) const { return static_cast<double>(c >> bits) * unit; }
  RAFTER_ALWAYS_INLINE double hessian(cell c) const { return static_cast<double>(c & mask); }
  RAFTER_ALWAYS_INLINE static bool empty(cell c) { return c == 0; }

  void prepare(std::size_t rows, double sum_gradient, double) {
    bits = static_cast<int>(std::bit_width(rows));
    mask = (std::int64_t{1} << bits) - 1;
    // Σ|gradient| < 2^(62-bits) units, and rounding adds less than rows < 2^bits; no more than 2^50, for make().
    const int exponent = sum_gradient > 0.0 ? std::min(61 - bits, 49) - std::ilogb(sum_gradient) : 0;
    scale = std::ldexp(1.0, std::min(exponent, 1000));
    unit = 1.0 / scale;
  }
  // Adding 1.5·2⁵² rounds to an integer, which then stands in the low bits.
  RAFTER_ALWAYS_INLINE cell make(double gradient, double) const {
    const double shifted = gradient * scale + 0x1.8p52;
    const std::int64_t whole = std::bit_cast<std::int64_t>(shifted) - std::int64_t{0x4338000000000000};
    return static_cast<cell>((static_cast<std::uint64_t>(whole) << bits) + 1);
  }
};

typedef std::int64_t paired_cell __attribute__((vector_size(16)));

// The same for any hessians: two integers.
struct paired_sums {
  using cell = paired_cell;
  std::array<double, 2> unit{1.0, 1.0}, scale{1.0, 1.0};

  RAFTER_ALWAYS_INLINE double gradient(cell c) const { return static_cast<double>(c[0]) * unit[0]; }
  RAFTER_ALWAYS_INLINE double hessian(cell c) const { return static_cast<double>(c[1]) * unit[1]; }
  RAFTER_ALWAYS_INLINE static bool empty(cell c) { return (c[0] | c[1]) == 0; }

  void prepare(std::size_t, double sum_gradient, double sum_hessian) {
    const std::array<double, 2> sum{sum_gradient, sum_hessian};
    for (std::size_t k = 0; k < 2; ++k) {
      scale[k] = std::ldexp(1.0, sum[k] > 0.0 ? std::min(60 - std::ilogb(sum[k]), 1000) : 0);
      unit[k] = 1.0 / scale[k];
    }
  }
  RAFTER_ALWAYS_INLINE cell make(double gradient, double hessian) const {
    return cell{static_cast<std::int64_t>(gradient * scale[0]), static_cast<std::int64_t>(hessian * scale[1])};
  }
};

// Adds the rows' cells to the bins of 8·groups + Tail features.
template <int Tail, class Cell>
RAFTER_HOT void add_to_histogram(const std::uint8_t* bins, std::size_t stride, const Cell* cells,
                                 const std::uint32_t* rows, std::size_t count, std::size_t groups, Cell* histogram) {
  constexpr std::size_t ahead = 24;
  const auto add = [&](std::uint32_t row) RAFTER_INLINE_LAMBDA {
    const std::uint8_t* at = bins + row * stride;
    const Cell cell = cells[row];
    Cell* to = histogram;
    for (std::size_t g = 0; g < groups; ++g, at += 8, to += 8 * histogram_bins) {
      std::uint64_t eight;
      std::memcpy(&eight, at, 8);
      to[0 * histogram_bins + (eight & 255)] += cell;
      to[1 * histogram_bins + (eight >> 8 & 255)] += cell;
      to[2 * histogram_bins + (eight >> 16 & 255)] += cell;
      to[3 * histogram_bins + (eight >> 24 & 255)] += cell;
      to[4 * histogram_bins + (eight >> 32 & 255)] += cell;
      to[5 * histogram_bins + (eight >> 40 & 255)] += cell;
      to[6 * histogram_bins + (eight >> 48 & 255)] += cell;
      to[7 * histogram_bins + (eight >> 56)] += cell;
    }
    if constexpr (Tail > 0) to[0 * histogram_bins + at[0]] += cell;
    if constexpr (Tail > 0) to[1 * histogram_bins + at[1]] += cell;
    if constexpr (Tail > 2) to[2 * histogram_bins + at[2]] += cell;
    if constexpr (Tail > 2) to[3 * histogram_bins + at[3]] += cell;
    if constexpr (Tail > 4) to[4 * histogram_bins + at[4]] += cell;
    if constexpr (Tail > 4) to[5 * histogram_bins + at[5]] += cell;
  };
  std::size_t i = 0;
  for (; i + ahead < count; ++i) {
    __builtin_prefetch(bins + rows[i + ahead] * stride);
    __builtin_prefetch(cells + rows[i + ahead]);
    add(rows[i]);
  }
  for (; i < count; ++i) add(rows[i]);
}

template <class Cell>
void add_to_histogram(const std::uint8_t* bins, std::size_t stride, const Cell* cells, const std::uint32_t* rows,
                      std::size_t count, std::size_t features, Cell* histogram) {
  const std::size_t even = (features + 1) / 2 * 2;  // the padding of a row has a bin to go to
  const std::size_t groups = even / 8;
  switch (even % 8) {
    case 0:
      return add_to_histogram<0>(bins, stride, cells, rows, count, groups, histogram);
    case 2:
      return add_to_histogram<2>(bins, stride, cells, rows, count, groups, histogram);
    case 4:
      return add_to_histogram<4>(bins, stride, cells, rows, count, groups, histogram);
    default:
      return add_to_histogram<6>(bins, stride, cells, rows, count, groups, histogram);
  }
}

// To 24 bits, as XGBoost compares gains: what differs by rounding is a tie, and the first wins.
RAFTER_ALWAYS_INLINE double comparable(double gain) {
  const auto bits = std::bit_cast<std::uint64_t>(gain) + (std::uint64_t{1} << 28);
  return std::bit_cast<double>(bits & ~((std::uint64_t{1} << 29) - 1));
}

template <class Cell> struct split_choice {
  double gain = 0.0;
  std::int32_t feature = -1;
  std::uint32_t bins_left = 0;  // bins below this go left
  bool missing_left = false;
  Cell left{};
};

template <class Cell> struct growing_node {
  std::size_t begin = 0, end = 0;  // of its rows
  bool elsewhere = false;          // they stand in the second list
  Cell total{};
  double lower = 0.0, upper = 0.0;  // of the weight
  std::size_t depth = 0;
  Cell* histogram = nullptr;
  std::int32_t left = -1;                 // children: left, left + 1
  std::vector<std::uint32_t> path = {};   // features above, where interactions are limited
  std::vector<std::uint8_t> usable = {};  // per feature; empty: all
  split_choice<Cell> best = {};
  bool constrained = false;
};

inline std::uint64_t mixed_seed(std::uint64_t seed, std::uint64_t a, std::uint64_t b, std::uint64_t c) {
  for (const std::uint64_t each : {a, b, c}) {
    seed = (seed ^ (each + 0x9e3779b97f4a7c15U)) * 0xbf58476d1ce4e5b9U;
    seed ^= seed >> 29;
  }
  return seed;
}

[[noreturn]] RAFTER_COLD_FUNCTION void refuse_boosting(const std::string& what) {
  throw solver_error("rafter: boosted_trees: " + what);
}

class stop_watch {
 public:
  /// Seconds since the last call.
  double lap() {
    const auto now = std::chrono::steady_clock::now();
    const double passed = std::chrono::duration<double>(now - since_).count();
    since_ = now;
    return passed;
  }

 private:
  std::chrono::steady_clock::time_point since_ = std::chrono::steady_clock::now();
};

// One training. Sums says how gradients are added up.
template <class Sums> class tree_trainer {
 public:
  using cell = typename Sums::cell;

  tree_trainer(const tree_training_data& data, const tree_loss& loss, const boosting_options& options,
               const boosting_inputs& more, const binned_features& bins, thread_team& team, boosted_trees_fit& result)
      : data_(data),
        loss_(loss),
        options_(options),
        more_(more),
        bins_(bins),
        team_(team),
        result_(result),
        rows_(bins.rows),
        features_(bins.features) {
    for (std::size_t f = 0; f < features_; ++f) {
      used_.push_back(bins_.cuts.upper[f].size() + (bins_.has_missing[f] ? 1 : 0));
    }
    const double step = options_.max_leaf_step.value_or(loss_.link() == tree_link::exponential ? 0.7 : 0.0);
    largest_step_ = step > 0.0 ? step : std::numeric_limits<double>::infinity();
    for (const std::int8_t each : options_.monotone) monotone_ = monotone_ || each != 0;
    constrained_ = monotone_ || step > 0.0;
    refined_ = loss_.kind == tree_loss_kind::quantile;
    order_.resize(rows_);
    spare_.resize(rows_);
    if (team.size() > 1) second_.resize(rows_);
    gradient_.resize(rows_);
    if constexpr (!packed) hessian_.resize(rows_);
    cells_.reset(new cell[rows_]);
  }

  void run() {
    stop_watch watch;
    begin();
    result_.times.gradients += watch.lap();
    double best = std::numeric_limits<double>::infinity();
    std::size_t best_round = 0;
    const std::size_t old = result_.ensemble.trees.size();
    std::vector<tree_node> nodes;
    for (std::size_t round = 0; round < options_.rounds; ++round) {
      quantise(old + round);
      result_.times.gradients += watch.lap();
      const boosting_times before = result_.times;
      grow();
      const double growing = watch.lap();
      finish_margins();
      result_.ensemble.trees.push_back({std::move(tree_)});
      result_.train_metric.push_back(derive());
      if (more_.validation != nullptr) result_.validation_metric.push_back(validate());
      // What the growing of trees took beside its two parts is work on margins in the last level.
      result_.times.gradients +=
          growing - (result_.times.histograms - before.histograms) - (result_.times.partition - before.partition);
      result_.times.gradients += watch.lap();
      bool stop = false;
      if (options_.early_stopping_rounds > 0) {
        if (!std::isfinite(result_.validation_metric.back())) {
          refuse_boosting("the validation metric of round " + std::to_string(round + 1) + " is not a finite number");
        }
        if (result_.validation_metric.back() < best) {
          best = result_.validation_metric.back();
          best_round = round + 1;
        }
        stop = round + 1 - best_round >= options_.early_stopping_rounds;
      } else {
        best_round = round + 1;
      }
      result_.stopped_early = stop && round + 1 < options_.rounds;
      if (more_.progress) more_.progress("boosting", stop ? options_.rounds : round + 1, options_.rounds);
      if (stop) break;
    }
    result_.best_round = best_round;
    result_.ensemble.trees.resize(old + best_round);
  }

 private:
  static constexpr bool packed = std::is_same_v<Sums, packed_sums>;
  using node = growing_node<cell>;

  const tree_training_data& data_;
  const tree_loss& loss_;
  const boosting_options& options_;
  const boosting_inputs& more_;
  const binned_features& bins_;
  thread_team& team_;
  boosted_trees_fit& result_;
  std::size_t rows_, features_;
  std::vector<std::size_t> used_;  // per feature: bins, that of missing values included
  double largest_step_ = 0.0;
  bool monotone_ = false, constrained_ = false, refined_ = false;

  Sums sums_;
  std::vector<double> margin_, gradient_, hessian_;
  double sum_gradient_ = 0.0, sum_hessian_ = 0.0, sum_weight_ = 0.0;
  std::unique_ptr<cell[]> cells_;
  std::vector<std::uint32_t> order_, second_;  // rows, those of a node together and ascending
  std::vector<std::uint32_t> spare_;
  std::vector<double> validation_x_, validation_margin_;

  // The tree that grows.
  std::vector<tree_node> tree_;
  std::vector<node> grown_;
  std::vector<bool> applied_;  // its rows have their leaf's value
  std::size_t round_ = 0;
  std::vector<std::uint8_t> tree_columns_;  // drawn for the tree; empty: all
  std::vector<std::unique_ptr<cell[]>> histograms_;
  std::vector<cell*> free_;

  std::size_t histogram_cells() const { return (features_ + 7) / 8 * 8 * histogram_bins; }
  cell* take_histogram() {
    if (free_.empty()) {
      histograms_.emplace_back(new cell[histogram_cells()]());
      free_.push_back(histograms_.back().get());
    }
    cell* const taken = free_.back();
    free_.pop_back();
    return taken;
  }
  void give_back(node& from) {
    if (from.histogram != nullptr) free_.push_back(from.histogram);
    from.histogram = nullptr;
  }
  bool too_many_histograms() const {
    return (histograms_.size() - free_.size()) * histogram_cells() * sizeof(cell) > kept_histogram_bytes;
  }

  static void row_of(const feature_columns& x, std::size_t row, double* to) {
    for (std::size_t f = 0; f < x.features(); ++f) to[f] = static_cast<double>(x.at(row, f));
  }

  void begin() {
    const tree_ensemble& ensemble = result_.ensemble;
    const auto start = [&](const feature_columns& x, std::vector<double>& margin, std::vector<double>* keep) {
      margin.assign(x.rows(), ensemble.base);
      if (keep != nullptr) keep->resize(x.rows() * features_);
      std::vector<double> values(features_);
      if (keep == nullptr && ensemble.trees.empty()) return;
      for (std::size_t row = 0; row < x.rows(); ++row) {
        double* const at = keep == nullptr ? values.data() : keep->data() + row * features_;
        row_of(x, row, at);
        if (!ensemble.trees.empty()) margin[row] = ensemble.margin(at);
      }
    };
    start(data_.x, margin_, nullptr);
    if (more_.validation != nullptr) start(more_.validation->x, validation_margin_, &validation_x_);
    sum_weight_ = static_cast<double>(rows_);
    if (!data_.weights.empty()) sum_weight_ = std::accumulate(data_.weights.begin(), data_.weights.end(), 0.0);
    derive();
  }

  // Gradients and hessians of all rows at their margins, their sums, and the metric.
  double derive() {
    const std::size_t blocks = (rows_ + rows_per_block - 1) / rows_per_block;
    struct block_sums {
      double gradient = 0.0, hessian = 0.0, deviance = 0.0;
    };
    std::vector<block_sums> sums(blocks);
    loss_.visit([&](const auto& loss) {
      const double* const weights = data_.weights.empty() ? nullptr : data_.weights.data();
      const auto each = [&](std::size_t block, auto weighted) {
        constexpr std::size_t lanes = 8;
        std::array<double, lanes> g{}, h{}, d{};
        const auto row = [&](std::size_t i, std::size_t lane) RAFTER_INLINE_LAMBDA {
          const double m = margin_[i], y = data_.labels[i];
          const loss_derivatives at = loss.derivatives(m, y);
          const double w = decltype(weighted)::value ? weights[i] : 1.0;
          gradient_[i] = w * at.gradient;
          g[lane] += std::abs(w * at.gradient);
          d[lane] += w * loss.deviance(m, y);
          if constexpr (!packed) {
            hessian_[i] = w * at.hessian;
            h[lane] += w * at.hessian;
          }
        };
        const std::size_t end = std::min(rows_, (block + 1) * rows_per_block);
        std::size_t i = block * rows_per_block;
        for (; i + lanes <= end; i += lanes) {
          for (std::size_t lane = 0; lane < lanes; ++lane) row(i + lane, lane);
        }
        for (std::size_t lane = 0; i < end; ++i, ++lane) row(i, lane);
        for (std::size_t lane = 0; lane < lanes; ++lane) {
          sums[block].gradient += g[lane];
          sums[block].hessian += h[lane];
          sums[block].deviance += d[lane];
        }
      };
      team_.run(blocks, [&](std::size_t block) {
        if (weights == nullptr) {
          each(block, std::false_type{});
        } else {
          each(block, std::true_type{});
        }
      });
    });
    double deviance = 0.0;
    sum_gradient_ = sum_hessian_ = 0.0;
    for (const block_sums& block : sums) {
      sum_gradient_ += block.gradient;
      sum_hessian_ += block.hessian;
      deviance += block.deviance;
    }
    if (!std::isfinite(sum_gradient_) || !std::isfinite(sum_hessian_)) {
      throw solver_error("rafter: boosted_trees: round " + std::to_string(result_.train_metric.size()) +
                         ": the gradients are no longer finite (a smaller learning rate or max_leaf_step may help)");
    }
    return loss_.metric(deviance / sum_weight_);
  }

  void quantise(std::size_t round) {
    round_ = round;
    sums_.prepare(rows_, sum_gradient_, sum_hessian_);
    const Sums sums = sums_;
    const std::size_t blocks = (rows_ + rows_per_block - 1) / rows_per_block;
    std::vector<cell> total(blocks, cell{});
    team_.run(blocks, [&](std::size_t block) {
      const std::size_t begin = block * rows_per_block, end = std::min(rows_, begin + rows_per_block);
      for (std::size_t i = begin; i < end; ++i) {
        order_[i] = static_cast<std::uint32_t>(i);
        cells_[i] = sums.make(gradient_[i], packed ? 1.0 : hessian_[i]);
      }
      if (options_.subsample < 1.0) {
        seeded_numbers random(mixed_seed(options_.seed, 1, round, block));
        for (std::size_t i = begin; i < end; ++i) {
          if (random.uniform() >= options_.subsample) cells_[i] = cell{};
        }
      }
      cell sum{};
      for (std::size_t i = begin; i < end; ++i) sum += cells_[i];
      total[block] = sum;
    });
    node root;
    root.end = rows_;
    for (const cell& each : total) root.total += each;
    root.lower = -largest_step_;
    root.upper = largest_step_;
    grown_.clear();
    grown_.push_back(std::move(root));
  }

  const std::uint32_t* rows_of(const node& of) const { return (of.elsewhere ? second_ : order_).data(); }
  std::uint32_t* rows_of(const node& of) { return (of.elsewhere ? second_ : order_).data(); }

  // -- weights and gains ---------------------------------------------------------------------------------------------

  RAFTER_ALWAYS_INLINE double shrunk(double gradient) const {
    const double alpha = options_.alpha;
    return gradient > alpha ? gradient - alpha : gradient < -alpha ? gradient + alpha : 0.0;
  }
  RAFTER_ALWAYS_INLINE double weight(double g, double h, double lower, double upper) const {
    if (!(h > 0.0)) return 0.0;
    const double free = -shrunk(g) / (h + options_.lambda);
    return free < lower ? lower : free > upper ? upper : free;
  }
  // Twice what a leaf of this weight takes from the loss.
  RAFTER_ALWAYS_INLINE double gain_of(double g, double h, double w) const {
    return -(2.0 * g * w + (h + options_.lambda) * w * w + 2.0 * options_.alpha * std::abs(w));
  }
  double weight_of(const node& of) const {
    return weight(sums_.gradient(of.total), sums_.hessian(of.total), of.lower, of.upper);
  }
  double own_gain(const node& of) const {
    const double g = sums_.gradient(of.total), h = sums_.hessian(of.total);
    if (!(h > 0.0)) return 0.0;
    if (constrained_) return gain_of(g, h, weight(g, h, of.lower, of.upper));
    return shrunk(g) * shrunk(g) / (h + options_.lambda);
  }

  // The best split of a node by one feature, in place of `best` if it gains more.
  template <bool Constrained>
  RAFTER_HOT void search(const node& of, double own, std::size_t feature, const cell* histogram,
                         split_choice<cell>& best) const {
    const Sums sums = sums_;
    const std::size_t count = bins_.cuts.upper[feature].size();
    const bool missing = bins_.has_missing[feature] && !Sums::empty(histogram[count]);
    const double lambda = options_.lambda, enough = options_.min_child_weight;
    const bool no_alpha = options_.alpha == 0.0;
    const int direction = monotone_ ? options_.monotone[feature] : 0;
    const auto consider = [&](cell left, std::uint32_t bins_left, bool missing_left) RAFTER_INLINE_LAMBDA {
      const cell right = of.total - left;
      const double hl = sums.hessian(left), hr = sums.hessian(right);
      if (!(hl >= enough && hr >= enough && hl > 0.0 && hr > 0.0)) return;
      const double gl = sums.gradient(left), gr = sums.gradient(right);
      double gain = 0.0;
      if constexpr (Constrained) {
        const double wl = weight(gl, hl, of.lower, of.upper), wr = weight(gr, hr, of.lower, of.upper);
        if ((direction > 0 && wl > wr) || (direction < 0 && wl < wr)) return;
        gain = gain_of(gl, hl, wl) + gain_of(gr, hr, wr);
      } else if (no_alpha) {
        gain = gl * gl / (hl + lambda) + gr * gr / (hr + lambda);
      } else {
        const double tl = shrunk(gl), tr = shrunk(gr);
        gain = tl * tl / (hl + lambda) + tr * tr / (hr + lambda);
      }
      gain = comparable(gain - own);
      if (gain > best.gain) {
        best = {gain, static_cast<std::int32_t>(feature), bins_left, missing_left, left};
      }
    };
    cell sum{};
    // Without missing values the last cut separates nothing.
    const std::size_t cuts = missing ? count : count - 1;
    for (std::size_t b = 0; b < cuts; ++b) {
      if (Sums::empty(histogram[b])) continue;  // the same rows left as at the cut before
      sum += histogram[b];
      consider(sum, static_cast<std::uint32_t>(b + 1), false);
    }
    if (!missing) return;
    sum = cell{};
    for (std::size_t b = count; b-- > 0;) {
      if (Sums::empty(histogram[b])) continue;
      sum += histogram[b];
      consider(of.total - sum, static_cast<std::uint32_t>(b), true);
    }
  }

  // -- growing ---------------------------------------------------------------------------------------------------------

  bool may_split(const node& of) const {
    return (options_.max_depth == 0 || of.depth < options_.max_depth) && of.end - of.begin > 1;
  }
  bool splits(const node& of) const { return of.best.feature >= 0 && of.best.gain >= options_.gamma; }

  std::vector<std::uint8_t> drawn(const std::vector<std::uint8_t>& from, double fraction, std::uint64_t kind,
                                  std::uint64_t which) const {
    if (fraction >= 1.0) return from;
    std::vector<std::size_t> left;
    for (std::size_t f = 0; f < features_; ++f) {
      if (from.empty() || from[f] != 0) left.push_back(f);
    }
    const auto wanted =
        std::max<std::size_t>(1, static_cast<std::size_t>(fraction * static_cast<double>(left.size())));
    seeded_numbers random(mixed_seed(options_.seed, kind, round_, which));
    std::vector<std::uint8_t> chosen(features_);
    for (std::size_t i = 0; i < wanted; ++i) {
      std::swap(left[i], left[i + random.below(left.size() - i)]);
      chosen[left[i]] = 1;
    }
    return chosen;
  }

  // Which features a node may ask (XGBoost's interaction constraints: those above, and every set that holds these).
  void choose_features(std::size_t which) {
    node& of = grown_[which];
    of.usable =
        drawn(drawn(tree_columns_, options_.columns_per_level, 3, of.depth), options_.columns_per_node, 4, which);
    if (options_.interactions.empty() || of.path.empty()) return;
    std::vector<std::uint8_t> allowed(features_);
    for (const std::uint32_t f : of.path) allowed[f] = 1;
    for (const std::vector<std::size_t>& set : options_.interactions) {
      const bool holds = std::all_of(of.path.begin(), of.path.end(), [&](std::uint32_t f) {
        return std::find(set.begin(), set.end(), f) != set.end();
      });
      for (std::size_t i = 0; holds && i < set.size(); ++i) allowed[set[i]] = 1;
    }
    if (of.usable.empty()) {
      of.usable = std::move(allowed);
    } else {
      for (std::size_t f = 0; f < features_; ++f) of.usable[f] = of.usable[f] != 0 && allowed[f] != 0;
    }
  }

  // The histograms and best splits of the two children of a node, or of the root.
  struct family {
    node* parent = nullptr;  // nullptr: `small` is the root
    node* small = nullptr;
    node* large = nullptr;
    bool subtract = false;
  };
  void add_rows(const node& of, std::size_t begin, std::size_t end) const {
    for (std::size_t f = begin; f < end; ++f) {
      std::fill_n(of.histogram + f * histogram_bins, used_[f], cell{});
    }
    if ((end - begin) % 2 != 0) of.histogram[end * histogram_bins] = cell{};  // where the padding of a row is added
    add_to_histogram(bins_.by_row.data() + begin, bins_.stride, cells_.get(), rows_of(of) + of.begin,
                     of.end - of.begin, end - begin, of.histogram + begin * histogram_bins);
  }
  void search_block(const node& of, double own, std::size_t begin, std::size_t end, const family& members,
                    bool is_large, split_choice<cell>& best) const {
    for (std::size_t f = begin; f < end; ++f) {
      if (used_[f] < 2) continue;
      cell* const at = of.histogram + f * histogram_bins;
      if (is_large && members.subtract) {
        const cell* const minus = members.small->histogram + f * histogram_bins;
        for (std::size_t b = 0; b < used_[f]; ++b) at[b] -= minus[b];
      }
      if (!of.usable.empty() && of.usable[f] == 0) continue;
      if (constrained_) {
        search<true>(of, own, f, at, best);
      } else {
        search<false>(of, own, f, at, best);
      }
    }
  }
  void find_splits(std::vector<family>& families) {
    constexpr std::size_t at_once = 64;
    for (std::size_t first = 0; first < families.size(); first += at_once) {
      const std::size_t count = std::min(at_once, families.size() - first);
      for (std::size_t i = first; i < first + count; ++i) {
        family& each = families[i];
        each.small->histogram = take_histogram();
        if (each.large == nullptr) continue;
        each.subtract = each.parent->histogram != nullptr;
        each.large->histogram = each.subtract ? std::exchange(each.parent->histogram, nullptr) : take_histogram();
      }
      // Wide blocks read each row once; narrow ones give every thread something to do.
      std::size_t width = 32;
      if (team_.size() > 1 && count < 2 * team_.size()) {
        width = std::clamp<std::size_t>((features_ + team_.size() - 1) / team_.size(), 1, 32);
        width = (width + 7) / 8 * 8;
      }
      const std::size_t blocks = (features_ + width - 1) / width;
      std::vector<std::array<split_choice<cell>, 2>> found(count * blocks);
      team_.run(count * blocks, [&](std::size_t task) {
        const family& each = families[first + task / blocks];
        const std::size_t begin = task % blocks * width, end = std::min(features_, begin + width);
        found[task][0].gain = found[task][1].gain = options_.least_gain;
        add_rows(*each.small, begin, end);
        if (each.large != nullptr) {
          if (!each.subtract) add_rows(*each.large, begin, end);
          search_block(*each.large, own_gain(*each.large), begin, end, each, true, found[task][1]);
        }
        search_block(*each.small, own_gain(*each.small), begin, end, each, false, found[task][0]);
      });
      for (std::size_t i = 0; i < count; ++i) {
        const family& each = families[first + i];
        for (const std::size_t which : {std::size_t{0}, std::size_t{1}}) {
          node* const member = which == 0 ? each.small : each.large;
          if (member == nullptr) continue;
          member->best = found[i * blocks][which];
          for (std::size_t b = 1; b < blocks; ++b) {
            const split_choice<cell>& other = found[i * blocks + b][which];
            if (other.gain > member->best.gain) member->best = other;
          }
          // Kept only for what will be split and whose children will be.
          const bool last = options_.max_depth != 0 && member->depth + 1 >= options_.max_depth;
          if (!splits(*member) || last || too_many_histograms()) give_back(*member);
        }
      }
    }
  }

  struct split_test {
    const std::uint8_t* bins;
    std::uint32_t bins_left, none;
    bool missing_left;
    RAFTER_ALWAYS_INLINE bool operator()(std::uint32_t row) const {
      const std::uint32_t bin = bins[row];
      return static_cast<unsigned>(bin < bins_left) | (static_cast<unsigned>(bin == none) & missing_left);
    }
  };
  split_test test_of(const node& of) const {
    const auto f = static_cast<std::size_t>(of.best.feature);
    return {bins_.by_column.data() + f * rows_, of.best.bins_left,
            static_cast<std::uint32_t>(bins_.cuts.upper[f].size()), of.best.missing_left};
  }

  // The rows [begin, end) that go left to `left`, the others to `right`, each in their order; how many go left.
  // `left` may be where the rows are.
  RAFTER_HOT static std::size_t part(const split_test& test, const std::uint32_t* rows, std::size_t count,
                                     std::uint32_t* left, std::uint32_t* right) {
    std::size_t l = 0, r = 0;
    for (std::size_t i = 0; i < count; ++i) {
      const std::uint32_t row = rows[i];
      const bool goes_left = test(row);
      left[l] = row;
      right[r] = row;
      l += goes_left ? 1 : 0;
      r += goes_left ? 0 : 1;
    }
    return l;
  }

  void partition(const std::vector<std::size_t>& batch) {
    struct piece {
      std::size_t which, begin, end, left = 0;
      bool whole = false;
    };
    std::vector<piece> pieces;
    for (const std::size_t which : batch) {
      const node& of = grown_[which];
      const bool whole = team_.size() == 1 || of.end - of.begin <= rows_per_task;
      const std::size_t step = whole ? of.end - of.begin : rows_per_task;
      for (std::size_t at = of.begin; at < of.end; at += step) {
        pieces.push_back({which, at, std::min(of.end, at + step), 0, whole});
      }
    }
    team_.run(pieces.size(), [&](std::size_t i) {
      piece& one = pieces[i];
      const std::size_t count = one.end - one.begin;
      std::uint32_t* const rows = rows_of(grown_[one.which]) + one.begin;
      std::uint32_t* const spare = spare_.data() + one.begin;
      one.left = part(test_of(grown_[one.which]), rows, count, rows, spare);
      if (one.whole) std::copy_n(spare, count - one.left, rows + one.left);
    });
    // Nodes of several pieces: what went left and right, piece after piece, into the other list.
    struct copy {
      const std::uint32_t* from;
      std::size_t count;
      std::uint32_t* to;
    };
    std::vector<copy> copies;
    for (std::size_t i = 0; i < pieces.size();) {
      std::size_t end = i + 1;
      while (end < pieces.size() && pieces[end].which == pieces[i].which) ++end;
      std::size_t left = 0;
      for (std::size_t k = i; k < end; ++k) left += pieces[k].left;
      const node& of = grown_[pieces[i].which];
      node& child = grown_[static_cast<std::size_t>(of.left)];
      node& other = grown_[static_cast<std::size_t>(of.left) + 1];
      child.begin = of.begin;
      child.end = other.begin = of.begin + left;
      other.end = of.end;
      child.elsewhere = other.elsewhere = of.elsewhere != !pieces[i].whole;
      if (!pieces[i].whole) {
        std::uint32_t* to_left = rows_of(child) + child.begin;
        std::uint32_t* to_right = rows_of(other) + other.begin;
        for (std::size_t k = i; k < end; ++k) {
          const piece& one = pieces[k];
          const std::size_t rest = one.end - one.begin - one.left;
          copies.push_back({rows_of(of) + one.begin, one.left, to_left});
          copies.push_back({spare_.data() + one.begin, rest, to_right});
          to_left += one.left;
          to_right += rest;
        }
      }
      i = end;
    }
    team_.run(copies.size(), [&](std::size_t i) { std::copy_n(copies[i].from, copies[i].count, copies[i].to); });
  }

  // For each block of rows and each node: visit(node's number, first, last of its rows within the block). By blocks and
  // not by nodes, because threads that write to rows next to each other's are slow.
  template <class Visit> void for_rows_of(const std::vector<std::size_t>& nodes, const Visit& visit) {
    team_.run((rows_ + rows_per_task - 1) / rows_per_task, [&](std::size_t block) {
      const auto low = static_cast<std::uint32_t>(block * rows_per_task);
      const auto high = static_cast<std::uint32_t>(std::min(rows_, (block + 1) * rows_per_task));
      for (const std::size_t which : nodes) {
        const node& of = grown_[which];
        const std::uint32_t* const rows = rows_of(of);
        const std::uint32_t* const first = std::lower_bound(rows + of.begin, rows + of.end, low);
        visit(which, first, std::lower_bound(first, rows + of.end, high));
      }
    });
  }

  // Instead of a partition where the children are leaves and nothing else is asked of their rows.
  void apply_leaves(const std::vector<std::size_t>& batch) {
    for_rows_of(batch, [&](std::size_t which, const std::uint32_t* first, const std::uint32_t* last) {
      const node& of = grown_[which];
      const split_test test = test_of(of);
      const auto child = static_cast<std::size_t>(of.left);
      const std::array<double, 2> value{static_cast<double>(tree_[child + 1].value),
                                        static_cast<double>(tree_[child].value)};
      for (const std::uint32_t* row = first; row != last; ++row) margin_[*row] += value[test(*row) ? 1 : 0];
    });
    for (const std::size_t which : batch) {
      const auto child = static_cast<std::size_t>(grown_[which].left);
      applied_[child] = applied_[child + 1] = true;
    }
  }

  void set_leaf(std::size_t which, double value) {
    tree_node& to = tree_[which];
    to = {};
    to.value = static_cast<float>(options_.learning_rate * value);
    to.cover = sums_.hessian(grown_[which].total);
  }

  void split(std::size_t which) {
    const std::size_t child = tree_.size();
    grown_.resize(child + 2);
    tree_.resize(child + 2);
    applied_.resize(child + 2);
    node& of = grown_[which];
    node& left = grown_[child];
    node& right = grown_[child + 1];
    of.left = static_cast<std::int32_t>(child);
    const auto f = static_cast<std::size_t>(of.best.feature);
    left.total = of.best.left;
    right.total = of.total - of.best.left;
    left.depth = right.depth = of.depth + 1;
    left.lower = right.lower = of.lower;
    left.upper = right.upper = of.upper;
    if (monotone_ && options_.monotone[f] != 0) {
      const double middle = 0.5 * (weight_of(left) + weight_of(right));
      (options_.monotone[f] > 0 ? left.upper : left.lower) = middle;
      (options_.monotone[f] > 0 ? right.lower : right.upper) = middle;
    }
    if (!options_.interactions.empty()) {
      left.path = of.path;
      left.path.push_back(static_cast<std::uint32_t>(f));
      right.path = left.path;
    }
    tree_node& made = tree_[which];
    made.left = of.left;
    made.right = of.left + 1;
    made.feature = of.best.feature;
    made.threshold = of.best.bins_left == 0 ? bins_.below[f] : bins_.cuts.upper[f][of.best.bins_left - 1];
    made.value = 0.0F;
    made.missing_left = of.best.missing_left;
    made.gain = of.best.gain;
    made.cover = sums_.hessian(of.total);
    set_leaf(child, weight_of(left));
    set_leaf(child + 1, weight_of(right));
  }

  // Splits the nodes of a batch, and finds the splits of their children.
  void expand(const std::vector<std::size_t>& batch) {
    stop_watch watch;
    for (const std::size_t which : batch) split(which);
    const bool last = options_.max_depth != 0 && grown_[batch.front()].depth + 1 >= options_.max_depth;
    if (last && !refined_) {
      for (const std::size_t which : batch) give_back(grown_[which]);
      apply_leaves(batch);
      result_.times.partition += watch.lap();
      return;
    }
    partition(batch);
    result_.times.partition += watch.lap();
    if (!last) {
      std::vector<family> families;
      for (const std::size_t which : batch) {
        const auto child = static_cast<std::size_t>(grown_[which].left);
        choose_features(child);
        choose_features(child + 1);
        node& left = grown_[child];
        node& right = grown_[child + 1];
        const bool left_small = left.end - left.begin <= right.end - right.begin;
        families.push_back({&grown_[which], left_small ? &left : &right, left_small ? &right : &left, false});
      }
      find_splits(families);
    }
    for (const std::size_t which : batch) give_back(grown_[which]);
    result_.times.histograms += watch.lap();
  }

  void grow() {
    stop_watch watch;
    tree_.assign(1, {});
    applied_.assign(1, false);
    tree_columns_ = drawn({}, options_.columns_per_tree, 2, 0);
    set_leaf(0, weight_of(grown_[0]));
    if (!may_split(grown_[0]) || options_.max_leaves == 1) return;
    choose_features(0);
    std::vector<family> first{{nullptr, grown_.data(), nullptr, false}};
    find_splits(first);
    result_.times.histograms += watch.lap();
    std::size_t leaves = 1;
    const auto room = [&] { return options_.max_leaves == 0 || leaves < options_.max_leaves; };
    std::vector<std::size_t> open{0};
    while (!open.empty() && room()) {
      std::vector<std::size_t> batch, later;
      if (options_.growth == tree_growth::depth_wise) {
        for (const std::size_t which : open) {
          if (!splits(grown_[which])) continue;
          if (!room()) break;
          batch.push_back(which);
          ++leaves;
        }
        open.clear();
      } else {
        std::size_t best = open.size();
        for (std::size_t i = 0; i < open.size(); ++i) {
          if (!splits(grown_[open[i]])) continue;
          if (best == open.size() || grown_[open[i]].best.gain > grown_[open[best]].best.gain) best = i;
        }
        if (best == open.size()) break;
        batch.push_back(open[best]);
        open.erase(open.begin() + static_cast<std::ptrdiff_t>(best));
        ++leaves;
      }
      if (batch.empty()) break;
      expand(batch);
      for (const std::size_t which : batch) {
        const auto child = static_cast<std::size_t>(grown_[which].left);
        for (const std::size_t each : {child, child + 1}) {
          if (may_split(grown_[each])) open.push_back(each);
        }
      }
    }
    for (node& each : grown_) give_back(each);
  }

  // -- leaves and margins ------------------------------------------------------------------------------------------------

  double lacking(const node& of) const {
    std::vector<weighted_value> sample;
    sample.reserve(of.end - of.begin);
    for (std::size_t k = of.begin; k < of.end; ++k) {
      const std::uint32_t row = rows_of(of)[k];
      const double w = data_.weights.empty() ? 1.0 : data_.weights[row];
      if (!Sums::empty(cells_[row]) && w > 0.0) sample.push_back({data_.labels[row] - margin_[row], w});
    }
    return weighted_quantile(sample, loss_.parameter);
  }
  // Leaves at the quantile of what their rows lack. Monotone: the value of each node bounds those on its other side,
  // as the weights do while the tree grows.
  void refine(std::size_t which, double lower, double upper) {
    const node& of = grown_[which];
    const auto within = [&](double value) { return value < lower ? lower : value > upper ? upper : value; };
    if (tree_[which].leaf()) {
      set_leaf(which, within(lacking(of)));
      return;
    }
    const auto child = static_cast<std::size_t>(of.left);
    const int direction = monotone_ ? options_.monotone[static_cast<std::size_t>(tree_[which].feature)] : 0;
    if (direction == 0) {
      refine(child, lower, upper);
      refine(child + 1, lower, upper);
      return;
    }
    const double middle = 0.5 * (within(lacking(grown_[child])) + within(lacking(grown_[child + 1])));
    refine(child, direction > 0 ? lower : middle, direction > 0 ? middle : upper);
    refine(child + 1, direction > 0 ? middle : lower, direction > 0 ? upper : middle);
  }

  void finish_margins() {
    if (refined_) refine(0, -largest_step_, largest_step_);
    std::vector<std::size_t> leaves;
    for (std::size_t which = 0; which < tree_.size(); ++which) {
      if (tree_[which].leaf() && !applied_[which]) leaves.push_back(which);
    }
    for_rows_of(leaves, [&](std::size_t which, const std::uint32_t* first, const std::uint32_t* last) {
      const auto value = static_cast<double>(tree_[which].value);
      for (const std::uint32_t* row = first; row != last; ++row) margin_[*row] += value;
    });
  }

  double validate() {
    const tree_training_data& held = *more_.validation;
    const regression_tree& tree = result_.ensemble.trees.back();
    const std::size_t count = held.x.rows();
    team_.run((count + rows_per_block - 1) / rows_per_block, [&](std::size_t block) {
      for (std::size_t row = block * rows_per_block; row < std::min(count, (block + 1) * rows_per_block); ++row) {
        const std::size_t leaf = tree.leaf_of(validation_x_.data() + row * features_);
        validation_margin_[row] += static_cast<double>(tree.nodes[leaf].value);
      }
    });
    double sum = 0.0, total = 0.0;
    loss_.visit([&](const auto& loss) {
      for (std::size_t row = 0; row < count; ++row) {
        const double w = held.weights.empty() ? 1.0 : held.weights[row];
        sum += w * loss.deviance(validation_margin_[row], held.labels[row]);
        total += w;
      }
    });
    return loss_.metric(sum / total);
  }
};

RAFTER_COLD_FUNCTION void check_options(const boosting_options& o, std::size_t features) {
  if (o.threads > 1024) refuse_boosting("threads " + std::to_string(o.threads) + ", must be at most 1024");
  const auto at_least = [](const char* name, double value, bool good, const char* must) {
    if (!good || !std::isfinite(value)) {
      refuse_boosting(std::string(name) + " " + number_text(value) + ", must be " + must);
    }
  };
  at_least("learning_rate", o.learning_rate, o.learning_rate > 0.0, "positive");
  at_least("lambda", o.lambda, o.lambda >= 0.0, "0 or more");
  at_least("alpha", o.alpha, o.alpha >= 0.0, "0 or more");
  at_least("gamma", o.gamma, o.gamma >= 0.0, "0 or more");
  at_least("least_gain", o.least_gain, o.least_gain >= 0.0, "0 or more");
  at_least("min_child_weight", o.min_child_weight, o.min_child_weight >= 0.0, "0 or more");
  at_least("subsample", o.subsample, o.subsample > 0.0 && o.subsample <= 1.0, "above 0 and at most 1");
  const auto fraction = [&](const char* name, double value) {
    at_least(name, value, value > 0.0 && value <= 1.0, "above 0 and at most 1");
  };
  fraction("columns_per_tree", o.columns_per_tree);
  fraction("columns_per_level", o.columns_per_level);
  fraction("columns_per_node", o.columns_per_node);
  if (o.max_leaf_step) at_least("max_leaf_step", *o.max_leaf_step, *o.max_leaf_step >= 0.0, "0 or more");
  if (o.max_bins < 2 || o.max_bins > binned_features::most_bins) {
    refuse_boosting("max_bins " + std::to_string(o.max_bins) + ", must be 2 to 256");
  }
  if (!o.monotone.empty() && o.monotone.size() != features) {
    refuse_boosting("monotone has " + std::to_string(o.monotone.size()) + " entries for " + std::to_string(features) +
                    " features");
  }
  for (std::size_t f = 0; f < o.monotone.size(); ++f) {
    if (o.monotone[f] < -1 || o.monotone[f] > 1) {
      refuse_boosting("monotone of feature " + std::to_string(f) + " is " + std::to_string(o.monotone[f]) +
                      ", must be -1, 0 or 1");
    }
  }
  for (std::size_t s = 0; s < o.interactions.size(); ++s) {
    for (const std::size_t f : o.interactions[s]) {
      if (f >= features) {
        refuse_boosting("interactions: set " + std::to_string(s) + " names feature " + std::to_string(f) + " of " +
                        std::to_string(features));
      }
    }
  }
}

RAFTER_COLD_FUNCTION void check_data(const tree_training_data& data, const tree_loss& loss,
                                     const std::string& which) {
  const std::size_t rows = data.x.rows();
  if (rows == 0) refuse_boosting(which + "no rows");
  if (rows > 0x7fffffff) refuse_boosting(which + std::to_string(rows) + " rows, at most 2147483647");
  if (data.x.features() == 0) refuse_boosting(which + "no features");
  if (data.labels.size() != rows) {
    refuse_boosting(which + std::to_string(data.labels.size()) + " labels for " + std::to_string(rows) + " rows");
  }
  if (!data.weights.empty() && data.weights.size() != rows) {
    refuse_boosting(which + std::to_string(data.weights.size()) + " weights for " + std::to_string(rows) + " rows");
  }
  if (!data.names.empty() && data.names.size() != data.x.features()) {
    refuse_boosting(which + std::to_string(data.names.size()) + " names for " + std::to_string(data.x.features()) +
                    " features");
  }
  loss.check(data.labels, which + "label");
  double total = 0.0;
  for (std::size_t row = 0; row < data.weights.size(); ++row) {
    const double w = data.weights[row];
    if (!(w >= 0.0 && w <= 1e30)) {
      refuse_boosting(which + "weight " + number_text(w) + " of row " + std::to_string(row) +
                      ", must be a finite number, 0 or more (up to 1e30)");
    }
    total += w;
  }
  if (!data.weights.empty() && !(total > 0.0)) refuse_boosting(which + "all weights are 0");
}

}  // namespace rafter::detail

namespace rafter {

RAFTER_NUMERICS_FUNCTION boosted_trees_fit fit_boosted_trees(const tree_training_data& data, const tree_loss& loss,
                                                             const boosting_options& options,
                                                             const boosting_inputs& more) {
  using detail::refuse_boosting;
  const std::size_t features = data.x.features();
  detail::check_data(data, loss, "");
  detail::check_options(options, features);
  if (more.validation != nullptr) {
    detail::check_data(*more.validation, loss, "validation: ");
    if (more.validation->x.features() != features) {
      refuse_boosting("validation: " + std::to_string(more.validation->x.features()) +
                      " features, the training data have " + std::to_string(features));
    }
    for (std::size_t f = 0; f < features; ++f) {
      for (std::size_t row = 0; row < more.validation->x.rows(); ++row) {
        if (std::isinf(more.validation->x.at(row, f))) {
          refuse_boosting("validation: " + detail::feature_text(f, data.names) + ", row " + std::to_string(row) +
                          ": not a finite number as float");
        }
      }
    }
  } else if (options.early_stopping_rounds > 0) {
    refuse_boosting("early_stopping_rounds without validation data");
  }

  boosted_trees_fit result;
  result.metric = loss.metric_name();
  result.ensemble.features = features;
  result.ensemble.link = loss.link();
  result.ensemble.feature_names = data.names;
  if (more.start != nullptr) {
    more.start->check();
    if (more.start->features != features) {
      refuse_boosting("start: an ensemble of " + std::to_string(more.start->features) + " features for " +
                      std::to_string(features));
    }
    if (more.start->link != loss.link()) refuse_boosting("start: an ensemble with another link than " + loss.name());
    if (options.base_score) refuse_boosting("base_score beside an ensemble to start from, which has its own");
    result.ensemble = *more.start;
  } else if (options.base_score) {
    const bool logarithm = loss.link() == tree_link::exponential;
    const double score = *options.base_score;
    if (!(std::abs(score) <= 1e30) || (logarithm && !(score > 0.0))) {
      refuse_boosting("base_score " + detail::number_text(score) +
                      (logarithm ? ", must be positive and finite" : ", must be a finite number (up to 1e30)"));
    }
    result.ensemble.base = logarithm ? rafter::log(score) : score;
  } else {
    result.ensemble.base = loss.base_margin(data.labels, data.weights);
  }

  detail::thread_team team(options.threads);
  detail::stop_watch watch;
  const binned_features bins = detail::bin_features(
      data.x,
      more.cuts != nullptr ? *more.cuts
                           : detail::find_tree_cuts(data.x, data.weights, options.max_bins, team, data.names),
      team, data.names);
  result.times.binning = watch.lap();
  if (loss.unit_hessian() && data.weights.empty() && data.x.rows() <= detail::most_packed_rows) {
    detail::tree_trainer<detail::packed_sums>(data, loss, options, more, bins, team, result).run();
  } else {
    detail::tree_trainer<detail::paired_sums>(data, loss, options, more, bins, team, result).run();
  }
  return result;
}

}  // namespace rafter
