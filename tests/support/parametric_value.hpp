// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <map>
#include <string_view>
#include <vector>

#include "rafter/expression/evaluate.hpp"
#include "rafter/step/record.hpp"

namespace tiny {

/// The value of an expression with parameters, in the order of their first mention.
template <rafter::expression E, class Record, class Deployment>
double value_at(E, const std::vector<double>& parameters, const Record& record, const Deployment& deployment) {
  using run = rafter::detail::executor<rafter::plan<rafter::detail::record_binding<Deployment, Record>, E>>;
  typename run::slot_array slots{};
  run::bind(slots.data(), deployment, parameters.data());
  double result = 0.0;
  run::step(slots.data(), record, [&](auto, double v) { result = v; });
  return result;
}
/// The names of an expression's parameters in that order.
template <class E> std::vector<std::string_view> parameter_names() {
  std::vector<std::string_view> names;
  for (const auto& one : rafter::plan<rafter::as_written, E>::tape.parameters) names.push_back(one.name);
  return names;
}

/// The same from values by name. @throws std::out_of_range for a parameter without one
template <rafter::expression E, class Record, class Deployment>
double value_at(E e, const std::map<std::string_view, double>& by_name, const Record& record,
                const Deployment& deployment) {
  using binding = rafter::detail::record_binding<Deployment, Record>;
  std::vector<double> values;
  for (const auto& one : rafter::plan<binding, E>::tape.parameters) values.push_back(by_name.at(one.name));
  return value_at(e, values, record, deployment);
}

}  // namespace tiny
