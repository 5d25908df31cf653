// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>

namespace rafter {

namespace detail {
// Keeps the compiler from contracting a product into a later addition, which would break the error-free
// transformations below (g++ contracts by default as soon as the target has a fused multiply-add).
inline double rounded(double value) {
#if defined(__x86_64__)
  __asm__("" : "+x"(value));
#elif defined(__aarch64__)
  __asm__("" : "+w"(value));
#else
  __asm__("" : "+m"(value));
#endif
  return value;
}
}  // namespace detail

/// An unevaluated sum high + low with |low| <= ulp(high)/2: about 32 decimal digits.
/// Source: Dekker 1971, Knuth TAOCP 2; the sums are Hida, Li and Bailey's accurate ones.
struct double_double {
  double high = 0.0;
  double low = 0.0;

  constexpr double_double() = default;
  constexpr double_double(double value) : high(value) {}  // NOLINT: every double is one
  constexpr double_double(double h, double l) : high(h), low(l) {}

  /// a + b without error.
  static double_double sum(double a, double b) {
    const double s = a + b;
    const double t = s - a;
    return {s, (a - (s - t)) + (b - t)};
  }
  /// a · b without error (barring underflow).
  static double_double product(double a, double b) {
    const double p = detail::rounded(a * b);
    return {p, std::fma(a, b, -p)};
  }

  explicit operator double() const { return high + low; }
  double_double operator-() const { return {-high, -low}; }

  friend double_double operator+(double_double a, double_double b) {
    double_double s = sum(a.high, b.high);
    const double_double t = sum(a.low, b.low);
    s = quick_sum(s.high, s.low + t.high);
    return quick_sum(s.high, s.low + t.low);
  }
  friend double_double operator-(double_double a, double_double b) { return a + (-b); }
  friend double_double operator*(double_double a, double_double b) {
    const double_double p = product(a.high, b.high);
    return quick_sum(p.high, p.low + (a.high * b.low + a.low * b.high));
  }
  friend double_double operator/(double_double a, double_double b) {
    const double first = a.high / b.high;
    double_double rest = a - b * double_double{first};
    const double second = rest.high / b.high;
    rest = rest - b * double_double{second};
    const double third = rest.high / b.high;
    return quick_sum(first, second) + double_double{third};
  }
  double_double& operator+=(double_double b) { return *this = *this + b; }
  double_double& operator-=(double_double b) { return *this = *this - b; }

  /// Non-negative arguments; 0 for 0.
  friend double_double sqrt(double_double a) {
    if (!(a.high > 0.0)) return {};
    const double root = std::sqrt(a.high);
    const double_double rest = a - product(root, root);
    return quick_sum(root, rest.high / (2.0 * root));
  }

 private:
  static double_double quick_sum(double a, double b) {
    const double s = a + b;
    return {s, b - (s - a)};
  }
};

}  // namespace rafter
