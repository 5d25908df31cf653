// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace bench {

/// The compiler must assume that `value` is read and may be changed, and that all memory may be.
template <class T>
[[gnu::always_inline]] inline void keep(T& value) {
  asm volatile("" : : "g"(&value) : "memory");
}

inline double median(std::vector<double> values) {
  if (values.empty()) return 0.0;
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  if (values.size() % 2 == 1) return *middle;
  return 0.5 * (*middle + *std::max_element(values.begin(), middle));
}

/// Contenders that take turns: repetition by repetition, each runs once, so that what the machine does besides hits
/// all of them alike. Ratios are medians of the ratios within a repetition.
class race {
 public:
  /// @param run  one repetition; what it computes must be kept
  void enter(std::string name, std::function<void()> run) {
    names_.push_back(std::move(name));
    runs_.push_back(std::move(run));
    times_.emplace_back();
  }
  void run(std::size_t repetitions) {
    for (auto& one : runs_) one();  // warm: caches, pages, branch history
    for (std::size_t repetition = 0; repetition < repetitions; ++repetition) {
      for (std::size_t i = 0; i < runs_.size(); ++i) {
        const auto begin = std::chrono::steady_clock::now();
        runs_[i]();
        const auto end = std::chrono::steady_clock::now();
        times_[i].push_back(std::chrono::duration<double, std::nano>(end - begin).count());
      }
    }
  }
  /// Median [ns].
  double nanoseconds(const std::string& name) const { return median(times_[index(name)]); }
  double milliseconds(const std::string& name) const { return nanoseconds(name) * 1e-6; }
  double ratio(const std::string& name, const std::string& to) const {
    const auto& a = times_[index(name)];
    const auto& b = times_[index(to)];
    std::vector<double> ratios;
    for (std::size_t i = 0; i < a.size(); ++i) ratios.push_back(a[i] / b[i]);
    return median(ratios);
  }

 private:
  std::size_t index(const std::string& name) const {
    return static_cast<std::size_t>(std::find(names_.begin(), names_.end(), name) - names_.begin());
  }
  std::vector<std::string> names_;
  std::vector<std::function<void()>> runs_;
  std::vector<std::vector<double>> times_;
};

}  // namespace bench
