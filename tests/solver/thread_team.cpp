// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/solver/thread_team.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <stdexcept>
#include <vector>

namespace {

using rafter::detail::thread_team;

TEST(ThreadTeam, DoesEveryTaskOnce) {
  for (const std::size_t threads : {1U, 2U, 3U, 5U}) {
    thread_team team(threads);
    EXPECT_EQ(team.size(), threads);
    for (const std::size_t count : {0U, 1U, 2U, 7U, 1000U}) {
      std::vector<std::atomic<int>> done(count);
      team.run(count, [&](std::size_t i) { ++done[i]; });
      for (const auto& each : done) EXPECT_EQ(each.load(), 1);
    }
  }
}

TEST(ThreadTeam, SeesWhatTheTasksBeforeWrote) {
  thread_team team(3);
  std::vector<std::size_t> values(64, 0);
  for (std::size_t pass = 0; pass < 500; ++pass) {
    team.run(values.size(), [&](std::size_t i) { values[i] = values[(i + 0) % 64] + 1; });
    team.run(1, [&](std::size_t) { ++values[0]; });
  }
  EXPECT_EQ(values[0], 1000U);
  EXPECT_EQ(values[63], 500U);
}

TEST(ThreadTeam, ThrowsWhatATaskThrewAndGoesOn) {
  thread_team team(3);
  EXPECT_THROW(team.run(100,
                        [](std::size_t i) {
                          if (i == 57) throw std::runtime_error("57");
                        }),
               std::runtime_error);
  std::atomic<int> done{0};
  team.run(100, [&](std::size_t) { ++done; });
  EXPECT_EQ(done.load(), 100);
}

}  // namespace
