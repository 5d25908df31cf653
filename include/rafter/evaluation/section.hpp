// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "rafter/evaluation/table.hpp"

/// What a report is made of beside its results: sections of paragraphs, lists, tables and plots that every renderer
/// (text, Markdown, HTML, JSON) shows without knowing what they are about. Whoever has something to say appends one:
///
///   report.sections.push_back({"idle", "Idle steps", "", {paragraph{"3 of 1,204 steps process no token."}}});
namespace rafter {

struct paragraph {
  std::string text;
};
struct bullet_list {
  std::vector<std::string> items;
};
/// A table and what it shows. `wide` ones are shown where there is room: in HTML, Markdown and JSON, not on a terminal.
struct captioned_table {
  std::string caption;  ///< may be empty
  text_table table;
  bool wide = false;
};

enum class series_style : std::uint8_t { points, lines, steps, bars };

/// One set of points. `x` and `y` have the same length; of bars, x is ignored and `y[i]` belongs to `plot::categories[i]`.
struct plot_series {
  std::string name;  ///< in the legend; empty: not there
  series_style style = series_style::points;
  std::vector<double> x, y;
};

struct plot_axis {
  std::string label;  ///< with its unit
  bool logarithmic = false;
};

/// A picture as data: what draws it is the renderer's business, and one that cannot draw says so.
struct plot {
  std::string id;  ///< lower-case letters, digits and hyphens; one of its own in a report
  std::string title;
  plot_axis x, y;
  std::vector<plot_series> series;
  std::vector<std::string> categories;  ///< of bars
  std::string note;                     ///< below the picture: what was left out, how many points are shown
};

/// Can a plot's renderer show the value? Not where it is no number, or not positive on a logarithmic axis; nor within 28
/// decades of what a double holds, where the margins and ticks of an axis are no numbers.
inline bool can_be_drawn(double value, const plot_axis& axis) {
  return std::abs(value) <= 1e280 && (!axis.logarithmic || value >= 1e-280);
}
/// Points that cannot be drawn.
inline std::size_t points_left_out(const plot& picture) {
  std::size_t count = 0;
  for (const plot_series& one : picture.series) {
    for (std::size_t i = 0; i < one.y.size(); ++i) {
      const bool across = one.style == series_style::bars || (i < one.x.size() && can_be_drawn(one.x[i], picture.x));
      count += !across || !can_be_drawn(one.y[i], picture.y);
    }
  }
  return count;
}
/// Is there a point that can be drawn?
inline bool has_points(const plot& picture) {
  std::size_t count = 0;
  for (const plot_series& one : picture.series) count += one.y.size();
  return count > points_left_out(picture);
}

using section_block = std::variant<paragraph, bullet_list, captioned_table, plot>;

/// @param id       lower-case letters, digits and hyphens; the key in JSON and the anchor in HTML
/// @param summary  one sentence for the top of the report; may be empty
struct report_section {
  std::string id;
  std::string title;
  std::string summary;
  std::vector<section_block> blocks;
};

}  // namespace rafter
