// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include "rafter/core/pack.hpp"
#include "rafter/step/groups.hpp"
#include "rafter/step/rows.hpp"
#include "rafter/step/schema.hpp"

namespace rafter {

namespace detail {
struct target_column;
}

/// Consecutive rows of one deployment.
struct deployment_run {
  row_range rows;
  std::size_t deployment = 0;
};

/// A view of one row: its columns, its requests, its deployment. Copies nothing; valid while the dataset lives.
template <dataset_schema Schema> class row_view {
 public:
  row_view(const dataset<Schema>& data, std::size_t row) : data_(&data), row_(row) {}

  std::size_t index() const { return row_; }
  /// The value of an observable that the schema carries as a column, in base units.
  template <class Leaf>
  requires(Schema::columns::template has<Leaf>) double get(Leaf = {}) const {
    return data_->template column<Leaf>()[row_];
  }
  double value(std::size_t column) const { return data_->column(column)[row_]; }
  std::span<const request> requests() const requires(Schema::lists_requests) { return data_->requests(row_); }
  const auto& deployment() const { return data_->deployment_of(row_); }

 private:
  const dataset<Schema>* data_;
  std::size_t row_;
};

template <dataset_schema Schema> class dataset_builder;

/// Measured steps: one number per step and column (base units: token, byte, second), optional ragged lists of
/// requests, group labels, step ids, and what each row's engine runs. Immutable once built; nothing in it is invalid.
/// Copies share what they show.
template <dataset_schema Schema> class dataset {
 public:
  using schema_type = Schema;
  using columns_type = typename Schema::columns;
  using deployment_type = typename Schema::deployment_type;
  using binding_type = detail::dataset_binding<Schema>;
  static constexpr std::size_t column_count = columns_type::size;

  /// No rows.
  dataset() : dataset(contents{}, first_target(), {}) {}

  std::size_t size() const { return rows_; }
  bool empty() const { return rows_ == 0; }
  row_view<Schema> operator[](std::size_t row) const { return {*this, row}; }

  /// One column, `size()` doubles; index `column_count` is the selected target. At least `pack_width` readable doubles
  /// follow the last row.
  std::span<const double> column(std::size_t index) const { return {at_[index], rows_}; }
  template <class Leaf> std::span<const double> column(Leaf = {}) const {
    static_assert(columns_type::template has<Leaf>, "rafter: the dataset's schema has no such column");
    return column(columns_type::template index_of<Leaf>());
  }

  /// The requests of one step, in the order of the source; empty when the schema lists none.
  std::span<const request> requests(std::size_t row) const {
    if constexpr (Schema::lists_requests) {
      return {kept_->requests.data() + kept_->offsets[row], kept_->offsets[row + 1] - kept_->offsets[row]};
    } else {
      return {};
    }
  }
  std::size_t total_requests() const { return kept_->requests.size(); }

  bool has_group(group axis) const { return kept_->groups[static_cast<std::size_t>(axis)].has_value(); }
  /// Labels of one axis with aliases merged. @throws dataset_error when the data has no such axis
  const group_column& groups(group axis) const {
    const auto& labels = kept_->groups[static_cast<std::size_t>(axis)];
    if (!labels) {
      throw dataset_error(source() + ": the data has no group '" + std::string(name_of(axis)) + "'");
    }
    return *labels;
  }
  /// Which labels were merged: (alias, canonical) pairs of one axis.
  const std::vector<std::pair<std::string, std::string>>& aliases(group axis) const {
    return kept_->aliases[static_cast<std::size_t>(axis)];
  }

  /// One id a row, ascending in time within an experiment; empty when the data has no order.
  std::span<const double> step_ids() const { return kept_->step_ids; }
  /// Start of each step on the engine's monotonic clock [ns]; empty when unknown.
  std::span<const std::int64_t> start_ns() const { return kept_->start_ns; }

  std::size_t deployment_count() const { return kept_->deployments.size(); }
  const deployment_type& deployment(std::size_t index) const { return kept_->deployments[index]; }
  const deployment_type& deployment_of(std::size_t row) const {
    return kept_->deployments[kept_->deployment_index[row]];
  }
  /// Maximal runs of consecutive rows of one deployment, ascending.
  const std::vector<deployment_run>& runs() const { return kept_->runs; }

  /// Where the data came from, and the line of the source that a row was read from (0: not from a text).
  const std::string& source() const { return kept_->source; }
  std::size_t line(std::size_t row) const { return kept_->lines[row]; }
  /// What a reader of results should know of how the data was made: rows without a label, columns left unread, …
  const std::vector<std::string>& notes() const { return notes_; }
  /// Rows that process no token at all. They are kept, and they are no evidence on anything but overhead.
  std::size_t idle_rows() const { return kept_->idle_rows; }
  bool idle(std::size_t row) const { return kept_->idle[row]; }

  /// A dataset of its own with only the given rows, and a note on why.
  dataset keep(const row_set& rows, std::string note = {}) const {
    dataset kept = copy_of(rows);
    if (!note.empty()) kept.notes_.push_back(std::move(note));
    return kept;
  }
  /// The selected target [s]: what estimators fit and what is evaluated. The first of the schema's targets that has
  /// values, until `for_target` selects another or `with_target` puts numbers in its place.
  /// @throws dataset_error when the schema has no target
  std::span<const double> target() const {
    if (target_ == column_count && !derived_) throw dataset_error(source() + ": the schema has no target");
    return column(column_count);
  }
  std::string_view target_name() const { return derived_ ? std::string_view(derived_->name) : measured_name(); }

  /// The selected target as it was measured, whatever `with_target` made of it: what audits look at.
  /// @throws dataset_error when the schema has no target
  std::span<const double> measured_target() const {
    if (target_ == column_count) throw dataset_error(source() + ": the schema has no target");
    return column(target_);
  }
  std::string_view measured_name() const {
    return target_ == column_count ? std::string_view{} : columns_type::names[target_];
  }
  /// Is the target one that `with_target` gave, not one that was measured?
  bool derived_target() const { return derived_ != nullptr; }

  /// The same rows, runs, groups and observables with other numbers for the target: what a first model leaves for a
  /// second. Nothing but the numbers is stored: all else is shared. They may be negative or zero; NaN says that a row
  /// has none, and keeps whoever is not to see a row from reading it. A schema's own targets stay as they were
  /// measured, `for_target` selects them again, and `digest` and `plausibility` look at them.
  /// @param values  one a row [s, or whatever the estimator that is fitted to them predicts]
  /// @param name    what errors and reports call the target
  /// @throws dataset_error when there are not as many values as rows, or one is infinite (naming its row)
  dataset with_target(std::vector<double> values, std::string name = "derived target") const {
    if (values.size() != rows_) {
      throw dataset_error(source() + ": " + name + " has " + std::to_string(values.size()) + " values for " +
                          std::to_string(rows_) + " rows");
    }
    for (std::size_t row = 0; row < rows_; ++row) {
      if (std::isinf(values[row])) {
        throw dataset_error(source() + ":" + std::to_string(line(row)) + ": " + name + " is infinite on row " +
                            std::to_string(row));
      }
    }
    values.resize(rows_ + pack_width);
    dataset other = *this;
    other.derived_ = std::make_shared<const derived>(derived{std::move(values), std::move(name)});
    other.point();
    return other;
  }

  /// The same rows on other deployments: `map(deployment)` makes each of them anew (a tenth more bandwidth, another
  /// device). What lists of requests define is computed anew; other columns, labels and targets stay as they are.
  template <class Map> dataset with_deployments(Map map) const {
    contents other = *kept_;
    for (deployment_type& one : other.deployments) one = map(std::as_const(one));
    if constexpr (Schema::lists_requests) {
      dataset_builder<Schema> build(source());
      for (std::size_t row = 0; row < rows_; ++row) {
        const auto list = requests(row);
        build.define(other, row, {list.begin(), list.end()});
      }
    }
    return showing(std::move(other));
  }
  /// The same rows with other requests: `map(row, list)` may change each list. What the lists define is computed
  /// anew; other columns, labels and targets stay as they are.
  /// @throws dataset_error naming the row whose list cannot be a step's
  template <class Map> dataset with_requests(Map map) const {
    static_assert(Schema::lists_requests, "rafter: the dataset's schema lists no requests");
    contents other = *kept_;
    other.requests.clear();
    other.offsets.assign(1, 0);
    dataset_builder<Schema> build(source());
    std::vector<request> list;
    for (std::size_t row = 0; row < rows_; ++row) {
      const auto given = requests(row);
      list.assign(given.begin(), given.end());
      map(row, list);
      build.define(other, row, list);
      other.requests.insert(other.requests.end(), list.begin(), list.end());
      other.offsets.push_back(other.requests.size());
      other.idle[row] = list.empty();
    }
    other.finish();
    return showing(std::move(other));
  }
  /// The same rows with other values of a column that no list defines; other columns stay as they are, so those that
  /// depend on it must be given too.
  /// @throws dataset_error when there are not as many values as rows, or one cannot be a value of the column
  template <class Leaf> dataset with_column(Leaf, std::vector<double> values) const {
    static_assert(columns_type::template has<Leaf>, "rafter: the dataset's schema has no such column");
    static_assert(!dataset_builder<Schema>::template defined_by_lists<Leaf>(),
                  "rafter: the requests define this column; change them with with_requests");
    if (values.size() != rows_) {
      throw dataset_error(source() + ": " + std::string(Leaf::name) + " has " + std::to_string(values.size()) +
                          " values for " + std::to_string(rows_) + " rows");
    }
    dataset_builder<Schema> build(source());
    for (std::size_t row = 0; row < rows_; ++row) build.template check_alone<Leaf>(values[row], line(row));
    values.resize(rows_ + pack_width);
    contents other = *kept_;
    other.columns[columns_type::template index_of<Leaf>()] = std::move(values);
    return showing(std::move(other));
  }
  /// Rows that carry the selected target; all of them unless the schema says `partial_targets`.
  std::size_t rows_with_target() const {
    const auto values = target();
    return static_cast<std::size_t>(
        std::count_if(values.begin(), values.end(), [](double v) { return !std::isnan(v); }));
  }

  /// The rows that carry a target, with that target selected; rows without it are left out and counted in a note.
  /// @throws dataset_error when no row carries it
  template <expression Leaf> dataset for_target(Leaf = {}) const {
    static_assert(Schema::targets::template has<Leaf>,
                  "rafter: this observable is no target of the dataset's schema");
    return for_target(Leaf::name);
  }
  /// The same by name. @throws dataset_error naming the targets that there are
  dataset for_target(std::string_view name) const {
    std::size_t index = column_count;
    std::string known;
    Schema::targets::each([&]<class Leaf>() {
      if (Leaf::name == name) index = columns_type::template index_of<Leaf>();
      known += (known.empty() ? "" : ", ") + std::string(Leaf::name);
    });
    if (index == column_count) {
      throw dataset_error(source() + ": unknown target '" + std::string(name) + "'; known: " + known);
    }
    const row_set rows = row_set::where(rows_, [&](std::size_t row) { return !std::isnan(column(index)[row]); });
    if (rows.empty()) throw dataset_error(source() + ": no row has a " + std::string(name));
    dataset selected = rows.size() == rows_ ? *this : keep(rows);
    selected.target_ = index;
    selected.derived_.reset();
    selected.point();
    if (rows.size() < rows_) {
      selected.notes_.push_back(std::string(name) + " exists for " + std::to_string(rows.size()) + " of " +
                                std::to_string(rows_) + " rows; the others are left out");
    }
    return selected;
  }

 private:
  friend class dataset_builder<Schema>;

  /// Index of the schema's first target, `column_count` when it has none.
  static constexpr std::size_t first_target() {
    std::size_t first = column_count;
    Schema::targets::each([&]<class Leaf>() {
      if (first == column_count) first = columns_type::template index_of<Leaf>();
    });
    return first;
  }

  /// All that is read, held once however many datasets show it.
  struct contents {
    std::size_t rows = 0;
    std::array<std::vector<double>, column_count> columns;
    std::vector<request> requests;
    std::vector<std::size_t> offsets{0};
    std::array<std::optional<group_column>, group_axes> groups;
    std::array<std::vector<std::pair<std::string, std::string>>, group_axes> aliases;
    std::vector<double> step_ids;
    std::vector<std::int64_t> start_ns;
    std::vector<deployment_type> deployments;
    std::vector<std::size_t> deployment_index;
    std::vector<deployment_run> runs;
    std::vector<std::size_t> lines;
    std::vector<bool> idle;
    std::size_t idle_rows = 0;
    std::string source;

    /// What follows from the rows: runs of one deployment, the count of idle rows.
    void finish() {
      runs.clear();
      for (std::size_t row = 0; row < rows; ++row) {
        const std::size_t deployment = deployment_index[row];
        if (runs.empty() || runs.back().deployment != deployment) runs.push_back({{row, row}, deployment});
        runs.back().rows.end = row + 1;
      }
      idle_rows = static_cast<std::size_t>(std::count(idle.begin(), idle.end(), true));
    }
  };
  struct derived {
    std::vector<double> values;  // and padding
    std::string name;
  };

  dataset(contents kept, std::size_t target, std::vector<std::string> notes)
      : kept_(std::make_shared<const contents>(std::move(kept))),
        rows_(kept_->rows),
        target_(target),
        notes_(std::move(notes)) {
    point();
  }

  /// Where each column begins, the selected target last.
  void point() {
    for (std::size_t c = 0; c < column_count; ++c) at_[c] = kept_->columns[c].data();
    at_[column_count] = derived_                  ? derived_->values.data()
                        : target_ == column_count ? nullptr
                                                  : kept_->columns[target_].data();
  }

  /// Other contents of as many rows, with the target, the derived target and the notes of this one.
  dataset showing(contents other) const {
    dataset made(std::move(other), target_, notes_);
    made.derived_ = derived_;
    made.point();
    return made;
  }

  dataset copy_of(const row_set& rows) const {
    contents kept;
    const std::vector<std::size_t> from = rows.to_vector();
    kept.rows = from.size();
    const auto copy = [&](const auto& source, auto& target) {
      target.clear();
      if (source.empty()) return;
      target.reserve(from.size() + pack_width);
      for (const std::size_t row : from) target.push_back(source[row]);
    };
    for (std::size_t c = 0; c < column_count; ++c) {
      copy(kept_->columns[c], kept.columns[c]);
      kept.columns[c].resize(from.size() + pack_width);
    }
    copy(kept_->step_ids, kept.step_ids);
    copy(kept_->start_ns, kept.start_ns);
    copy(kept_->deployment_index, kept.deployment_index);
    copy(kept_->lines, kept.lines);
    copy(kept_->idle, kept.idle);
    if constexpr (Schema::lists_requests) {
      for (const std::size_t row : from) {
        const auto list = requests(row);
        kept.requests.insert(kept.requests.end(), list.begin(), list.end());
        kept.offsets.push_back(kept.requests.size());
      }
    }
    for (std::size_t axis = 0; axis < group_axes; ++axis) {
      if (!kept_->groups[axis]) continue;
      group_column labels;
      labels.reserve(from.size());
      for (const std::size_t row : from) labels.push_back(kept_->groups[axis]->name(row));
      kept.groups[axis] = std::move(labels);
    }
    kept.aliases = kept_->aliases;
    kept.deployments = kept_->deployments;
    kept.source = kept_->source;
    kept.finish();
    dataset made(std::move(kept), target_, notes_);
    if (derived_) {
      std::vector<double> values;
      copy(derived_->values, values);
      values.resize(from.size() + pack_width);
      made.derived_ = std::make_shared<const derived>(derived{std::move(values), derived_->name});
      made.point();
    }
    return made;
  }

  std::shared_ptr<const contents> kept_;
  std::size_t rows_ = 0;
  std::array<const double*, column_count + 1> at_{};  // into kept_ and derived_
  std::size_t target_ = first_target();
  std::shared_ptr<const derived> derived_;
  std::vector<std::string> notes_;
};

/// Receives each refused row instead of an exception; the row is left out and the caller knows which and why.
using bad_row_callback = std::function<void(const dataset_error&)>;

/// Builds a dataset row by row, refusing what cannot be a measured step:
///
///   dataset_builder<my_schema> build("steps.csv");
///   const auto engine = build.add_deployment({...});
///   build.begin_row(engine, line).set(prefill_tokens, 512).set(gpu_step_time, 0.012).label(group::model, "7b");
///   build.end_row();
///   const dataset<my_schema> data = build.finish();
///
/// Refused, with the source, line and field named: numbers that are not finite or negative; targets that are not
/// positive; token and request counts that are not whole or do not add up over the requests; decode tokens that are
/// not one per decode request; a step id seen before in the same experiment; a column or label left out.
template <dataset_schema Schema> class dataset_builder {
 public:
  using columns_type = typename Schema::columns;
  using deployment_type = typename Schema::deployment_type;

  explicit dataset_builder(std::string source, bad_row_callback on_bad_row = {})
      : on_bad_row_(std::move(on_bad_row)) {
    data_.source = std::move(source);
  }

  std::size_t add_deployment(deployment_type deployment) {
    data_.deployments.push_back(std::move(deployment));
    return data_.deployments.size() - 1;
  }
  /// Two labels of an axis that are one group: splits that hold groups out see them together.
  void alias(group axis, std::string alias, std::string canonical) {
    data_.aliases[static_cast<std::size_t>(axis)].emplace_back(std::move(alias), std::move(canonical));
  }
  void note(std::string text) { notes_.push_back(std::move(text)); }
  std::size_t rows() const { return data_.rows; }
  std::size_t refused() const { return refused_; }

  dataset_builder& begin_row(std::size_t deployment, std::size_t line = 0) {
    values_.fill(std::numeric_limits<double>::quiet_NaN());
    list_.clear();
    for (auto& label : labels_) label.reset();
    step_id_.reset();
    start_ns_.reset();
    deployment_ = deployment;
    line_ = line;
    return *this;
  }
  template <class Leaf> dataset_builder& set(Leaf, double value) {
    static_assert(columns_type::template has<Leaf>, "rafter: the dataset's schema has no such column");
    constexpr std::size_t index = columns_type::template index_of<Leaf>();
    values_[index] = value;
    if (!std::isfinite(value)) values_[index] = std::numeric_limits<double>::infinity();  // given, and refused below
    return *this;
  }
  dataset_builder& label(group axis, std::string_view text) {
    labels_[static_cast<std::size_t>(axis)] = std::string(text);
    return *this;
  }
  dataset_builder& step_id(double id) {
    step_id_ = id;
    return *this;
  }
  dataset_builder& start_ns(std::int64_t clock) {
    start_ns_ = clock;
    return *this;
  }
  dataset_builder& add(const request& one) {
    static_assert(Schema::lists_requests, "rafter: the dataset's schema lists no requests");
    list_.push_back(one);
    return *this;
  }

  /// Checks the row and keeps it. @throws dataset_error unless a callback collects refused rows
  /// @returns whether the row was kept
  bool end_row() {
    try {
      check_row();
    } catch (const dataset_error& refused) {
      if (!on_bad_row_) throw;
      ++refused_;
      on_bad_row_(refused);
      return false;
    }
    keep_row();
    return true;
  }

  /// The dataset. Where the schema has the target `step_interval` and rows carry step ids and start times, it is
  /// derived from them (see `step_intervals`) unless the rows gave it.
  /// @throws dataset_error when a derived interval is not positive
  dataset<Schema> finish() {
    derive_step_interval();
    select_target();
    for (auto& column : data_.columns) column.resize(data_.rows + pack_width);
    for (std::size_t axis = 0; axis < group_axes; ++axis) {
      if (data_.groups[axis] && !data_.aliases[axis].empty()) {
        data_.groups[axis] = data_.groups[axis]->merged(data_.aliases[axis]);
      }
    }
    if (refused_ > 0) {
      notes_.push_back(std::to_string(refused_) + " rows were refused and are not in the data");
    }
    data_.finish();
    return dataset<Schema>(std::move(data_), target_, std::move(notes_));
  }

 private:
  friend class dataset<Schema>;
  struct listed_step {
    const std::vector<request>& requests;
  };

  /// Computes what a list of requests defines of a row that is there already.
  void define(typename dataset<Schema>::contents& of, std::size_t row, const std::vector<request>& list) {
    line_ = of.lines[row];
    list_ = list;
    check_list();
    columns_type::each([&]<class Leaf>() {
      if constexpr (defined_by_lists<Leaf>()) {
        double value = std::numeric_limits<double>::quiet_NaN();
        take_from_lists<Leaf>(value, of.deployments[of.deployment_index[row]]);
        check_value(rules_of<Leaf>(), value);
        of.columns[columns_type::template index_of<Leaf>()][row] = value;
      }
    });
  }
  template <class Leaf> void check_alone(double value, std::size_t line) {
    line_ = line;
    check_value(rules_of<Leaf>(), value);
  }

  void derive_step_interval() {
    if constexpr (Schema::targets::template has<step_interval_t> && detail::partial_targets<Schema>) {
      auto& column = data_.columns[columns_type::template index_of<step_interval_t>()];
      const bool given = std::any_of(column.begin(), column.end(), [](double v) { return !std::isnan(v); });
      if (given || data_.step_ids.empty() || data_.start_ns.empty()) return;
      const auto& experiments = data_.groups[static_cast<std::size_t>(group::experiment)];
      column = step_intervals(data_.step_ids, data_.start_ns, experiments ? &*experiments : nullptr);
      for (std::size_t row = 0; row < data_.rows; ++row) {
        if (column[row] <= 0.0) {
          line_ = data_.lines[row];
          refuse("step_interval is not positive: the next step starts no later");
        }
      }
    }
  }
  /// The first target with values on some row.
  void select_target() {
    bool found = false;
    Schema::targets::each([&]<class Leaf>() {
      constexpr std::size_t index = columns_type::template index_of<Leaf>();
      const auto& column = data_.columns[index];
      if (!found && std::any_of(column.begin(), column.end(), [](double v) { return !std::isnan(v); })) {
        target_ = index;
        found = true;
      }
    });
  }

  [[noreturn]] void refuse(const std::string& what) const {
    throw dataset_error(data_.source + (line_ > 0 ? ":" + std::to_string(line_) : std::string()) + ": " + what);
  }
  /// The shortest text that reads back as the value.
  static std::string text_of(double value) {
    std::array<char, 32> text;
    const auto end = std::to_chars(text.data(), text.data() + text.size(), value).ptr;
    return std::string(text.data(), end);
  }

  template <class Leaf> double value_of() const {
    if constexpr (columns_type::template has<Leaf>) {
      return values_[columns_type::template index_of<Leaf>()];
    } else {
      return std::numeric_limits<double>::quiet_NaN();
    }
  }

  using list_binding = detail::record_binding<deployment_type, listed_step>;
  /// Does a step's list of requests (with its deployment) say what this column is?
  template <class Leaf> static constexpr bool defined_by_lists() {
    if constexpr (Schema::lists_requests && detail::has_definition<Leaf>) {
      // A definition that is a constant is what a record means that does not say; a column says.
      if constexpr (Leaf::definition::level_v == level::constant) return false;
      return evaluable_on<typename Leaf::definition, list_binding>;
    } else {
      return false;
    }
  }

  /// What the values of a column may be.
  struct column_rules {
    std::string_view name;
    bool target;   ///< positive
    bool partial;  ///< may be missing
    bool whole;
  };
  template <class Leaf> static constexpr column_rules rules_of() {
    constexpr bool counts = Leaf::dimension_v == units::token || std::is_same_v<Leaf, prefill_requests_t> ||
                            std::is_same_v<Leaf, decode_requests_t>;
    constexpr bool averages = std::is_same_v<Leaf, kv_mean_t> || std::is_same_v<Leaf, kv_deviation_t>;
    constexpr bool target = Schema::targets::template has<Leaf>;
    return {Leaf::name, target, target && detail::partial_targets<Schema>, counts && !averages};
  }
  void check_value(const column_rules& rules, double value) const {
    if (rules.partial && std::isnan(value)) return;  // this row cannot be used for that target
    if (value >= 0.0 && std::isfinite(value) && (value > 0.0 || !rules.target) &&
        (!rules.whole || value == std::floor(value))) {
      return;
    }
    const std::string name(rules.name);
    if (std::isnan(value)) refuse(name + " is missing");
    if (!std::isfinite(value)) refuse(name + " is not a finite number");
    if (value < 0.0) refuse(name + " = " + text_of(value) + " is negative");
    if (value == 0.0) refuse(name + " = 0 is not a time that a step can take");
    refuse(name + " = " + text_of(value) + " is not a whole number");
  }
  /// The value that the requests give a column; where the source gives it too, the two must agree.
  template <class Leaf> void take_from_lists(double& value, const deployment_type& deployment) {
    const listed_step step{list_};
    using run = detail::executor<plan<list_binding, typename Leaf::definition>>;
    typename run::slot_array slots{};
    run::bind(slots.data(), deployment);
    double computed = 0.0;
    run::step(slots.data(), step, [&](auto, double v) { computed = v; });
    check_against_lists(Leaf::name, value, computed);
    value = computed;
  }
  void check_against_lists(std::string_view name, double given, double computed) const {
    if (std::isnan(given)) return;
    if (std::isinf(given)) refuse(std::string(name) + " is not a finite number");
    if (std::abs(given - computed) > 1e-9 * std::max(1.0, std::abs(computed))) {
      refuse(std::string(name) + " = " + text_of(given) + " but the requests give " + text_of(computed));
    }
  }

  template <class Leaf> void check_column() {
    double& value = values_[columns_type::template index_of<Leaf>()];
    if constexpr (defined_by_lists<Leaf>()) take_from_lists<Leaf>(value, data_.deployments[deployment_]);
    if constexpr (detail::has_definition<Leaf>) {
      // What a row means that does not say.
      if constexpr (Leaf::definition::level_v == level::constant) {
        if (std::isnan(value)) value = Leaf::definition::value;
      }
    }
    check_value(rules_of<Leaf>(), value);
  }

  void check_list() const {
    for (const request& one : list_) {
      const auto whole = [&](const char* field, double value) {
        if (!std::isfinite(value) || value < 0.0 || value != std::floor(value)) {
          refuse(std::string(field) + " of a request = " + text_of(value) + " is not a count of tokens");
        }
      };
      whole("new_tokens", one.new_tokens);
      whole("context_tokens", one.context_tokens);
      if (one.new_tokens < 1.0) refuse("a request of the step has no new token");
      if (one.decode && one.new_tokens != 1.0) {
        refuse("a decode request has " + text_of(one.new_tokens) + " new tokens, not one");
      }
    }
  }
  void check_row() {
    if (deployment_ >= data_.deployments.size()) refuse("the row names no deployment");
    check_list();
    columns_type::each([&]<class Leaf>() { check_column<Leaf>(); });
    const double decoding = value_of<decode_tokens_t>();
    const double requests = value_of<decode_requests_t>();
    if (std::isfinite(decoding) && std::isfinite(requests) && decoding != requests) {
      refuse("decode_tokens = " + text_of(decoding) + " but decode_requests = " + text_of(requests));
    }
    const double prefilling = value_of<prefill_tokens_t>();
    const double prefills = value_of<prefill_requests_t>();
    if (std::isfinite(prefilling) && std::isfinite(prefills) &&
        (prefilling < prefills || (prefills == 0.0 && prefilling > 0.0))) {
      refuse("prefill_tokens = " + text_of(prefilling) + " but prefill_requests = " + text_of(prefills));
    }
    for (std::size_t axis = 0; axis < group_axes; ++axis) {
      if (data_.rows > 0 && labels_[axis].has_value() != data_.groups[axis].has_value()) {
        refuse("label '" + std::string(name_of(static_cast<group>(axis))) + "' is given on some rows only");
      }
      if (labels_[axis] && labels_[axis]->empty()) {
        refuse("label '" + std::string(name_of(static_cast<group>(axis))) + "' is empty");
      }
    }
    if (data_.rows > 0 && step_id_.has_value() == data_.step_ids.empty()) {
      refuse("step_id is given on some rows only");
    }
    if (data_.rows > 0 && start_ns_.has_value() == data_.start_ns.empty()) {
      refuse("the start time is given on some rows only");
    }
    if (step_id_) {
      if (!std::isfinite(*step_id_)) refuse("step_id is not a finite number");
      const auto& experiment = labels_[static_cast<std::size_t>(group::experiment)];
      std::string key = experiment ? *experiment : std::string();
      key += '\n';
      key += text_of(*step_id_ + 0.0);  // -0 is 0
      if (!seen_.insert(std::move(key)).second) {
        refuse("step_id " + text_of(*step_id_) + " occurs twice" +
               (experiment ? " in experiment '" + *experiment + "'" : std::string()));
      }
    }
  }

  void keep_row() {
    for (std::size_t c = 0; c < columns_type::size; ++c) data_.columns[c].push_back(values_[c]);
    if constexpr (Schema::lists_requests) {
      data_.requests.insert(data_.requests.end(), list_.begin(), list_.end());
      data_.offsets.push_back(data_.requests.size());
    }
    for (std::size_t axis = 0; axis < group_axes; ++axis) {
      if (!labels_[axis]) continue;
      if (!data_.groups[axis]) data_.groups[axis].emplace();
      data_.groups[axis]->push_back(*labels_[axis]);
    }
    if (step_id_) data_.step_ids.push_back(*step_id_);
    if (start_ns_) data_.start_ns.push_back(*start_ns_);
    data_.deployment_index.push_back(deployment_);
    data_.lines.push_back(line_);
    if constexpr (Schema::lists_requests) {
      data_.idle.push_back(list_.empty());  // each request has a token
    } else {
      data_.idle.push_back(value_of<prefill_tokens_t>() + value_of<decode_tokens_t>() == 0.0);
    }
    ++data_.rows;
  }

  typename dataset<Schema>::contents data_;
  std::size_t target_ = dataset<Schema>::first_target();
  std::vector<std::string> notes_;
  bad_row_callback on_bad_row_;
  std::size_t refused_ = 0;
  std::array<double, columns_type::size> values_{};
  std::vector<request> list_;
  std::array<std::optional<std::string>, group_axes> labels_;
  std::optional<double> step_id_;
  std::optional<std::int64_t> start_ns_;
  std::size_t deployment_ = 0;
  std::size_t line_ = 0;
  std::unordered_set<std::string> seen_;
};

/// Time from the start of each step to the start of the next one, the next step id of the same experiment [s]: what a
/// user waits for, host work, GPU time and idle gaps together. NaN where the successor was not logged.
/// @param experiments  null: all rows are of one experiment
inline std::vector<double> step_intervals(std::span<const double> step_ids, std::span<const std::int64_t> start_ns,
                                          const group_column* experiments) {
  std::vector<std::size_t> order(step_ids.size());
  for (std::size_t row = 0; row < order.size(); ++row) order[row] = row;
  const auto experiment = [&](std::size_t row) { return experiments != nullptr ? experiments->code(row) : 0U; };
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return std::pair(experiment(a), step_ids[a]) < std::pair(experiment(b), step_ids[b]);
  });
  std::vector<double> intervals(step_ids.size(), std::numeric_limits<double>::quiet_NaN());
  for (std::size_t i = 0; i + 1 < order.size(); ++i) {
    const bool follows =
        experiment(order[i]) == experiment(order[i + 1]) && step_ids[order[i + 1]] == step_ids[order[i]] + 1.0;
    if (follows) intervals[order[i]] = static_cast<double>(start_ns[order[i + 1]] - start_ns[order[i]]) * 1e-9;
  }
  return intervals;
}

}  // namespace rafter
