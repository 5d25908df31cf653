// rafter-study: evaluates predictors, chosen by name at run time, on one schema. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "rafter/core/nearest_name.hpp"
#include "rafter/estimator/predictors.hpp"
#include "rafter/evaluation/evaluate.hpp"
#include "rafter/evaluation/transfer.hpp"
#include "rafter/io/digest.hpp"
#include "rafter/step/digest.hpp"
#include "rafter/validation.hpp"
#include "study.hpp"

namespace study {

/// A predictor by name. `Anonymous` is what stands in for it where the split holds models out and the predictor's own
/// features would identify them; void: nothing does.
template <class Estimator, class Anonymous = void>
struct entry {
  using estimator = Estimator;
  using anonymous = Anonymous;
  static constexpr std::string_view name = Estimator::label;
};

/// The observable behind a target's name: the observable's own, or that of its column in the file.
inline std::string observable_of(std::string_view target) {
  if (target == "duration_us") return "logged_duration";
  if (target == "interval_us") return "step_interval";
  if (target == "total_us" || target == "gpu_time_us") return "gpu_step_time";
  if (target == "wall_time_us") return "wall_time";
  return std::string(target);
}

/// Calls `visit(split)` for each split policy that the program knows.
template <class Visit>
void each_split(Visit visit) {
  using namespace rafter;
  visit(temporal{});
  visit(lomo{});
  visit(lowo{});
  visit(loeo{});
  visit(loho{});
  visit(leave_one_attention_shape_out{});
  visit(k_fold{});
  visit(rolling_origin{});
  visit(pooled{temporal{}});
  visit(lomo{} * temporal{});
  visit(lowo{} * temporal{});
}

/// Describes one predictor's result, or says why there is none.
template <class Entry, class Split, class Schema>
rafter::predictor_result run_entry(const rafter::dataset<Schema>& data, const std::vector<rafter::fold>& folds,
                                   const rafter::dataset<Schema>* test, const rafter::evaluate_options& options,
                                   std::vector<std::string>& notes) {
  using namespace rafter;
  const auto run = [&]<class E>() -> predictor_result {
    constexpr std::string_view missing = E::template missing_on<Schema>();
    if constexpr (!missing.empty()) {
      return {.predictor = std::string(Entry::name),
              .description = E::name(),
              .folds = {},
              .refused = "it needs the observable '" + std::string(missing) + "', which schema " +
                         std::string(Schema::name) + " does not carry"};
    } else if (test != nullptr) {
      return evaluate_transfer<E>(data, *test).result;
    } else {
      return evaluate_on_folds<E>(data, folds, options).result;
    }
  };
  using estimator = typename Entry::estimator;
  using anonymous = typename Entry::anonymous;
  if constexpr (transfers_under<estimator, Split>) {
    return run.template operator()<estimator>();
  } else if constexpr (!std::is_void_v<anonymous>) {
    static_assert(transfers_under<anonymous, Split>);
    notes.push_back(std::string(Entry::name) + ": its feature '" +
                    std::string(estimator::reads_identity(group::model)) +
                    "' identifies the held-out models and is left out");
    return run.template operator()<anonymous>();
  } else {
    return {.predictor = std::string(Entry::name),
            .description = estimator::name(),
            .folds = {},
            .refused = "it knows or is fitted per group, and split " + std::string(Split::name) + " holds groups out"};
  }
}

/// A stand-in for "no split" when a test file is given: nothing that the model code could reveal is known of a file.
struct other_file {
  static constexpr std::string_view name = "test_file";
  static constexpr std::array held_out{rafter::group::model};
  static constexpr std::optional<rafter::group> fits_one_per{};
  static constexpr bool is_random = false;
  std::vector<rafter::fold> folds(const rafter::splittable auto&) const { return {}; }
};

template <class... Entries>
std::vector<std::string> names_of(std::tuple<Entries...>) {
  return {std::string(Entries::name)...};
}

/// Evaluates what is asked on `data` (and `test`, if given).
template <class Entries, class Schema>
rafter::evaluation_report run(const request& asked, const rafter::dataset<Schema>& all,
                              const std::type_identity_t<rafter::dataset<Schema>>* other, std::string_view usual_split) {
  using namespace rafter;
  const std::vector<std::string> known = names_of(Entries{});
  for (const std::string& name : asked.predictors) {
    if (std::find(known.begin(), known.end(), name) == known.end()) {
      throw usage_error("unknown predictor '" + name + "'" + did_you_mean(name, known) + " (see --list)");
    }
  }
  const std::string split_name = asked.split.empty() ? std::string(usual_split) : asked.split;
  const std::vector<std::string> splits = split_names();
  if (std::find(splits.begin(), splits.end(), split_name) == splits.end()) {
    throw usage_error("unknown split '" + split_name + "'" + did_you_mean(split_name, splits) + " (see --list)");
  }

  std::vector<std::string> targets;
  Schema::targets::each([&]<class Leaf>() { targets.emplace_back(Leaf::name); });
  const std::string target = asked.target.empty() ? std::string(all.target_name()) : observable_of(asked.target);
  if (std::find(targets.begin(), targets.end(), target) == targets.end()) {
    throw usage_error("unknown target '" + asked.target + "'" + did_you_mean(target, targets) + " (see --list)");
  }
  const dataset<Schema> data = all.for_target(target);
  std::optional<dataset<Schema>> test;
  if (other != nullptr) test = other->for_target(target);

  evaluation_report report = describe_data(data);
  report.digest = digest(data);
  if (!asked.data.empty()) report.file_sha256 = file_sha256(data.source());
  if (!asked.target.empty()) report.target = report.plausibility.target = asked.target;
  const evaluate_options options{.progress = asked.progress};
  const auto run_all = [&]<class Split>(const Split&, const std::vector<fold>& folds) {
    const auto one = [&]<class Entry>(Entry) {
      const bool wanted = asked.predictors.empty() ||
                          std::find(asked.predictors.begin(), asked.predictors.end(), Entry::name) != asked.predictors.end();
      if (!wanted) return;
      report.results.push_back(
          run_entry<Entry, Split>(data, folds, test ? &*test : nullptr, options, report.notes));
    };
    std::apply([&](auto... entries) { (one(entries), ...); }, Entries{});
  };

  if (test) {
    report.split = "test_file";
    report.split_title = "fitted on all rows, tested on " + test->source();
    const plausibility_report audit = plausibility(*test);
    report.notes.push_back(test->source() + ": " + std::to_string(test->size()) + " rows; " + audit.verdict());
    run_all(other_file{}, {});
    return report;
  }
  each_split([&](const auto& split) {
    using split_type = std::remove_cvref_t<decltype(split)>;
    if (split_type::name != split_name) return;
    report.split = std::string(split_type::name);
    report.split_title = std::string(title_of<split_type>);
    run_all(split, checked_folds(data, split));
  });
  return report;
}

template <class Schema, class Entries>
offer offer_of(std::string_view usual_split) {
  offer made{.schema = std::string(Schema::name),
             .targets = {},
             .predictors = names_of(Entries{}),
             .usual_split = std::string(usual_split)};
  Schema::targets::each([&]<class Leaf>() { made.targets.emplace_back(Leaf::name); });
  return made;
}

}  // namespace study
