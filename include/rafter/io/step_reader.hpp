// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "rafter/analytical/deployment.hpp"
#include "rafter/architecture/catalog.hpp"
#include "rafter/core/progress.hpp"
#include "rafter/hardware/catalog.hpp"
#include "rafter/io/csv.hpp"
#include "rafter/io/error.hpp"
#include "rafter/step/dataset.hpp"

namespace rafter {

/// How a file of steps is read.
struct step_read_options {
  /// Receives each refused row, which is then left out and counted in a note. Without it (and without `bad_rows`) the
  /// first bad row throws.
  std::function<void(const io_error&)> on_bad_row = {};
  /// Collects refused rows and counts them.
  bad_row_report* bad_rows = nullptr;
  progress_callback progress = {};
  /// Architectures by the name that the file's `model` column uses, e.g. from read_huggingface_config. They come
  /// before the catalogue; a name that is in neither is an error.
  std::map<std::string, decoder, std::less<>> architectures = {};
};

namespace detail {

/// Most requests that a reader believes one step to have; a guard against a typing error that would fill the memory.
inline constexpr std::int64_t most_requests = 1'000'000;

/// A count: a whole number, not negative, exact in a double.
inline std::int64_t count_in(const csv_row& row, std::size_t column) {
  const std::int64_t value = row.integer(column);
  if (value < 0) throw row.error_at(column, "is negative");
  if (value > (std::int64_t{1} << 53U)) throw row.error_at(column, "is too large to count anything");
  return value;
}
/// A time on a clock in nanoseconds, exactly: since 1970 it is beyond what a double counts.
inline std::int64_t clock_in(const csv_row& row, std::size_t column) {
  const std::int64_t value = row.integer(column);
  if (value < 0) throw row.error_at(column, "is negative");
  return value;
}
inline std::int64_t request_count_in(const csv_row& row, std::size_t column) {
  const std::int64_t value = count_in(row, column);
  if (value > most_requests) {
    throw row.error_at(column,
                       "is more than the " + std::to_string(most_requests) + " requests that a step may have");
  }
  return value;
}
/// A span of time in microseconds, not negative, in seconds: the double nearest to the decimal number a million times
/// smaller, so that every time in seconds has a text that gives it back.
inline double seconds_in(const csv_row& row, std::size_t column) {
  const double microseconds = row.number(column);
  if (microseconds < 0.0) throw row.error_at(column, "is negative");
  std::string_view text = row.text(column);
  int exponent = 0;
  if (const std::size_t e = text.find_first_of("eE"); e != std::string_view::npos) {
    const std::size_t digits = e + (text.substr(e + 1).starts_with('+') ? 2 : 1);
    std::from_chars(text.data() + digits, text.data() + text.size(), exponent);
    text = text.substr(0, e);
  }
  char short_form[64];
  std::string long_form;
  char* scaled = short_form;
  if (text.size() + 16 > sizeof short_form) {
    long_form.resize(text.size() + 16);
    scaled = long_form.data();
  }
  char* end = std::copy(text.begin(), text.end(), scaled);
  *end++ = 'e';
  end = std::to_chars(end, end + 12, std::clamp(exponent, -100'000, 100'000) - 6).ptr;
  double seconds = 0.0;
  if (std::from_chars(scaled, end, seconds).ec != std::errc() || (seconds == 0.0 && microseconds != 0.0)) {
    throw row.error_at(column, "is outside the range of a time in seconds");
  }
  return seconds;
}
/// A measured span: not zero either.
inline double positive_seconds_in(const csv_row& row, std::size_t column) {
  const double seconds = seconds_in(row, column);
  if (!(seconds > 0.0)) throw row.error_at(column, "is not a time that a step can take");
  return seconds;
}

/// What a dataset refused, as an error of the reader. `comments` lines before the table are not counted: the reader
/// that cut them off adds them to every error.
inline io_error io_error_of(const dataset_error& refused, const std::string& path, std::size_t comments) {
  std::string_view what = refused.what();
  std::size_t line = 0;
  if (what.starts_with(path)) {  // "path:line: fact" or "path: fact"
    what.remove_prefix(path.size());
    const char* const last = what.data() + what.size();
    const char* at = what.data() + (what.empty() ? 0 : 1);
    if (const auto [stop, code] = std::from_chars(at, last, line); code == std::errc()) at = stop + (stop != last);
    while (at != last && *at == ' ') ++at;
    what = {at, static_cast<std::size_t>(last - at)};
  }
  return {{path, line > comments ? line - comments : 0}, {}, {}, what};
}

/// Keeps the row that was begun. @throws io_error for what the dataset refuses
template <class Schema>
void keep_row(dataset_builder<Schema>& build, const std::string& path, std::size_t comments = 0) {
  try {
    build.end_row();
  } catch (const dataset_error& refused) {
    throw io_error_of(refused, path, comments);
  }
}

/// What a refused row does: the csv options that say so.
inline csv_options csv_options_of(const step_read_options& options) {
  csv_options csv;
  csv.bad_rows = options.bad_rows;
  csv.on_bad_row = options.on_bad_row;
  csv.progress = options.progress;
  return csv;
}

/// The study's code of a model, by its shape; -1 for models that it did not have.
inline double study_model_code(const decoder& model) {
  if (same_shape(model, codellama_34b{})) return 0.0;
  if (same_shape(model, llama2_7b{})) return 1.0;
  if (same_shape(model, llama2_70b{})) return 2.0;
  if (same_shape(model, mixtral_8x7b{})) return 3.0;
  return -1.0;
}

/// The engines of a file, found by the model, hardware and tp that its rows name. Models of one shape count as one:
/// they share a model code, and a split that holds one out holds out the other.
template <class Schema> class step_engines {
 public:
  struct engine {
    std::size_t deployment = 0;
    std::string attention_shape;
    std::string routing;
    std::string tp;  ///< in one spelling, whatever the file's
  };

  step_engines(dataset_builder<Schema>& build, const step_read_options& options) : build_(build), options_(options) {}

  /// The engine of a row. @throws io_error when the model or the hardware is unknown or cannot be run on `tp` ranks
  const engine& find(const csv_row& row, std::size_t model, std::size_t tp, std::size_t hardware) {
    return find(row, model, tp, row.required_text(hardware), hardware);
  }
  /// The same for a file that does not say its hardware.
  const engine& find(const csv_row& row, std::size_t model, std::size_t tp, std::string_view hardware,
                     std::size_t hardware_column = static_cast<std::size_t>(-1)) {
    const std::string_view name = row.required_text(model);
    const std::int64_t ranks = row.integer(tp);
    if (!known_.empty() && known_[last_].is(name, hardware, ranks)) return known_[last_].found;
    for (last_ = 0; last_ < known_.size(); ++last_) {
      if (known_[last_].is(name, hardware, ranks)) return known_[last_].found;
    }
    last_ = 0;
    if (ranks < 1 || ranks > 1024) throw row.error_at(tp, "is not a number of tensor-parallel ranks");
    named_engine made{std::string(name), std::string(hardware), ranks, {}};
    deployment runs;
    runs.architecture = architecture(row, model, name);
    try {
      runs.hardware = find_accelerator(hardware);
    } catch (const hardware_error& unknown) {
      if (hardware_column == static_cast<std::size_t>(-1)) throw;
      throw row.error_at(hardware_column,
                         "is an unknown accelerator" + rest_of(unknown.what(), "unknown accelerator", hardware));
    }
    try {
      made.found.attention_shape = attention_shape_name(runs.architecture, static_cast<int>(ranks));
    } catch (const architecture_error& impossible) {
      throw row.error_at(tp, impossible.what());
    }
    made.found.routing = runs.architecture.experts > 1 ? "mixture_of_experts" : "dense";
    runs.tensor_parallel = static_cast<double>(ranks);
    runs.model_code = code_of(runs.architecture);
    made.found.deployment = deployment_of(runs);
    remember(made.model, runs.architecture);
    remember(made.hardware, runs.hardware);
    made.found.tp = std::to_string(ranks);
    known_.push_back(std::move(made));
    last_ = known_.size() - 1;
    return known_[last_].found;
  }

 private:
  struct named_engine {
    std::string model;
    std::string hardware;
    std::int64_t tp;
    engine found;
    bool is(std::string_view m, std::string_view h, std::int64_t ranks) const {
      return tp == ranks && model == m && hardware == h;
    }
  };

  decoder architecture(const csv_row& row, std::size_t column, std::string_view name) const {
    if (const auto given = options_.architectures.find(name); given != options_.architectures.end())
      return given->second;
    try {
      return find_decoder(name);
    } catch (const architecture_error& unknown) {
      throw row.error_at(column, "is an unknown model" + rest_of(unknown.what(), "unknown model", name));
    }
  }
  /// What an error says after `kind 'name'`.
  static std::string rest_of(std::string_view what, std::string_view kind, std::string_view name) {
    const std::size_t at = kind.size() + name.size() + 3;
    return std::string(what.substr(what.size() > at ? at : what.size()));
  }

  /// A model of the catalogue; nothing where it is no grouped-query decoder.
  static std::optional<decoder> catalogued(const std::string& name) {
    try {
      return find_decoder(name);
    } catch (const architecture_error&) {
      return std::nullopt;
    }
  }
  double code_of(const decoder& model) {
    if (const double code = study_model_code(model); code >= 0.0) return code;
    // The same model has the same code in every file: its place in the catalogue. Others follow as they appear.
    const std::vector<std::string> names = decoder_names();
    for (std::size_t i = 0; i < names.size(); ++i) {
      const std::optional<decoder> listed = catalogued(names[i]);
      if (listed && same_shape(*listed, model)) return static_cast<double>(4 + i);
    }
    for (std::size_t i = 0; i < new_models_.size(); ++i) {
      if (same_shape(new_models_[i], model)) return static_cast<double>(4 + names.size() + i);
    }
    new_models_.push_back(model);
    return static_cast<double>(3 + names.size() + new_models_.size());
  }
  std::size_t deployment_of(const deployment& runs) {
    for (std::size_t i = 0; i < deployments_.size(); ++i) {
      if (deployments_[i] == runs) return i;
    }
    deployments_.push_back(runs);
    return build_.add_deployment(runs);
  }
  /// Spellings of one device are one hardware.
  void remember(const std::string& name, const accelerator_record& device) {
    for (const auto& [known, record] : devices_) {
      if (known == name) return;
    }
    for (const auto& [known, record] : devices_) {
      if (record == device) {
        build_.alias(group::hardware, name, known);
        break;
      }
    }
    devices_.emplace_back(name, device);
  }
  void remember(const std::string& name, const decoder& model) {
    for (const auto& [known, shape] : models_) {
      if (known == name) return;
    }
    for (const auto& [known, shape] : models_) {
      if (!same_shape(shape, model)) continue;
      build_.alias(group::model, name, known);
      break;
    }
    models_.emplace_back(name, model);
  }

  dataset_builder<Schema>& build_;
  const step_read_options& options_;
  std::vector<named_engine> known_;
  std::size_t last_ = 0;
  std::vector<deployment> deployments_;
  std::vector<std::pair<std::string, decoder>> models_;
  std::vector<std::pair<std::string, accelerator_record>> devices_;
  std::vector<decoder> new_models_;
};

/// The dataset of the rows kept, with a note on those refused. @throws io_error when there is no row left
template <class Schema>
dataset<Schema> finish_steps(dataset_builder<Schema>& build, const std::string& path, const csv_row_counts& rows,
                             std::size_t comments = 0) {
  if (build.rows() == 0) {
    throw io_error({path}, {}, {}, "no usable row: all " + std::to_string(rows.refused) + " were refused");
  }
  if (rows.refused > 0) {
    build.note(std::to_string(rows.refused) + " of " + std::to_string(rows.read) +
               " rows were refused and are not in the data");
  }
  try {
    return build.finish();
  } catch (const dataset_error& refused) {
    throw io_error_of(refused, path, comments);
  }
}

}  // namespace detail
}  // namespace rafter
