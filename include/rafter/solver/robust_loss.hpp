// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <string_view>

namespace rafter {

/// How a residual counts. The definitions are scipy.optimize.least_squares': cost = ½ Σ C² rho((r/C)²).
enum class loss_kind {
  linear,   ///< rho(z) = z: least squares
  soft_l1,  ///< 2 (√(1+z) − 1)
  huber,    ///< z if z <= 1, else 2√z − 1
  cauchy,   ///< ln(1+z)
  arctan,   ///< atan z
};

constexpr std::string_view text_of(loss_kind kind) {
  switch (kind) {
    case loss_kind::linear:
      return "linear";
    case loss_kind::soft_l1:
      return "soft L1";
    case loss_kind::huber:
      return "Huber";
    case loss_kind::cauchy:
      return "Cauchy";
    case loss_kind::arctan:
      return "arctan";
  }
  return "unknown";
}

/// A loss and the residual C (in units of the residual, > 0) from which it stops being quadratic.
struct robust_loss {
  loss_kind kind = loss_kind::linear;
  double scale = 1.0;

  /// What one residual adds to the cost, and the factors that make its row one of a least-squares problem with the
  /// same gradient and, where that is positive, the same second derivative along the residual.
  struct terms {
    double cost;      ///< ½ C² rho
    double residual;  ///< multiply the residual by this
    double jacobian;  ///< multiply its row of the Jacobian by this
  };

  /// With ½C²rho as a function of r: first derivative rho'·r, second c = rho' + 2 z rho''. Rows scaled by √c and
  /// residuals by rho'/√c give both (Triggs, McLauchlan, Hartley and Fitzgibbon 2000, section 4.3). Where the loss is
  /// straight or concave c is held at a millionth of rho', so that JᵀJ stays positive and the residual representable.
  terms operator()(double r) const {
    if (kind == loss_kind::linear) return {0.5 * r * r, 1.0, 1.0};
    const double z = (r / scale) * (r / scale);
    double rho = z;
    double first = 1.0;
    double curvature = 1.0;
    switch (kind) {
      case loss_kind::linear:
        break;
      case loss_kind::soft_l1: {
        const double root = std::sqrt(1.0 + z);
        rho = 2.0 * z / (1.0 + root);
        first = 1.0 / root;
        curvature = first * first * first;
        break;
      }
      case loss_kind::huber:
        if (z > 1.0) {
          const double root = std::sqrt(z);
          rho = 2.0 * root - 1.0;
          first = 1.0 / root;
          curvature = 0.0;
        }
        break;
      case loss_kind::cauchy:
        rho = std::log1p(z);
        first = 1.0 / (1.0 + z);
        curvature = (1.0 - z) * first * first;
        break;
      case loss_kind::arctan:
        rho = std::atan(z);
        first = 1.0 / (1.0 + z * z);
        curvature = (1.0 - 3.0 * z * z) * first * first;
        break;
    }
    const double root = std::sqrt(std::max(curvature, 1e-6 * first));
    return {0.5 * scale * scale * rho, first / root, root};
  }
};

}  // namespace rafter
