// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>

#include "rafter/config.hpp"
#include "rafter/core/sha256.hpp"
#include "rafter/step/dataset.hpp"

namespace rafter {

namespace detail {

/// Feeds a hash with numbers as little-endian bytes, and texts after their length.
class canonical_bytes {
 public:
  RAFTER_HOT void text(std::string_view value) {
    count(value.size());
    flush();
    hash_.update(value);
  }
  void count(std::size_t value) { word(value); }
  RAFTER_HOT void word(std::uint64_t value) {
    if (filled_ == sizeof buffer_) flush();
    for (unsigned byte = 0; byte < 8; ++byte) buffer_[filled_++] = static_cast<unsigned char>(value >> (8U * byte));
    if (filled_ == sizeof buffer_) flush();
  }
  /// Zero has one sign, and a value that is missing one pattern.
  RAFTER_HOT void number(double value) {
    if (std::isnan(value)) value = std::numeric_limits<double>::quiet_NaN();
    word(std::bit_cast<std::uint64_t>(value == 0.0 ? 0.0 : value));
  }
  std::string hex() {
    flush();
    return hash_.hex();
  }

 private:
  void flush() {
    hash_.update(buffer_, filled_);
    filled_ = 0;
  }
  sha256 hash_;
  unsigned char buffer_[8 * 512] = {};
  std::size_t filled_ = 0;
};

}  // namespace detail

/// SHA-256 (64 hexadecimal digits) of what a dataset holds: the schema's name, the columns' names and numbers, the
/// requests, the group labels after aliases were merged (but those that follow from the rest: routing, measurements),
/// step ids and start times. The order of the rows counts; file names, line numbers, notes, the selected target and
/// deployments do not.
template <dataset_schema Schema> RAFTER_COLD std::string digest(const dataset<Schema>& data) {
  detail::canonical_bytes bytes_of;
  bytes_of.text("rafter dataset 1");
  bytes_of.text(Schema::name);
  bytes_of.count(data.size());
  bytes_of.count(Schema::columns::size);
  for (std::size_t c = 0; c < Schema::columns::size; ++c) {
    bytes_of.text(Schema::columns::names[c]);
    for (const double value : data.column(c)) bytes_of.number(value);
  }
  if constexpr (Schema::lists_requests) {
    bytes_of.text("requests");
    for (std::size_t row = 0; row < data.size(); ++row) {
      bytes_of.count(data.requests(row).size());
      for (const request& one : data.requests(row)) {
        bytes_of.number(one.new_tokens);
        bytes_of.number(one.context_tokens);
        bytes_of.word(one.decode ? 1 : 0);
      }
    }
  }
  for (std::size_t axis = 0; axis < group_axes; ++axis) {
    const auto which = static_cast<group>(axis);
    if (!data.has_group(which) || which >= group::routing) continue;
    bytes_of.text(name_of(which));
    const group_column& labels = data.groups(which);
    bytes_of.count(labels.count());
    for (const std::string& name : labels.names()) bytes_of.text(name);
    for (const std::uint32_t code : labels.codes()) bytes_of.word(code);
  }
  bytes_of.text("step_ids");
  bytes_of.count(data.step_ids().size());
  for (const double id : data.step_ids()) bytes_of.number(id);
  bytes_of.text("start_ns");
  bytes_of.count(data.start_ns().size());
  for (const std::int64_t clock : data.start_ns()) bytes_of.word(static_cast<std::uint64_t>(clock));
  return bytes_of.hex();
}

}  // namespace rafter
