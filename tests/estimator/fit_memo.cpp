// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/estimator/fit_memo.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "rafter/estimator/mean_of_target.hpp"
#include "support/engine_steps.hpp"

namespace {

using namespace rafter;

dataset<tiny::aggregated> eight_steps() {
  return tiny::dataset_of(
      std::vector<tiny::engine_step>(8, {.prefill_tokens = 1, .prefill_requests = 1, .workload = "chat"}),
      [](const auto&, std::size_t i) { return 1.0 + static_cast<double>(i); });
}

/// Counts its fits; refuses row 7.
struct counted : mean_of_target {
  static inline std::atomic<int> fits = 0;
  template <class Schema> static auto fit(const dataset<Schema>& data, const row_set& rows) {
    ++fits;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    if (rows.contains(7)) throw fit_error("row 7");
    return mean_of_target::fit(data, rows);
  }
};

TEST(FitMemo, FitsEachSetOfRowsOnceFromManyThreads) {
  const auto data = eight_steps();
  fit_memo<counted, tiny::aggregated> memo(data);
  counted::fits = 0;
  std::atomic<int> right = 0;
  {
    std::vector<std::thread> callers;
    for (std::size_t caller = 0; caller < 6; ++caller) {
      callers.emplace_back([&, caller] {
        const double mean = memo.fit(row_set::of({caller % 3, caller % 3 + 1})).overall();
        right += mean == 1.5 + static_cast<double>(caller % 3);
      });
    }
    for (std::thread& each : callers) each.join();
  }
  EXPECT_EQ(right, 6);
  EXPECT_EQ(counted::fits, 3);
  EXPECT_EQ(memo.size(), 3U);
}

TEST(FitMemo, TellsEachCallerOfAFitThatCannotBeMade) {
  const auto data = eight_steps();
  fit_memo<counted, tiny::aggregated> memo(data);
  counted::fits = 0;
  EXPECT_THROW(memo.fit(row_set::of({7})), fit_error);
  EXPECT_THROW(memo.fit(row_set::of({7})), fit_error);
  EXPECT_EQ(counted::fits, 1);
}

}  // namespace
