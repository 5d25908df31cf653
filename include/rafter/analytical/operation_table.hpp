// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "rafter/analytical/curve_points.hpp"
#include "rafter/analytical/operation.hpp"
#include "rafter/core/math.hpp"

namespace rafter {

/// What a table of measured times gives for what was not measured.
enum class beyond_measured : std::uint8_t {
  refuse,          ///< not a number: who asked names the row
  roofline_scaled  ///< a measured time × the ratio of the two roofline times
};

/// A measured call.
template <class Operation> struct operation_point {
  std::array<double, Operation::shape_names.size()> shape{};
  std::array<double, Operation::coordinate_names.size()> at{};
  double seconds = 0.0;
};

/// The measured times of one operation on one device, and what lies between them.
///
/// Within a measured shape the logarithm of the time is linear in the logarithm of each coordinate between
/// neighbouring points (bilinear on a grid), and at a measured point the time is that point's, bit for bit. Grids may
/// be incomplete: points of one first coordinate are a line; a line is read along the second coordinate, then between
/// the nearest two lines, one on each side, that reach it.
///
/// Beyond a shape's points `roofline_scaled` takes, on each neighbouring line, its nearest end × the ratio of the
/// roofline times, and beyond the outermost line that line × the ratio. For a shape that was not measured it takes
/// the two measured shapes of equal `exact` members whose work is nearest (smallest d = Σ log² of the ratios of FLOP,
/// of memory bytes and of link bytes, at the coordinates asked for; of equals the first), and multiplies the shape's
/// own roofline time by the geometric mean of their times over theirs, each weighing 1/d.
///
/// Looking up does not allocate or throw, and may be done from several threads.
template <class Operation> class operation_table {
 public:
  using point = operation_point<Operation>;
  using shape_type = decltype(point::shape);
  using coordinates_type = decltype(point::at);

  /// Measured nothing.
  operation_table() = default;
  /// @param points  in any order; points of one shape and place become one with the median of their times
  /// @throws curve_error for a time or coordinate that is not positive and finite, and a shape that is not finite
  operation_table(std::span<const point> points, accelerator_record device,
                  beyond_measured beyond = beyond_measured::refuse)
      : device_(std::move(device)), beyond_(beyond) {
    std::vector<point> sorted(points.begin(), points.end());
    for (const point& one : sorted) check(one);
    std::sort(sorted.begin(), sorted.end(), [](const point& a, const point& b) {
      return a.shape != b.shape ? a.shape < b.shape : a.at != b.at ? a.at < b.at : a.seconds < b.seconds;
    });
    std::vector<double> repeated;
    for (std::size_t i = 0; i < sorted.size();) {
      const point& one = sorted[i];
      repeated.clear();
      for (; i < sorted.size() && sorted[i].shape == one.shape && sorted[i].at == one.at; ++i) {
        repeated.push_back(sorted[i].seconds);
      }
      append(one, detail::median_of(repeated));
    }
  }

  bool empty() const { return shapes_.empty(); }
  /// How many different points there are.
  std::size_t size() const { return ends_.size(); }
  /// The measured shapes, ascending.
  std::span<const shape_type> shapes() const { return shapes_; }
  bool measured(const shape_type& shape) const { return index_of(shape) != shapes_.size(); }
  const accelerator_record& device() const { return device_; }
  beyond_measured beyond() const { return beyond_; }

  /// Time of one call [s]; not a number where the table has nothing to say.
  double seconds(const shape_type& shape, const coordinates_type& at) const {
    for (const double x : at) {
      if (!(x > 0.0 && x < detail::infinity)) return detail::not_a_number;
    }
    const std::size_t own = index_of(shape);
    if (own != shapes_.size()) return in_shape(own, at);
    if (beyond_ == beyond_measured::refuse) return detail::not_a_number;
    const auto [first, second] = nearest_shapes(shape, at);
    if (first.shape == shapes_.size()) return detail::not_a_number;
    const double one = over_roofline(first.shape, at);
    if (second.shape == shapes_.size() || first.away == 0.0) return one * roofline(shape, at);
    return between(one, over_roofline(second.shape, at), first.away / (first.away + second.away)) *
           roofline(shape, at);
  }

  /// "matrix product (bits 16, n 8192, k 4096) at tokens 12", for errors.
  static std::string describe(const shape_type& shape, const coordinates_type& at) {
    std::string text(Operation::name);
    const auto list = [&](const auto& names, const auto& values, const char* before) {
      for (std::size_t i = 0; i < values.size(); ++i) {
        char digits[32];
        text += i == 0 ? before : ", ";
        text += names[i];
        text += ' ';
        text.append(digits, std::to_chars(digits, digits + sizeof digits, values[i]).ptr);
      }
    };
    list(Operation::shape_names, shape, " (");
    list(Operation::coordinate_names, at, ") at ");
    return text;
  }

 private:
  static constexpr std::size_t dimensions = Operation::coordinate_names.size();
  static_assert(dimensions == 1 || dimensions == 2, "rafter: an operation has one coordinate or two");

  /// A point of a line: the last coordinate, the time, and their logarithms.
  struct place {
    double x, log_x, seconds, log_seconds;
  };
  /// Points of one first coordinate (of an operation with one coordinate: all of a shape).
  struct line {
    double x, log_x;
    std::size_t begin, end;
  };

  void check(const point& one) const {
    bool good = one.seconds > 0.0 && std::isfinite(one.seconds);
    for (const double x : one.at) good = good && x > 0.0 && std::isfinite(x);
    for (const double s : one.shape) good = good && std::isfinite(s);
    if (!good) {
      throw curve_error("operation_table: " + describe(one.shape, one.at) + " took " + std::to_string(one.seconds) +
                        " s: coordinates and time must be positive and finite");
    }
  }
  void append(const point& one, double seconds) {
    if (shapes_.empty() || shapes_.back() != one.shape) {
      shapes_.push_back(one.shape);
      first_line_.push_back(lines_.size());
    }
    const double x = dimensions == 2 ? one.at.front() : 1.0;
    const bool new_line = first_line_.back() == lines_.size() || lines_.back().x != x;
    if (new_line) lines_.push_back({x, rafter::log(x), ends_.size(), ends_.size()});
    ends_.push_back({one.at.back(), rafter::log(one.at.back()), seconds, rafter::log(seconds)});
    lines_.back().end = ends_.size();
  }

  std::size_t index_of(const shape_type& shape) const {
    const auto at = std::lower_bound(shapes_.begin(), shapes_.end(), shape);
    return at != shapes_.end() && *at == shape ? static_cast<std::size_t>(at - shapes_.begin()) : shapes_.size();
  }
  double roofline(const shape_type& shape, const coordinates_type& at) const {
    return roofline_seconds(Operation::work(shape, at), device_);
  }

  struct neighbour {
    std::size_t shape;
    double away = detail::infinity;
  };
  std::pair<neighbour, neighbour> nearest_shapes(const shape_type& shape, const coordinates_type& at) const {
    const operation_work wanted = Operation::work(shape, at);
    neighbour first{shapes_.size()}, second{shapes_.size()};
    for (std::size_t i = 0; i < shapes_.size(); ++i) {
      if (!std::equal(shape.begin(), shape.begin() + Operation::exact, shapes_[i].begin())) continue;
      const operation_work has = Operation::work(shapes_[i], at);
      const double away = apart(wanted.flops, has.flops) + apart(wanted.memory_bytes, has.memory_bytes) +
                          apart(wanted.link_bytes, has.link_bytes);
      if (away < first.away) {
        second = first;
        first = {i, away};
      } else if (away < second.away) {
        second = {i, away};
      }
    }
    return {first, second};
  }
  /// How many times its roofline time a measured shape takes.
  double over_roofline(std::size_t index, const coordinates_type& at) const {
    return in_shape(index, at) / roofline(shapes_[index], at);
  }
  static double apart(double a, double b) {
    if (a == b) return 0.0;
    const double ratio = rafter::log(a / b);
    return ratio * ratio;
  }

  /// Between two times by the logarithm of the coordinate.
  static double between(double low, double high, double share) {
    return low * rafter::exp(share * rafter::log(high / low));
  }

  bool reaches(const line& on, double x) const { return ends_[on.begin].x <= x && x <= ends_[on.end - 1].x; }
  /// On a line that reaches x.
  double along(const line& on, double x) const {
    const auto begin = ends_.begin() + static_cast<std::ptrdiff_t>(on.begin);
    const auto end = ends_.begin() + static_cast<std::ptrdiff_t>(on.end);
    const auto high = std::lower_bound(begin, end, x, [](const place& p, double value) { return p.x < value; });
    if (high->x == x) return high->seconds;
    const auto low = high - 1;
    const double share = (rafter::log(x) - low->log_x) / (high->log_x - low->log_x);
    return low->seconds * rafter::exp(share * (high->log_seconds - low->log_seconds));
  }
  /// On any line; beyond its ends in proportion to the roofline, or not a number.
  double on_line(const shape_type& shape, const line& on, double x) const {
    if (reaches(on, x)) return along(on, x);
    if (beyond_ == beyond_measured::refuse) return detail::not_a_number;
    const place& end = x < ends_[on.begin].x ? ends_[on.begin] : ends_[on.end - 1];
    coordinates_type asked{}, has{};
    asked.front() = has.front() = on.x;
    asked.back() = x;
    has.back() = end.x;
    return end.seconds * (roofline(shape, asked) / roofline(shape, has));
  }

  double in_shape(std::size_t index, const coordinates_type& at) const {
    const shape_type& shape = shapes_[index];
    const line* const begin = lines_.data() + first_line_[index];
    const line* const end =
        index + 1 < shapes_.size() ? lines_.data() + first_line_[index + 1] : lines_.data() + lines_.size();
    if constexpr (dimensions == 1) {
      return on_line(shape, *begin, at[0]);
    } else {
      const double x = at[0], y = at[1];
      const line* const high =
          std::lower_bound(begin, end, x, [](const line& l, double value) { return l.x < value; });
      if (high != end && high->x == x && reaches(*high, y)) return along(*high, y);
      const line* above = high;
      while (above != end && !reaches(*above, y)) ++above;
      const line* below = high;
      while (below != begin && !reaches(*(below - 1), y)) --below;
      if (above != end && below != begin) return across(shape, *(below - 1), *above, x, y);
      if (beyond_ == beyond_measured::refuse) return detail::not_a_number;
      if (high != end && high->x == x) return on_line(shape, *high, y);
      if (high != end && high != begin) return across(shape, *(high - 1), *high, x, y);
      const line& outermost = high == end ? *(end - 1) : *begin;
      return on_line(shape, outermost, y) * (roofline(shape, at) / roofline(shape, {outermost.x, y}));
    }
  }
  double across(const shape_type& shape, const line& low, const line& high, double x, double y) const {
    const double share = (rafter::log(x) - low.log_x) / (high.log_x - low.log_x);
    return between(on_line(shape, low, y), on_line(shape, high, y), share);
  }

  accelerator_record device_;
  beyond_measured beyond_ = beyond_measured::refuse;
  std::vector<shape_type> shapes_;
  std::vector<std::size_t> first_line_;  // of each shape
  std::vector<line> lines_;
  std::vector<place> ends_;  // all points
};

template <class Operation, class... Rest>
operation_table(std::span<const operation_point<Operation>>, accelerator_record, Rest...)
    -> operation_table<Operation>;

/// Measured calls of all operations of a step.
struct operation_points {
  std::vector<operation_point<operations::matrix_product>> products;
  std::vector<operation_point<operations::prompt_attention>> prompt_attention;
  std::vector<operation_point<operations::decode_attention>> decode_attention;
  std::vector<operation_point<operations::expert_products>> experts;
  std::vector<operation_point<operations::all_reduce>> all_reduce;
  std::vector<operation_point<operations::elementwise>> elementwise;
};

/// Points of shapes that `into` has none of: the table read first says what a shape's times are, and two measuring
/// rigs never mix within one.
template <class Operation>
void add_new_shapes(std::vector<operation_point<Operation>>& into, std::span<const operation_point<Operation>> from) {
  std::vector<decltype(operation_point<Operation>::shape)> known;
  for (const auto& one : into) known.push_back(one.shape);
  std::sort(known.begin(), known.end());
  for (const auto& one : from) {
    if (!std::binary_search(known.begin(), known.end(), one.shape)) into.push_back(one);
  }
}

/// The tables of one device: what a program measured, read (io/kernel_tables.hpp) or made up.
struct operation_tables {
  accelerator_record device;
  operation_table<operations::matrix_product> products;
  operation_table<operations::prompt_attention> prompt_attention;
  operation_table<operations::decode_attention> decode_attention;
  operation_table<operations::expert_products> experts;
  operation_table<operations::all_reduce> all_reduce;
  operation_table<operations::elementwise> elementwise;

  operation_tables() = default;
  /// @throws curve_error as operation_table
  operation_tables(const operation_points& points, const accelerator_record& on, beyond_measured beyond)
      : device(on),
        products(points.products, on, beyond),
        prompt_attention(points.prompt_attention, on, beyond),
        decode_attention(points.decode_attention, on, beyond),
        experts(points.experts, on, beyond),
        all_reduce(points.all_reduce, on, beyond),
        elementwise(points.elementwise, on, beyond) {}
};

}  // namespace rafter
