// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <time.h>

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace bench {

/// The compiler must assume that `value` is read and may be changed, and that all memory may be.
template <class T> [[gnu::always_inline]] inline void keep(T& value) { asm volatile("" : : "g"(&value) : "memory"); }

inline double median(std::vector<double> values) {
  if (values.empty()) return 0.0;
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  if (values.size() % 2 == 1) return *middle;
  return 0.5 * (*middle + *std::max_element(values.begin(), middle));
}

/// The processor time of this thread [ns]: what other processes do to the wall clock does not count.
inline double thread_time() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

/// Doubles on a page boundary, all pages touched: contenders write to equally good places.
class aligned_doubles {
 public:
  explicit aligned_doubles(std::size_t count)
      : values_(static_cast<double*>(std::aligned_alloc(4096, (count * sizeof(double) + 4095) / 4096 * 4096))) {
    std::fill_n(values_.get(), count, 0.0);
  }
  double* data() { return values_.get(); }
  const double* data() const { return values_.get(); }

 private:
  struct release {
    void operator()(double* values) const { std::free(values); }
  };
  std::unique_ptr<double, release> values_;
};

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
        const double begin = thread_time();
        runs_[i]();
        times_[i].push_back(thread_time() - begin);
      }
    }
  }
  /// Median of the processor time [ns].
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
