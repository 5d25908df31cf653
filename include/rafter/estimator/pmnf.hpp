// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "rafter/core/pack.hpp"
#include "rafter/estimator/estimator.hpp"
#include "rafter/feature/feature_set.hpp"
#include "rafter/feature/matrix.hpp"
#include "rafter/solver/normal_form.hpp"
#include "rafter/step/columns.hpp"
#include "rafter/units/quantity.hpp"

namespace rafter {

/// How `pmnf` searches. Derive and say what is different: `struct squares : pmnf_options { static constexpr bool
/// relative = false; };`. See normal_form_options for what each means.
struct pmnf_options {
  static constexpr std::span<const term_exponents> exponents = extra_p_exponents;
  static constexpr std::size_t max_terms = 3;
  static constexpr bool products = true;
  static constexpr bool relative = true;
  static constexpr bool non_negative = true;
  static constexpr double simpler_within = 0.02;
  /// What one form must explain of another's rows: its label is left out as a whole. Where the training rows have fewer
  /// than two labels of it, consecutive blocks of rows are left out instead.
  static constexpr group folds_by = group::model;
  static constexpr std::size_t blocks = 5;  ///< of rows; and the most folds of labels, which are dealt out in order
};

/// A formula in performance-model normal form, found on training rows.
template <class Metrics, class Options> class pmnf_predictor {
 public:
  pmnf_predictor(normal_form form, std::string left_out) : form_(std::move(form)), left_out_(std::move(left_out)) {}

  const normal_form& form() const { return form_; }
  /// "0.00012 + 3.4e-06 · gemm_us · log2(1 + gemm_us)", in seconds.
  std::string formula() const { return form_.formula(Metrics::names); }

  fit_summary summary() const {
    std::string status = "ok; " + std::to_string(form_.terms.size()) + " terms";
    if (!std::isnan(form_.cross_validated_error)) {
      status += ", cross-validated error " + detail::percent_text(form_.cross_validated_error);
    } else {
      status += ", nothing to cross-validate on";
    }
    const std::size_t constant = form_.constant != 0.0 || form_.terms.empty() ? 1 : 0;
    return {.rows = form_.rows,
            .parameters = form_.terms.size() + 1,
            .identifiable = form_.terms.size() + constant,
            .status = std::move(status)};
  }
  /// The formula, and how the search came by it.
  std::vector<std::string> findings() const {
    std::vector<std::string> lines{"step time [s] = " + formula()};
    if (std::isnan(form_.cross_validated_error)) return lines;
    lines.push_back("chosen by the rows of each " + left_out_ + " left out: error " +
                    detail::percent_text(form_.cross_validated_error) + " there (root mean square), SMAPE " +
                    detail::percent_text(form_.cross_validated_smape) + ", " +
                    detail::percent_text(form_.training_error) + " on the training rows; " +
                    std::to_string(form_.hypotheses) + " forms of " + std::to_string(form_.candidates) +
                    " terms tried");
    std::string by_terms;
    for (std::size_t k = 0; k < form_.error_by_terms.size(); ++k) {
      if (std::isnan(form_.error_by_terms[k])) continue;
      by_terms += (by_terms.empty() ? "" : ", ") + detail::percent_text(form_.error_by_terms[k]) + " with " +
                  std::to_string(k);
    }
    lines.push_back("least error there by number of terms: " + by_terms);
    return lines;
  }

  /// Predicts rows of a dataset [s]. @param out  rows.size() values
  template <class Schema>
  RAFTER_HOT void predict(const dataset<Schema>& data, const row_set& rows, std::span<double> out) const {
    using binding = detail::dataset_binding<Schema>;
    Metrics::template require_on<binding>();
    if constexpr (Metrics::template evaluable<binding>) {
      const column_evaluation<typename Metrics::template plan_for<binding>, Schema> evaluation(data, rows);
      std::size_t at = 0;
      evaluation.for_each_run(rows, [&](const auto& slots, row_range range) {
        for (std::size_t row = range.begin; row < range.end; row += pack_width) {
          std::array<pack, Metrics::size> x;
          evaluation.template rows<pack>(slots, row, [&](auto index, pack value) RAFTER_INLINE_LAMBDA {
            x[static_cast<std::size_t>(decltype(index)::value)] = value;
          });
          pack sum = broadcast<pack>(form_.constant);
          for (std::size_t k = 0; k < form_.terms.size(); ++k) {
            const normal_form_term& term = form_.terms[k];
            pack value = term_factor(x[term.metric], term.exponents);
            if (term.second != normal_form_term::none) {
              value = value * term_factor(x[term.second], term.second_exponents);
            }
            sum = sum + form_.coefficients[k] * value;
          }
          const std::size_t count = std::min(pack_width, range.end - row);
          for (std::size_t lane = 0; lane < count; ++lane) out[at++] = sum[lane];
        }
      });
    }
  }

  /// What the metrics need of the deployment computed once; the result predicts records of type `Record`.
  template <class Record, class Deployment> auto bind(const Deployment& deployment) const {
    return [metrics = Metrics::template bind<Record>(deployment), form = form_](const Record& record) {
      return seconds{form.predict(metrics(record).data())};
    };
  }
  /// One step of one deployment. Does not allocate.
  template <class Record, class Deployment>
  seconds predict(const Record& record, const Deployment& deployment) const {
    return seconds{form_.predict(Metrics::evaluate(record, deployment).data())};
  }

 private:
  normal_form form_;
  std::string left_out_;
};

/// Searches a formula for the step time in performance-model normal form (solver/normal_form.hpp): a constant and up to
/// three terms, each a power of a metric times a logarithm, or the product of two metrics' such, chosen by the error on
/// training rows that were left out. `Metrics` are features that are finite and not negative.
///
///   using found = pmnf<catalog::work_metrics>;
///   found::fit(data, rows).formula();                        // "0.00031 + 1.4e-06 · gemm_memory_us + …"
template <auto Metrics, class Options = pmnf_options> struct pmnf {
  using metrics = typename std::remove_cvref_t<decltype(Metrics)>::set_type;
  static_assert(metrics::size > 0, "rafter: a normal form is of at least one metric");

  static std::string name() {
    return "performance-model normal form of " + std::to_string(metrics::size) + " metrics, up to " +
           std::to_string(Options::max_terms) + " terms";
  }
  /// What is chosen by looking at errors, and on which rows.
  static std::string tuned() {
    return "terms and exponents, by cross-validation over each " + std::string(name_of(Options::folds_by)) +
           " inside the training rows";
  }
  static constexpr std::string_view reads_identity(group axis) { return metrics::identity_feature(name_of(axis)); }
  static constexpr bool fitted_per(group) { return false; }
  template <class Schema> static constexpr std::string_view missing_on() {
    return metrics::template missing_on<detail::dataset_binding<Schema>>();
  }

  /// @throws fit_error on no rows; on a metric that is negative or not finite, or a target that is not a number (for
  ///         relative errors: not positive), named with the row
  template <class Schema> RAFTER_COLD static auto fit(const dataset<Schema>& data, const row_set& rows) {
    metrics::template require_on<detail::dataset_binding<Schema>>();
    if constexpr (missing_on<Schema>().empty()) {
      if (rows.empty()) throw fit_error("no rows to fit on");
      const feature_values values = feature_matrix(metrics{}, data, rows);
      const std::vector<std::size_t> numbers = rows.to_vector();
      const auto refuse = [&](const std::string& what, std::size_t i) {
        throw fit_error(what + " on " + detail::place_of_row(data, numbers[i]));
      };
      for (std::size_t m = 0; m < metrics::size; ++m) {
        for (std::size_t i = 0; i < numbers.size(); ++i) {
          const double value = values(i, m);
          if (value >= 0.0 && std::isfinite(value)) continue;
          refuse("metric '" + std::string(metrics::names[m]) + "' is " +
                     (std::isnan(value)   ? "not a number"
                      : std::isinf(value) ? "infinite"
                                          : "negative"),
                 i);
        }
      }
      std::vector<double> y;
      y.reserve(numbers.size());
      for (std::size_t i = 0; i < numbers.size(); ++i) {
        y.push_back(data.target()[numbers[i]]);
        const std::string target = "target '" + std::string(data.target_name()) + "'";
        if (std::isnan(y.back())) refuse(target + " is not a number", i);
        if (Options::relative && !(y.back() > 0.0)) {
          refuse(target + " is not positive, so has no relative error,", i);
        }
      }
      const parts left_out = parts_of(data, numbers);
      return pmnf_predictor<metrics, Options>(search_normal_form({.rows = numbers.size(),
                                                                  .metrics = metrics::size,
                                                                  .x = values.data(),
                                                                  .y = y.data(),
                                                                  .fold = left_out.of_row.data(),
                                                                  .folds = left_out.count},
                                                                 {.exponents = Options::exponents,
                                                                  .max_terms = Options::max_terms,
                                                                  .products = Options::products,
                                                                  .relative = Options::relative,
                                                                  .non_negative = Options::non_negative,
                                                                  .simpler_within = Options::simpler_within}),
                                              left_out.what);
    }
  }

 private:
  struct parts {
    std::vector<std::uint32_t> of_row;
    std::size_t count = 0;
    std::string what;
  };
  template <class Schema> static parts parts_of(const dataset<Schema>& data, const std::vector<std::size_t>& rows) {
    parts made;
    if (data.has_group(Options::folds_by)) {
      const group_column& labels = data.groups(Options::folds_by);
      constexpr std::uint32_t unseen = static_cast<std::uint32_t>(-1);
      std::vector<std::uint32_t> number(labels.count(), unseen);
      std::uint32_t seen = 0;
      for (const std::size_t row : rows) {
        std::uint32_t& own = number[labels.code(row)];
        if (own == unseen) own = seen++;
        made.of_row.push_back(own % static_cast<std::uint32_t>(Options::blocks));
      }
      made.count = std::min<std::size_t>(seen, Options::blocks);
      made.what = seen <= Options::blocks ? std::string(name_of(Options::folds_by))
                                          : "of " + std::to_string(made.count) + " sets of labels of " +
                                                std::string(name_of(Options::folds_by));
      if (seen > 1) return made;
    }
    made.count = std::min(rows.size(), Options::blocks);
    made.of_row.clear();
    for (std::size_t i = 0; i < rows.size(); ++i) {
      made.of_row.push_back(static_cast<std::uint32_t>(i * made.count / rows.size()));
    }
    made.what = "of " + std::to_string(made.count) + " blocks of rows";
    return made;
  }
};

}  // namespace rafter
