// rafter-study: what the program asks of each schema. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "rafter/core/progress.hpp"
#include "rafter/evaluation/report.hpp"
#include "rafter/step/groups.hpp"
#include "rafter/validation/fold.hpp"

namespace study {

/// The content of a file, and its name for errors and reports. The text outlives the study.
struct input {
  std::string name;
  std::string_view text;
};

/// Which of the held-out steps count.
enum class tested_steps { all, decode, prompts };

/// The command line, parsed, and the files that it names.
struct request {
  input data;
  std::optional<input> test;
  std::string target;                   ///< empty: the schema's first
  std::string split;                    ///< empty: the schema's usual one
  std::vector<std::string> predictors;  ///< empty: all that the schema offers
  tested_steps tested = tested_steps::all;
  std::size_t threads = 0;  ///< that fit and test folds; 0: all of the machine
  bool diagnose = true;     ///< add what the predictions say beside their errors
  std::string reference;    ///< what the others are compared with; empty: the best worst fold
  bool ablation = false;    ///< evaluate without each feature too
  rafter::progress_callback progress;
  std::function<void(std::string_view predictor, const rafter::fold_result&)> on_fold;
};

/// What a schema offers, for --list.
struct offer {
  std::string schema;
  std::vector<std::string> targets;
  std::vector<std::string> predictors;
  std::string usual_split;
};

/// Throws usage_error, naming the nearest, unless `name` is among `known`.
void require_known(std::string_view kind, std::string_view name, const std::vector<std::string>& known);

/// The observable behind a target's name: the observable's own, or that of its column in the file.
std::string observable_of(std::string_view target);

/// The targets of a schema with the column names that files use for them: `logged_duration (duration_us)`.
std::vector<std::string> target_names(const offer& offered);

/// Throws usage_error, naming the nearest, for a target, split or predictor that there is none of.
void require_offered(const request& asked, const offer& offered);

/// All that a split may see of a dataset, whatever its schema: policies are compiled once, not once per schema.
class split_view {
 public:
  template <class Data>
  explicit split_view(const Data& data) : source_(data.source()), size_(data.size()), step_ids_(data.step_ids()) {
    for (std::size_t axis = 0; axis < rafter::group_axes; ++axis) {
      const auto which = static_cast<rafter::group>(axis);
      if (data.has_group(which)) groups_[axis] = &data.groups(which);
    }
  }
  const std::string& source() const { return source_; }
  std::size_t size() const { return size_; }
  std::span<const double> step_ids() const { return step_ids_; }
  bool has_group(rafter::group axis) const { return groups_[static_cast<std::size_t>(axis)] != nullptr; }
  const rafter::group_column& groups(rafter::group axis) const;

 private:
  std::string source_;
  std::size_t size_;
  std::span<const double> step_ids_;
  std::array<const rafter::group_column*, rafter::group_axes> groups_{};
};

/// A split chosen by name, and what it makes of the data.
struct chosen_split {
  std::string name;
  std::string title;
  std::array<bool, rafter::group_axes> holds_out{};  ///< no tested label of this axis is trained on
  std::vector<rafter::fold> folds;
};

std::vector<std::string> split_names();
/// @throws usage_error for an unknown name; what the policy throws where the data does not allow it
chosen_split choose_split(std::string_view name, const split_view& data);

// One translation unit per schema: each compiles its predictors once.
rafter::evaluation_report run_blis_steps(const request& asked);
rafter::evaluation_report run_kernel_steps(const request& asked);
rafter::evaluation_report run_rafter_steps(const request& asked);
offer offer_of_blis_steps();
offer offer_of_kernel_steps();
offer offer_of_rafter_steps();

}  // namespace study
