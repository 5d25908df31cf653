// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <condition_variable>
#include <cstddef>
#include <exception>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include "rafter/estimator/estimator.hpp"

namespace rafter {

namespace detail {
/// Begin and end of each range: equal for equal sets.
inline std::vector<std::size_t> range_ends(const row_set& rows) {
  std::vector<std::size_t> key;
  for (const row_range& range : rows.ranges()) {
    key.push_back(range.begin);
    key.push_back(range.end);
  }
  return key;
}
}  // namespace detail

/// What an estimator learned from sets of rows of one dataset, each set fitted once however often and from however many
/// threads it is asked for. Nested validation asks for the same fits again and again: with models i and j left out, the
/// fit is that of outer fold i and inner fold j, and that of outer fold j and inner fold i.
/// The dataset must outlive it.
template <class Estimator, dataset_schema Schema> class fit_memo {
 public:
  using estimator = Estimator;
  using predictor = std::remove_cvref_t<decltype(Estimator::fit(std::declval<const dataset<Schema>&>(), row_set{}))>;

  explicit fit_memo(const dataset<Schema>& data) : data_(&data) {}

  /// @returns the fit to these rows; it lives as long as the memo
  /// @throws what the fit threw, each time that it is asked for
  const predictor& fit(const row_set& rows) {
    std::unique_lock lock(access_);
    const auto [found, first] = fits_.try_emplace(detail::range_ends(rows));
    entry& one = found->second;  // a map's elements stay where they are
    if (!first) {
      done_.wait(lock, [&] { return one.made || one.failed != nullptr; });
    } else {
      lock.unlock();
      std::optional<predictor> made;
      std::exception_ptr failed;
      try {
        made.emplace(Estimator::fit(*data_, rows));
      } catch (...) {
        failed = std::current_exception();
      }
      lock.lock();
      if (made) one.made.emplace(*std::move(made));
      one.failed = failed;
      done_.notify_all();
    }
    if (one.failed != nullptr) std::rethrow_exception(one.failed);
    return *one.made;
  }

  /// The number of different sets of rows that were fitted.
  std::size_t size() const {
    const std::lock_guard lock(access_);
    return fits_.size();
  }

 private:
  struct entry {
    std::optional<predictor> made;
    std::exception_ptr failed;
  };
  const dataset<Schema>* data_;
  std::map<std::vector<std::size_t>, entry> fits_;
  mutable std::mutex access_;
  std::condition_variable done_;
};

namespace detail {
/// The fits that an estimator's folds have in common, where it has use for such a thing.
template <class Estimator, class Schema>
concept shares_fits = requires {
  typename Estimator::template shared_fits<Schema>;
};
template <class Estimator> inline constexpr char memo_key = 0;
}  // namespace detail

/// The memos of several estimators on one dataset, for evaluations that ask for the same fits: a predictor, its intervals,
/// and a hybrid over it. The dataset must outlive it.
template <dataset_schema Schema> class fit_memos {
 public:
  explicit fit_memos(const dataset<Schema>& data) : data_(&data) {}

  /// From any thread.
  template <class Estimator> fit_memo<Estimator, Schema>& of() {
    const std::lock_guard lock(access_);
    std::shared_ptr<void>& found = memos_[&detail::memo_key<Estimator>];
    if (found == nullptr) found = std::make_shared<fit_memo<Estimator, Schema>>(*data_);
    return *static_cast<fit_memo<Estimator, Schema>*>(found.get());
  }

 private:
  const dataset<Schema>* data_;
  std::map<const char*, std::shared_ptr<void>> memos_;
  std::mutex access_;
};

}  // namespace rafter
