// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cctype>
#include <cmath>
#include <cstddef>
#include <cstdlib>
#include <functional>
#include <map>
#include <memory>
#include <numbers>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

/// A value and its derivatives by up to nine parameters: forward-mode differentiation for the tests.
struct dual {
  static constexpr std::size_t size = 9;
  double value = 0.0;
  std::array<double, size> slope{};

  dual() = default;
  dual(double constant) : value(constant) {}  // NOLINT: every number is one
  static dual parameter(double at, std::size_t index) {
    dual made(at);
    made.slope.at(index) = 1.0;
    return made;
  }
  /// f(this) with f' given.
  dual chain(double f, double derivative) const {
    dual made(f);
    for (std::size_t k = 0; k < size; ++k) made.slope[k] = slope[k] == 0.0 ? 0.0 : derivative * slope[k];
    return made;
  }
  dual operator-() const { return chain(-value, -1.0); }
  friend dual operator+(const dual& a, const dual& b) {
    dual made(a.value + b.value);
    for (std::size_t k = 0; k < size; ++k) made.slope[k] = a.slope[k] + b.slope[k];
    return made;
  }
  friend dual operator-(const dual& a, const dual& b) { return a + (-b); }
  friend dual operator*(const dual& a, const dual& b) {
    dual made(a.value * b.value);
    for (std::size_t k = 0; k < size; ++k) made.slope[k] = a.slope[k] * b.value + a.value * b.slope[k];
    return made;
  }
  friend dual operator/(const dual& a, const dual& b) {
    dual made(a.value / b.value);
    for (std::size_t k = 0; k < size; ++k) made.slope[k] = (a.slope[k] - made.value * b.slope[k]) / b.value;
    return made;
  }
  bool is_constant() const {
    for (const double each : slope) {
      if (each != 0.0) return false;
    }
    return true;
  }
  friend dual pow(const dual& a, const dual& b) {
    if (b.is_constant()) return a.chain(std::pow(a.value, b.value), b.value * std::pow(a.value, b.value - 1.0));
    const double whole = std::pow(a.value, b.value);
    return a.chain(whole, b.value * std::pow(a.value, b.value - 1.0)) + b.chain(0.0, whole * std::log(a.value));
  }
  friend dual exp(const dual& a) { return a.chain(std::exp(a.value), std::exp(a.value)); }
  friend dual log(const dual& a) { return a.chain(std::log(a.value), 1.0 / a.value); }
  friend dual sin(const dual& a) { return a.chain(std::sin(a.value), std::cos(a.value)); }
  friend dual cos(const dual& a) { return a.chain(std::cos(a.value), -std::sin(a.value)); }
  friend dual atan(const dual& a) { return a.chain(std::atan(a.value), 1.0 / (1.0 + a.value * a.value)); }
};

/// A formula as NIST prints it: + - * / **, brackets ( ) and [ ], exp, log, sin, cos, arctan, pi, names and numbers.
class formula {
 public:
  using values = std::map<std::string, dual>;

  explicit formula(const std::string& text) {
    for (const char c : text) {
      if (std::isspace(static_cast<unsigned char>(c)) == 0) text_ += c == '[' ? '(' : c == ']' ? ')' : c;
    }
    root_ = sum();
    if (at_ != text_.size()) fail();
  }
  dual operator()(const values& names) const { return root_(names); }

 private:
  using node = std::function<dual(const values&)>;
  std::string text_;
  std::size_t at_ = 0;
  node root_;

  [[noreturn]] void fail() const {
    throw std::runtime_error("formula: cannot read '" + text_.substr(at_) + "' in '" + text_ + "'");
  }
  bool take(const std::string& token) {
    if (text_.compare(at_, token.size(), token) != 0) return false;
    at_ += token.size();
    return true;
  }
  node sum() {
    node left = take("-") ? negated(product()) : product();
    while (at_ < text_.size() && (text_[at_] == '+' || text_[at_] == '-')) {
      const bool minus = text_[at_++] == '-';
      node right = minus ? negated(product()) : product();
      left = [a = left, b = right](const values& v) { return a(v) + b(v); };
    }
    return left;
  }
  static node negated(node of) {
    return [of](const values& v) { return -of(v); };
  }
  node product() {
    node left = power();
    while (at_ < text_.size() && (text_[at_] == '*' || text_[at_] == '/')) {
      const bool over = text_[at_++] == '/';
      node right = power();
      left = [a = left, b = right, over](const values& v) { return over ? a(v) / b(v) : a(v) * b(v); };
    }
    return left;
  }
  node power() {
    node base = primary();
    if (!take("**")) return base;
    node exponent = power();
    return [base, exponent](const values& v) { return pow(base(v), exponent(v)); };
  }
  node primary() {
    if (take("-")) return negated(primary());
    if (take("(")) {
      node inner = sum();
      if (!take(")")) fail();
      return inner;
    }
    if (at_ < text_.size() && (std::isdigit(static_cast<unsigned char>(text_[at_])) != 0 || text_[at_] == '.')) {
      char* end = nullptr;
      const double number = std::strtod(text_.c_str() + at_, &end);
      at_ = static_cast<std::size_t>(end - text_.c_str());
      return [number](const values&) { return dual(number); };
    }
    std::string name;
    while (at_ < text_.size() && std::isalnum(static_cast<unsigned char>(text_[at_])) != 0) name += text_[at_++];
    if (name.empty()) fail();
    if (!take("(")) {
      if (name == "pi") return [](const values&) { return dual(std::numbers::pi); };
      return [name](const values& v) { return v.at(name); };
    }
    node inner = sum();
    if (!take(")")) fail();
    if (name == "exp") return [inner](const values& v) { return exp(inner(v)); };
    if (name == "log") return [inner](const values& v) { return log(inner(v)); };
    if (name == "sin") return [inner](const values& v) { return sin(inner(v)); };
    if (name == "cos") return [inner](const values& v) { return cos(inner(v)); };
    if (name == "arctan") return [inner](const values& v) { return atan(inner(v)); };
    fail();
  }
};
