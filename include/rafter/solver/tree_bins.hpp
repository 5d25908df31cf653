// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "rafter/solver/dense.hpp"
#include "rafter/solver/least_squares.hpp"

namespace rafter {

namespace detail {
class thread_team;
}

/// Columns of numbers that belong to somebody else, used as `float`; NaN: missing.
class feature_columns {
 public:
  feature_columns() = default;
  /// @param values  column k begins at values + k·stride. @param stride  0: rows
  feature_columns(const double* values, std::size_t rows, std::size_t features, std::size_t stride = 0)
      : rows_(rows), features_(features), stride_(stride == 0 ? rows : stride), doubles_(values) {}
  feature_columns(const float* values, std::size_t rows, std::size_t features, std::size_t stride = 0)
      : rows_(rows), features_(features), stride_(stride == 0 ? rows : stride), floats_(values) {}

  std::size_t rows() const { return rows_; }
  std::size_t features() const { return features_; }
  float at(std::size_t row, std::size_t feature) const {
    const std::size_t i = feature * stride_ + row;
    return floats_ != nullptr ? floats_[i] : static_cast<float>(doubles_[i]);
  }
  /// visit(pointer to the column), as `const float*` or `const double*`.
  template <class Visit> decltype(auto) column(std::size_t feature, Visit&& visit) const {
    return floats_ != nullptr ? visit(floats_ + feature * stride_) : visit(doubles_ + feature * stride_);
  }

 private:
  std::size_t rows_ = 0, features_ = 0, stride_ = 0;
  const float* floats_ = nullptr;
  const double* doubles_ = nullptr;
};

/// Where each feature is cut. Bin b of a feature holds upper[b-1] <= x < upper[b]; all values are below the last cut,
/// the sentinel, at which a split sends every number left and what is missing right.
struct tree_cuts {
  std::vector<std::vector<float>> upper;  ///< per feature, ascending; empty: all of it is missing
  friend bool operator==(const tree_cuts&, const tree_cuts&) = default;
};

/// One byte for each row and feature. A missing value is bin upper[feature].size(); so a feature has at most 256 bins,
/// 255 where values are missing.
struct binned_features {
  static constexpr std::size_t most_bins = 256;

  std::size_t rows = 0, features = 0;
  std::size_t stride = 0;  ///< bytes from row to row: features, rounded up to 8
  tree_cuts cuts;
  std::vector<float> below;             ///< per feature: a number below all of its values
  std::vector<bool> has_missing;        ///< per feature
  std::vector<std::uint8_t> by_row;     ///< rows × stride
  std::vector<std::uint8_t> by_column;  ///< features × rows
};

/// Cuts as XGBoost's `hist` finds them. At most `max_bins` different values: each but the smallest is a cut. More:
/// the weighted quantile summary, here of all rows sorted, pruned by rank to 8·max_bins and then to max_bins + 1
/// entries. The sentinel is the largest value m plus |m| + 1e-5. A feature with missing values gets 255 bins at most.
/// @param weights  of the rows; empty: 1 each. @param max_bins  2 … 256
/// @throws solver_error naming feature and row of a value that is infinite (beyond 1.7e38) as `float`
RAFTER_NUMERICS_FUNCTION tree_cuts find_tree_cuts(const feature_columns& x, std::span<const double> weights = {},
                                                  std::size_t max_bins = 256, std::size_t threads = 1,
                                                  const std::vector<std::string>& names = {});

/// @throws solver_error for cuts that do not ascend or are too many, and for values that are infinite or not below
///         the last cut
RAFTER_NUMERICS_FUNCTION binned_features bin_features(const feature_columns& x, tree_cuts cuts,
                                                      std::size_t threads = 1,
                                                      const std::vector<std::string>& names = {});

namespace detail {
RAFTER_NUMERICS_FUNCTION tree_cuts find_tree_cuts(const feature_columns& x, std::span<const double> weights,
                                                  std::size_t max_bins, thread_team& team,
                                                  const std::vector<std::string>& names);
RAFTER_NUMERICS_FUNCTION binned_features bin_features(const feature_columns& x, tree_cuts cuts, thread_team& team,
                                                      const std::vector<std::string>& names);
/// "feature 3", or "feature 3 (kv_mean)".
RAFTER_NUMERICS_FUNCTION std::string feature_text(std::size_t feature, const std::vector<std::string>& names);
}  // namespace detail

}  // namespace rafter

#if !defined(RAFTER_COMPILED_NUMERICS)
#include "rafter/solver/tree_bins.ipp"
#endif
