// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <cstddef>
#include <span>

namespace rafter {

/// A running sum whose error does not grow with the number of terms (Neumaier 1974): the rounding of every addition
/// is kept and added at the end. Terms are added in the order of the rows, by one thread, so a result never depends
/// on how many threads a program uses.
class accurate_sum {
 public:
  void add(double term) {
    const double next = sum_ + term;
    lost_ += std::fabs(sum_) >= std::fabs(term) ? (sum_ - next) + term : (term - next) + sum_;
    sum_ = next;
  }
  /// Joins the sum over other rows (a fold, a file); the order of joins matters in the last bit only.
  void merge(const accurate_sum& other) {
    add(other.sum_);
    lost_ += other.lost_;
  }
  double value() const { return std::isfinite(sum_) ? sum_ + lost_ : sum_; }

 private:
  double sum_ = 0.0;
  double lost_ = 0.0;
};

/// Mean of a column; NaN when it is empty.
inline double accurate_mean(std::span<const double> column) {
  accurate_sum sum;
  for (const double value : column) sum.add(value);
  return sum.value() / static_cast<double>(column.size());
}

}  // namespace rafter
