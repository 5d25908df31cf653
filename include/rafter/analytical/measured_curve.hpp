// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// opt-in: includes Boost.Math's interpolators; for those who have measured kernels.
#pragma once

#include <math.h>  // Boost 1.74's pchip calls isnan without a namespace

#include <algorithm>
#include <boost/math/interpolators/pchip.hpp>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "rafter/analytical/curve_points.hpp"
#include "rafter/core/math.hpp"

namespace rafter {

/// What a measured curve gives beyond the points that it was measured at.
enum class extrapolation : std::uint8_t {
  refuse,       ///< not a number: the fit or report names the row, nothing is guessed
  hold,         ///< the value of the last point: an MFU that has levelled off
  proportional  ///< y in proportion to x, through the last point: below it, an MFU against FLOP of kernels that take
                ///< the same time however little they do (bound by bandwidth or launch)
};

struct measured_curve_options {
  std::string name = "measured curve";  ///< in errors
  bool by_logarithm = false;            ///< interpolate in log x; x is given, and asked for, as it is
  extrapolation below = extrapolation::refuse;
  extrapolation above = extrapolation::refuse;
};

/// A curve through measured points: piecewise cubic Hermite polynomials (Boost.Math's pchip), monotone between any two
/// neighbours, so that, but for rounding, it never leaves the range of their two values; its slope is continuous.
/// Source: Fritsch, Butland 1984, "A method for constructing local monotone piecewise cubic interpolants".
///
/// `value` and `slope` take every double, do not throw or allocate, and may be called from several threads.
class measured_curve {
 public:
  /// @param points  in any order; points of one x (of one logarithm) become one with the median of their y
  /// @throws curve_error for fewer than 4 different x (pchip needs as many), for a number that is not finite, for an x
  ///         that has no logarithm where one is taken, and for proportional extrapolation from an x that is not positive
  explicit measured_curve(std::span<const curve_point> points, measured_curve_options options = {})
      : options_(std::move(options)), points_(merged(points)), curve_(interpolate()) {
    const auto check = [this](extrapolation how, const curve_point& end) {
      if (how != extrapolation::proportional || end.x > 0.0) return;
      throw curve_error(options_.name + ": no extrapolation in proportion to x from the point " +
                        detail::text_of(end) + ", whose x is not positive");
    };
    check(options_.below, points_.front());
    check(options_.above, points_.back());
  }

  double value(double x) const {
    const double at = abscissa(x);
    if (at < first_) return beyond(options_.below, points_.front(), x);
    if (at > last_) return beyond(options_.above, points_.back(), x);
    return at == at ? curve_(at) : at;
  }
  /// The derivative of the value by x; at the ends that of the inside.
  double slope(double x) const {
    const double at = abscissa(x);
    if (at < first_) return slope_beyond(options_.below, points_.front());
    if (at > last_) return slope_beyond(options_.above, points_.back());
    if (!(at == at)) return at;
    return options_.by_logarithm ? curve_.prime(at) / x : curve_.prime(at);
  }

  /// What it goes through, in order of x.
  std::span<const curve_point> points() const { return points_; }
  const measured_curve_options& options() const { return options_; }

 private:
  using interpolator = boost::math::interpolators::pchip<std::vector<double>>;

  double abscissa(double x) const { return options_.by_logarithm ? rafter::log(x) : x; }

  static double beyond(extrapolation how, const curve_point& last, double x) {
    if (how == extrapolation::hold) return last.y;
    return how == extrapolation::proportional ? last.y / last.x * x : std::numeric_limits<double>::quiet_NaN();
  }
  static double slope_beyond(extrapolation how, const curve_point& last) {
    if (how == extrapolation::hold) return 0.0;
    return how == extrapolation::proportional ? last.y / last.x : std::numeric_limits<double>::quiet_NaN();
  }

  std::vector<curve_point> merged(std::span<const curve_point> points) const {
    std::vector<curve_point> sorted(points.begin(), points.end());
    for (std::size_t i = 0; i < sorted.size(); ++i) {
      const curve_point& one = sorted[i];
      const bool finite = std::isfinite(one.x) && std::isfinite(one.y);
      if (finite && (!options_.by_logarithm || one.x > 0.0)) continue;
      throw curve_error(options_.name + ": point " + std::to_string(i + 1) + " is " + detail::text_of(one) +
                        (finite ? ", whose x has no logarithm" : ", which is not finite"));
    }
    std::sort(sorted.begin(), sorted.end(), [this](const curve_point& a, const curve_point& b) {
      return abscissa(a.x) < abscissa(b.x) || (abscissa(a.x) == abscissa(b.x) && a.x < b.x);
    });
    std::vector<curve_point> single;
    std::vector<double> ys;
    for (std::size_t i = 0; i < sorted.size();) {
      const double x = sorted[i].x;
      ys.clear();
      for (; i < sorted.size() && abscissa(sorted[i].x) == abscissa(x); ++i) ys.push_back(sorted[i].y);
      single.push_back({x, detail::median_of(ys)});
    }
    if (single.size() < 4) {
      throw curve_error(options_.name + ": a monotone cubic curve needs points at 4 or more different x, not " +
                        std::to_string(single.size()));
    }
    return single;
  }
  interpolator interpolate() {
    std::vector<double> xs, ys;
    for (const curve_point& one : points_) {
      xs.push_back(abscissa(one.x));
      ys.push_back(one.y);
    }
    first_ = xs.front();
    last_ = xs.back();
    return {std::move(xs), std::move(ys)};
  }

  measured_curve_options options_;
  std::vector<curve_point> points_;
  double first_ = 0.0, last_ = 0.0;  // the range, in what is interpolated in
  interpolator curve_;
};

/// Makes a table for `curve<Table>(x)` of a type that says which measured curve it is. The program owns the curve:
///
///   struct gemm_mfu : curve_of<gemm_mfu> {
///     static constexpr std::string_view name = "gemm_mfu";
///     static const measured_curve& measured() {
///       static const measured_curve made(points, {.name = "gemm_mfu", .by_logarithm = true});
///       return made;
///     }
///   };
///   constexpr auto time = work.flops / (hardware::peak_flops * curve<gemm_mfu>(magnitude(work.flops)));
///
/// A curve that is made when first asked for, as here, throws then if its points are bad: call `measured()` once before
/// fits and predictions.
template <class Derived> struct curve_of {
  static double value(double x) { return Derived::measured().value(x); }
  static double slope(double x) { return Derived::measured().slope(x); }
};

}  // namespace rafter
