// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "rafter/estimator/fitted_parameters.hpp"
#include "support/workload.hpp"

namespace {

using rafter::group;
using rafter::row_set;

const bench::reference_data& data() {
  static const bench::reference_data made = bench::make_reference_data(2000);  // 16 runs: 4 models × 4 workloads
  return made;
}
// Whole runs, parts of runs, single rows; across the ends of runs.
const std::vector<row_set>& sets() {
  static const std::vector<row_set> made{
      row_set::all(2000),
      row_set::where(2000, [](std::size_t row) { return row % 7 != 3 && (row < 400 || row > 1100); }),
      row_set::of({124, 125, 126, 1999})};
  return made;
}

TEST(LabelCells, HoldTheRowsOfEachCombinationOfLabels) {
  for (const row_set& rows : sets()) {
    std::map<std::pair<std::uint32_t, std::uint32_t>, std::vector<std::size_t>> expected;
    rows.for_each([&](std::size_t row) {
      expected[{data().groups(group::model).code(row), data().groups(group::workload).code(row)}].push_back(row);
    });
    const auto cells = rafter::label_cells(data(), rows, {group::model, group::workload});
    ASSERT_EQ(cells.size(), expected.size());
    for (const rafter::label_cell& cell : cells) {
      const std::size_t first = cell.rows.ranges().front().begin;
      const auto& members =
          expected.at({data().groups(group::model).code(first), data().groups(group::workload).code(first)});
      EXPECT_EQ(cell.rows, row_set::of(members));  // the same ranges: none adjacent
    }
  }
}

TEST(LabelCells, ComeInTheOrderOfTheirFirstRow) {
  for (const row_set& rows : sets()) {
    std::size_t before = 0;
    for (const rafter::label_cell& cell : rafter::label_cells(data(), rows, {group::model})) {
      const std::size_t first = cell.rows.ranges().front().begin;
      EXPECT_GE(first, before);
      before = first + 1;
    }
  }
}

TEST(LabelCells, AreOneWithoutAxes) {
  const auto cells = rafter::label_cells(data(), sets()[1], {});
  ASSERT_EQ(cells.size(), 1u);
  EXPECT_EQ(cells[0].rows, sets()[1]);
}

}  // namespace
