// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// opt-in: by name, or all diagnoses with rafter/evaluation/diagnose.hpp.
#pragma once

#include <cstddef>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "rafter/config.hpp"
#include "rafter/evaluation/diagnostics/hardware_sensitivity.hpp"
#include "rafter/evaluation/diagnostics/probes.hpp"
#include "rafter/evaluation/evaluate.hpp"

namespace rafter {

/// A predictor that can be made again with other values of its parameters.
template <class P>
concept has_adjustable_parameters = requires(const P& fitted, nonlinear_solution solution) {
  { fitted.solution() } -> std::convertible_to<const nonlinear_solution&>;
  { fitted.layout() } -> std::convertible_to<const parameter_layout&>;
  P(fitted.layout(), std::move(solution), fitted.identifiability(), std::size_t{}, std::vector<std::string>{});
};

/// What each fitted parameter does to predictions of a sample of the tested rows, when it is a tenth more and less.
/// Bounds are not looked at: this is a diagnosis, not a fit. Parameters of all folds that have the same name count
/// together.
/// @param outcome  of evaluate_on_folds on the same folds
template <has_adjustable_parameters Predictor, dataset_schema Schema>
RAFTER_COLD sensitivity_report parameter_sensitivity(const dataset<Schema>& data, const std::vector<fold>& folds,
                                                     const evaluated<Predictor>& outcome,
                                                     const probe_options& options = {}) {
  sensitivity_report made;
  made.predictor = outcome.result.predictor;
  std::vector<detail::sensitivity_sums> sums;
  row_set tested;
  for (const fold& part : folds) tested = tested | part.test;
  const row_set sample = sample_of(tested, options.rows, options.seed);
  const auto times = data.target();
  for (std::size_t f = 0; f < outcome.fitted.size(); ++f) {
    const Predictor& fitted = outcome.fitted[f];
    const row_set rows = sample & folds[f].test;
    if (rows.empty()) continue;
    const std::vector<std::size_t> numbers = rows.to_vector();
    std::vector<double> as_is(rows.size()), more(rows.size()), less(rows.size());
    fitted.predict(data, rows, std::span<double>(as_is));
    for (std::size_t k = 0; k < fitted.layout().size(); ++k) {
      const auto predict = [&](double factor, std::vector<double>& to) {
        nonlinear_solution other = fitted.solution();
        other.parameters[k] *= factor;
        const Predictor changed(fitted.layout(), std::move(other), fitted.identifiability(), rows.size(), {});
        changed.predict(data, rows, std::span<double>(to));
      };
      predict(1.1, more);
      predict(0.9, less);
      const std::string& name = fitted.layout().name(k);
      std::size_t at = 0;
      while (at < made.figures.size() && made.figures[at].figure != name) ++at;
      if (at == made.figures.size()) {
        made.figures.emplace_back().figure = name;
        sums.emplace_back();
      }
      for (std::size_t i = 0; i < numbers.size(); ++i) {
        sums[at].add(made.figures[at], times[numbers[i]], as_is[i], more[i], less[i]);
      }
    }
  }
  for (std::size_t at = 0; at < sums.size(); ++at) sums[at].finish(made.figures[at]);
  return made;
}

}  // namespace rafter
