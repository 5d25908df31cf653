// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// opt-in: for those who want intervals; part of rafter/evaluation/uncertainty/conformal.hpp.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rafter/config.hpp"
#include "rafter/core/math.hpp"
#include "rafter/metrics/conformal_quantile.hpp"

/// How intervals are made of out-of-fold predictions, whatever the predictor and the schema.
namespace rafter {

/// What a predictor says of rows: a time, and a band. The band of a predictor of one time is that time; the band of a
/// quantile predictor, its lowest and highest level.
struct prediction_bands {
  std::vector<double> predicted, lower, upper;  ///< [s]
  std::size_t size() const { return predicted.size(); }
};

/// Every row's cell of a partition: an index into `names`.
struct row_cells {
  std::vector<std::string> names;
  std::vector<std::uint32_t> codes;
};

/// Which errors a quantile is of. Both on logarithms, so that an interval is a factor either way.
enum class interval_sides : std::uint8_t {
  symmetric,  ///< max(log(lower / a), log(a / upper)): the same factor below and above; of one time |log(a / p)|
  two_sided   ///< each side by itself, at half of alpha: for errors that lean to one side
};
/// What is said of a cell with too few rows (or groups) for the level.
enum class small_cells : std::uint8_t {
  infinite,          ///< the truth: nothing is known
  pooled_when_small  ///< the quantile of all cells together, which findings() tells; its guarantee is not the cell's
};

/// How out-of-fold errors become intervals.
struct interval_method {
  conformal_rule rule = conformal_rule::pooled_cdfs;
  interval_sides sides = interval_sides::symmetric;
  small_cells small = small_cells::infinite;

  std::string text() const {
    std::string made(name_of(rule));
    if (sides == interval_sides::two_sided) made += ", two-sided";
    if (small == small_cells::pooled_when_small) made += ", pooled when small";
    return made;
  }
};

/// Out-of-fold rows that a method learns from. `groups` are any codes, `cells` and `spread_cells` indices into the
/// names that go with them, `scale` is given; each is one a row, or empty: one group (then only `pooled` can work), one cell, no spread, scale 1.
struct calibration_rows {
  std::vector<double> actual;  ///< [s], positive
  prediction_bands bands;      ///< positive
  std::vector<std::uint32_t> groups, cells, spread_cells;
  std::vector<double> scale;
};

/// Limits of one time [s].
struct time_limits {
  double lower = 0.0;
  double upper = std::numeric_limits<double>::infinity();
};

/// The quantiles of a method, for each cell and level: what an interval is looked up in.
class interval_calibration {
 public:
  /// Of no rows: knows nothing.
  interval_calibration() = default;

  /// @param cells, spread_cells  names; empty when rows carry no such codes. What is fitted of the spread cells is the
  ///        mean over groups of the group's mean |log(a / p)| there
  RAFTER_COLD interval_calibration(const interval_method& method, std::vector<double> levels,
                                   std::vector<std::string> cells, std::vector<std::string> spread_cells,
                                   const calibration_rows& rows)
      : method_(method), levels_(std::move(levels)), cells_(std::move(cells)), rows_in_all_(rows.actual.size()) {
    if (cells_.empty()) cells_.emplace_back("all rows");
    spread_names_ = std::move(spread_cells);
    const std::size_t count = rows.actual.size();
    fit_spreads(rows);
    std::vector<double> below(count), above(count);
    for (std::size_t i = 0; i < count; ++i) {
      const double scale =
          (rows.scale.empty() ? 1.0 : rows.scale[i]) * spread(rows.spread_cells.empty() ? 0 : rows.spread_cells[i]);
      const double actual = rafter::log(rows.actual[i]);
      below[i] = (rafter::log(rows.bands.lower[i]) - actual) / scale;
      above[i] = (actual - rafter::log(rows.bands.upper[i])) / scale;
      if (method_.sides == interval_sides::symmetric) below[i] = above[i] = std::max(below[i], above[i]);
    }
    quantiles_.resize(cells_.size() * levels_.size());
    std::vector<std::size_t> all(count);
    for (std::size_t i = 0; i < count; ++i) all[i] = i;
    for (std::size_t cell = 0; cell < cells_.size(); ++cell) {
      std::vector<std::size_t> own;
      for (const std::size_t i : all) {
        if (rows.cells.empty() || rows.cells[i] == cell) own.push_back(i);
      }
      rows_.push_back(own.size());
      groups_.push_back(fill(rows, own, below, above, cell));
    }
    if (method_.small == small_cells::pooled_when_small && cells_.size() > 1) {
      const std::vector<pair> of_cells = quantiles_;
      fill(rows, all, below, above, 0);
      const std::vector<pair> of_all(quantiles_.begin(),
                                     quantiles_.begin() + static_cast<std::ptrdiff_t>(levels_.size()));
      quantiles_ = of_cells;
      for (std::size_t i = 0; i < quantiles_.size(); ++i) {
        const pair& pooled = of_all[i % levels_.size()];
        pair& own = quantiles_[i];
        if (!std::isinf(own.below) && !std::isinf(own.above)) continue;
        if (std::isinf(pooled.below) || std::isinf(pooled.above)) continue;
        own = {pooled.below, pooled.above, true};
      }
    }
  }

  const interval_method& method() const { return method_; }
  const std::vector<double>& levels() const { return levels_; }
  const std::vector<std::string>& cells() const { return cells_; }
  const std::vector<std::string>& spread_cells() const { return spread_names_; }
  std::size_t rows() const { return rows_in_all_; }
  std::size_t rows_in(std::size_t cell) const { return rows_[cell]; }
  std::size_t groups_in(std::size_t cell) const { return groups_[cell]; }
  /// How far below the band's lower limit, and above its upper one, the interval ends, in logarithms (of the scale).
  double below(std::size_t cell, std::size_t level) const { return at(cell, level).below; }
  double above(std::size_t cell, std::size_t level) const { return at(cell, level).above; }
  /// Is this the quantile of all cells, because the cell has too few rows?
  bool pooled(std::size_t cell, std::size_t level) const { return at(cell, level).pooled; }
  /// The fitted spread of a spread cell: 1 where none is fitted, NaN where no row was calibrated.
  double spread(std::size_t cell) const {
    if (spread_names_.empty()) return 1.0;
    return cell < spreads_.size() ? spreads_[cell] : std::numeric_limits<double>::quiet_NaN();
  }

  /// @returns levels().size() when there is no such level
  std::size_t level_index(double level) const {
    std::size_t at = 0;
    while (at < levels_.size() && !(std::abs(levels_[at] - level) < 1e-9)) ++at;
    return at;
  }

  /// The interval of a new row: no allocation, no exception. [0, ∞] where nothing is known: an unknown level or cell, a
  /// quantile that is infinite, a scale that is not a positive number. [NaN, NaN] where the band is not positive numbers.
  /// An interval that a negative quantile would turn inside out is the band's middle alone.
  time_limits limits(double lower, double upper, double scale, std::size_t cell, std::size_t level) const {
    constexpr double nan = std::numeric_limits<double>::quiet_NaN();
    if (!(lower > 0.0 && upper >= lower && upper < std::numeric_limits<double>::infinity())) return {nan, nan};
    if (cell >= cells_.size() || level >= levels_.size() || !(scale > 0.0)) return {};
    const pair& q = at(cell, level);
    time_limits made;
    if (std::isfinite(q.below)) made.lower = q.below == 0.0 ? lower : lower * rafter::exp(-q.below * scale);
    if (std::isfinite(q.above)) made.upper = q.above == 0.0 ? upper : upper * rafter::exp(q.above * scale);
    if (!(made.lower <= made.upper)) made.lower = made.upper = std::sqrt(lower) * std::sqrt(upper);
    return made;
  }

  /// What a reader should know: cells without intervals at a level, and those that borrow.
  /// @param counts  with the rows and groups of each such cell
  RAFTER_COLD std::vector<std::string> findings(bool counts = true) const {
    std::vector<std::string> lines;
    for (std::size_t level = 0; level < levels_.size(); ++level) {
      std::string open, borrowed, few;
      for (std::size_t cell = 0; cell < cells_.size(); ++cell) {
        const bool known = std::isfinite(below(cell, level)) && std::isfinite(above(cell, level));
        const bool unsure = method_.rule == conformal_rule::pooled_cdfs &&
                            static_cast<double>(groups_[cell]) * (1.0 - levels_[level]) < 1.0 - 1e-9;
        if (known && !pooled(cell, level) && !unsure) continue;
        std::string& list = pooled(cell, level) ? borrowed : known ? few : open;
        list += (list.empty() ? "" : ", ") + cells_[cell];
        if (!counts) continue;
        list += " (" + std::to_string(rows_[cell]) + " rows, " + std::to_string(groups_[cell]) +
                (groups_[cell] == 1 ? " group)" : " groups)");
      }
      const std::string at = percent(levels_[level]) + " intervals: ";
      if (!few.empty())
        lines.push_back(at + "by fewer groups than 1 / alpha, coverage may be off by as much: " + few);
      if (!open.empty()) lines.push_back(at + "infinite, too little to calibrate with: " + open);
      if (!borrowed.empty())
        lines.push_back(at + "those of all cells together, its own rows being too few: " + borrowed);
    }
    return lines;
  }

 private:
  struct pair {
    double below = 0.0, above = 0.0;
    bool pooled = false;
  };
  interval_method method_;
  std::vector<double> levels_;
  std::vector<std::string> cells_, spread_names_;
  std::vector<double> spreads_;
  std::vector<pair> quantiles_;  // cell by cell
  std::vector<std::size_t> rows_, groups_;
  std::size_t rows_in_all_ = 0;

  const pair& at(std::size_t cell, std::size_t level) const { return quantiles_[cell * levels_.size() + level]; }
  static std::string percent(double level) {
    std::string text = std::to_string(100.0 * level);
    text.erase(text.find_last_not_of('0') + 1);
    if (text.back() == '.') text.pop_back();
    return text + " %";
  }

  void fit_spreads(const calibration_rows& rows) {
    if (spread_names_.empty()) return;
    const detail::dense_groups dense = detail::dense_groups_of(rows.groups);
    const std::size_t groups = std::max<std::size_t>(dense.count, 1);
    std::vector<double> sums(spread_names_.size() * groups, 0.0);
    std::vector<std::size_t> counts(sums.size(), 0);
    for (std::size_t i = 0; i < rows.actual.size(); ++i) {
      const std::size_t place = rows.spread_cells[i] * groups + (rows.groups.empty() ? 0 : dense.of_row[i]);
      sums[place] += std::abs(rafter::log(rows.bands.predicted[i]) - rafter::log(rows.actual[i])) /
                     (rows.scale.empty() ? 1.0 : rows.scale[i]);
      ++counts[place];
    }
    for (std::size_t cell = 0; cell < spread_names_.size(); ++cell) {
      double total = 0.0;
      std::size_t present = 0;
      for (std::size_t place = cell * groups; place < (cell + 1) * groups; ++place) {
        if (counts[place] > 0) total += sums[place] / static_cast<double>(counts[place]), ++present;
      }
      const double mean = total / static_cast<double>(present);  // NaN of none
      spreads_.push_back(present > 0 && mean == 0.0 ? std::numeric_limits<double>::min() : mean);
    }
  }

  /// Quantiles of some rows, into a cell's places. @returns the number of groups among them
  std::size_t fill(const calibration_rows& rows, const std::vector<std::size_t>& own,
                   const std::vector<double>& below, const std::vector<double>& above, std::size_t cell) {
    std::vector<double> low, high;
    std::vector<std::uint32_t> groups;
    for (const std::size_t i : own) {
      low.push_back(below[i]), high.push_back(above[i]);
      groups.push_back(rows.groups.empty() ? 0U : rows.groups[i]);
    }
    const bool symmetric = method_.sides == interval_sides::symmetric;
    for (std::size_t level = 0; level < levels_.size(); ++level) {
      const double alpha = (1.0 - levels_[level]) / (symmetric ? 1.0 : 2.0);
      pair& found = quantiles_[cell * levels_.size() + level];
      found.above = conformal_quantile(method_.rule, high, groups, alpha);
      found.below = symmetric ? found.above : conformal_quantile(method_.rule, low, groups, alpha);
    }
    std::sort(groups.begin(), groups.end());
    return static_cast<std::size_t>(std::unique(groups.begin(), groups.end()) - groups.begin());
  }
};

}  // namespace rafter
