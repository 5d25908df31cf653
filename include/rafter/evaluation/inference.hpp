// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// opt-in: includes Boost.Math's distributions; for those who test coefficients.
#pragma once

#include <fmt/format.h>

#include <boost/math/distributions/students_t.hpp>
#include <cmath>
#include <cstddef>
#include <limits>
#include <ostream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rafter/core/error.hpp"
#include "rafter/estimator/fitted_parameters.hpp"
#include "rafter/estimator/linear.hpp"
#include "rafter/evaluation/table.hpp"
#include "rafter/solver/least_squares.hpp"
#include "rafter/units/dimension.hpp"

namespace rafter {

/// What the data say of one coefficient. NaN where they say nothing.
struct coefficient_row {
  std::string name;
  std::string unit;  ///< of the coefficient: the label's unit over the feature's
  double coefficient = 0.0;
  double standard_error = 0.0;   ///< infinite where the data do not determine the coefficient
  double t = 0.0;                ///< coefficient / standard error
  double p = 0.0;                ///< two-sided: chance of a larger |t| were the coefficient 0
  double low = 0.0, high = 0.0;  ///< confidence interval
  double standardised = 0.0;     ///< effect of one (population) deviation of the feature; 0 for the intercept
  bool constant = false;         ///< the feature did not vary: nothing was learned
};

/// Student's t for the coefficients of a linear fit, with its residual degrees of freedom (Boost.Math). Honest for
/// least squares with independent errors of one size; steps of one run are neither, so read p as a lower bound. A
/// penalty biases coefficients towards 0, which the intervals do not know.
///
///   std::cout << coefficient_table(report.fit<blackbox>("70b"));
class coefficient_table {
 public:
  template <class Features, class Objective>
  explicit coefficient_table(const linear_predictor<Features, Objective>& fitted, double confidence = 0.95)
      : coefficient_table(fitted.solution(), names_of<Features>(), units_of<Features, Objective>(),
                          fitted.has_intercept() ? unit_text(label_unit<Objective>()) : std::string(), confidence) {}

  /// @param names, units  one per coefficient; @param intercept_unit  empty: the model has no intercept
  /// @throws error when the sizes disagree or the confidence is not in (0, 1)
  coefficient_table(const linear_solution& solution, const std::vector<std::string>& names,
                    const std::vector<std::string>& units, const std::string& intercept_unit,
                    double confidence = 0.95)
      : confidence_(confidence), degrees_of_freedom_(solution.degrees_of_freedom), alpha_(solution.alpha) {
    const std::size_t p = solution.coefficients.size();
    if (names.size() != p || units.size() != p || solution.standard_errors.size() != p) {
      throw error("rafter: coefficient table: " + std::to_string(p) + " coefficients, " +
                  std::to_string(names.size()) + " names, " + std::to_string(units.size()) + " units, " +
                  std::to_string(solution.standard_errors.size()) + " standard errors");
    }
    if (!(confidence > 0.0 && confidence < 1.0)) {
      throw error("rafter: coefficient table: a confidence of " + std::to_string(confidence) + " is not in (0, 1)");
    }
    if (!intercept_unit.empty()) {
      add({.name = "intercept",
           .unit = intercept_unit,
           .coefficient = solution.intercept,
           .standard_error = solution.intercept_standard_error});
    }
    for (std::size_t j = 0; j < p; ++j) {
      add({.name = names[j],
           .unit = units[j],
           .coefficient = solution.coefficients[j],
           .standard_error = solution.standard_errors[j],
           .standardised = solution.standardised_coefficient(j),
           .constant = solution.is_constant(j)});
    }
  }

  const std::vector<coefficient_row>& rows() const { return rows_; }
  double degrees_of_freedom() const { return degrees_of_freedom_; }
  double confidence() const { return confidence_; }
  /// @throws error when there is no coefficient of that name
  const coefficient_row& row(std::string_view name) const {
    for (const coefficient_row& one : rows_) {
      if (one.name == name) return one;
    }
    throw error("rafter: coefficient table: there is no coefficient '" + std::string(name) + "'");
  }

  text_table table() const {
    const std::string interval = fmt::format("{:g} % interval", 100.0 * confidence_);
    text_table made({"<coefficient", "<unit", "value", "standard error", "t", "p", interval, "per deviation"});
    for (const coefficient_row& one : rows_) {
      if (one.constant) {
        made.add({one.name, one.unit, "constant", "", "", "", "", ""});
      } else if (std::isnan(one.p)) {
        made.add({one.name, one.unit, fmt::format("{:.4g}", one.coefficient), "undetermined", "", "", "",
                  one.name == "intercept" ? "" : fmt::format("{:.4g}", one.standardised)});
      } else {
        made.add({one.name, one.unit, fmt::format("{:.4g}", one.coefficient),
                  fmt::format("{:.2g}", one.standard_error), fmt::format("{:.2f}", one.t),
                  one.p < 1e-4 ? fmt::format("{:.1e}", one.p) : fmt::format("{:.4f}", one.p),
                  fmt::format("{:.3g} … {:.3g}", one.low, one.high),
                  one.name == "intercept" ? "" : fmt::format("{:.4g}", one.standardised)});
      }
    }
    return made;
  }
  /// The table with what one must know to read it.
  std::string text() const {
    std::string out = table().plain();
    out += fmt::format("  {:.6g} degrees of freedom", degrees_of_freedom_);
    if (alpha_ > 0.0)
      out += fmt::format("; penalty {:g}: coefficients are biased towards 0, intervals do not know", alpha_);
    return out + "\n";
  }
  friend std::ostream& operator<<(std::ostream& to, const coefficient_table& table) { return to << table.text(); }

 private:
  void add(coefficient_row one) {
    constexpr double unknown = std::numeric_limits<double>::quiet_NaN();
    one.t = one.p = unknown;
    one.low = -std::numeric_limits<double>::infinity();
    one.high = -one.low;
    const bool determined = std::isfinite(one.standard_error) && degrees_of_freedom_ > 0.0 && !one.constant;
    if (one.constant) {
      one.low = one.high = unknown;
    } else if (determined && one.standard_error > 0.0) {
      const boost::math::students_t distribution(degrees_of_freedom_);
      one.t = one.coefficient / one.standard_error;
      one.p = 2.0 * boost::math::cdf(boost::math::complement(distribution, std::abs(one.t)));
      const double half = boost::math::quantile(boost::math::complement(distribution, 0.5 * (1.0 - confidence_))) *
                          one.standard_error;
      one.low = one.coefficient - half;
      one.high = one.coefficient + half;
    } else if (determined && one.coefficient != 0.0) {  // an exact fit
      one.t = std::copysign(std::numeric_limits<double>::infinity(), one.coefficient);
      one.p = 0.0;
      one.low = one.high = one.coefficient;
    }
    rows_.push_back(std::move(one));
  }

  template <class Objective> static constexpr dimension label_unit() {
    // A label is a number: seconds, or the logarithm of a ratio.
    return Objective::name == std::string_view("log ratio") ? units::none : units::second;
  }
  static std::string unit_text(dimension of) { return std::string(text_of(of).data); }
  template <class Features> static std::vector<std::string> names_of() {
    return {Features::names.begin(), Features::names.end()};
  }
  template <class Features, class Objective> static std::vector<std::string> units_of() {
    std::vector<std::string> made;
    for (const dimension of : Features::dimensions) made.push_back(unit_text(label_unit<Objective>() / of));
    return made;
  }

  double confidence_;
  double degrees_of_freedom_;
  double alpha_;
  std::vector<coefficient_row> rows_;
};

/// What a fit says of one parameter of a parametric model.
struct parameter_row {
  fitted_parameter parameter;
  /// Confidence interval: without ends where the rows say nothing, NaN where there is none (held, at a bound, fitted
  /// without derivatives).
  double low = 0.0, high = 0.0;
};

/// Student's t for the parameters of a parametric model: value ± t · standard error with the fit's residual degrees
/// of freedom (Boost.Math). Exact for a model linear in its parameters with independent normal errors of one size,
/// else good while the model bends little over the interval; then profile_likelihood.hpp is the honest way, as for
/// parameters at bounds, of which this says nothing. Weights are taken for reciprocal variances: under weights that are
/// not, such as those of `balanced`, and under robust losses, the intervals are too short. Intervals are not cut at bounds. Steps of one run are not
/// independent: read them as the narrowest that they may be.
///
///   std::cout << parameter_inference(report.fit<roofline9>("70b"));
class parameter_inference {
 public:
  template <class Predictor>
  requires requires(const Predictor& fitted) {
    fitted.parameters();
    fitted.solution().degrees_of_freedom;
  }
  explicit parameter_inference(const Predictor& fitted, double confidence = 0.95)
      : parameter_inference(fitted.parameters(), fitted.solution().degrees_of_freedom, confidence) {}

  /// @throws error when the confidence is not in (0, 1)
  parameter_inference(std::vector<fitted_parameter> parameters, double degrees_of_freedom, double confidence = 0.95)
      : confidence_(confidence), degrees_of_freedom_(degrees_of_freedom) {
    if (!(confidence > 0.0 && confidence < 1.0)) {
      throw error("rafter: parameter inference: a confidence of " + std::to_string(confidence) + " is not in (0, 1)");
    }
    for (fitted_parameter& one : parameters) add(std::move(one));
  }

  const std::vector<parameter_row>& rows() const { return rows_; }
  double degrees_of_freedom() const { return degrees_of_freedom_; }
  double confidence() const { return confidence_; }
  /// @throws error when there is no parameter of that name
  const parameter_row& row(std::string_view name) const {
    for (const parameter_row& one : rows_) {
      if (one.parameter.name == name) return one;
    }
    throw error("rafter: parameter inference: there is no parameter '" + std::string(name) + "'");
  }

  text_table table() const {
    const std::string interval = fmt::format("{:g} % interval", 100.0 * confidence_);
    text_table made({"<parameter", "<unit", "value", "standard error", interval, "<state"});
    for (const parameter_row& one : rows_) {
      const bool known = std::isfinite(one.low) && std::isfinite(one.high);
      made.add({one.parameter.name, one.parameter.unit, fmt::format("{:.4g}", one.parameter.value),
                known ? fmt::format("{:.2g}", one.parameter.standard_error) : "",
                known ? fmt::format("{:.4g} … {:.4g}", one.low, one.high) : "",
                std::string(text_of(one.parameter.state))});
    }
    return made;
  }
  std::string text() const {
    return table().plain() + fmt::format("  {:.6g} degrees of freedom\n", degrees_of_freedom_);
  }
  friend std::ostream& operator<<(std::ostream& to, const parameter_inference& table) { return to << table.text(); }

 private:
  void add(fitted_parameter parameter) {
    parameter_row one{std::move(parameter), 0.0, 0.0};
    const double error = one.parameter.standard_error;
    if (one.parameter.state == parameter_state::determined && std::isfinite(error) && degrees_of_freedom_ > 0.0) {
      const boost::math::students_t distribution(degrees_of_freedom_);
      const double half =
          boost::math::quantile(boost::math::complement(distribution, 0.5 * (1.0 - confidence_))) * error;
      one.low = one.parameter.value - half;
      one.high = one.parameter.value + half;
    } else if (one.parameter.state == parameter_state::held || one.parameter.state == parameter_state::not_known ||
               one.parameter.state == parameter_state::at_lower_bound ||
               one.parameter.state == parameter_state::at_upper_bound) {
      one.low = one.high = std::numeric_limits<double>::quiet_NaN();
    } else {
      one.high = std::numeric_limits<double>::infinity();
      one.low = -one.high;
    }
    rows_.push_back(std::move(one));
  }

  double confidence_;
  double degrees_of_freedom_;
  std::vector<parameter_row> rows_;
};

}  // namespace rafter
