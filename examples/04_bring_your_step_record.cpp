// Your own record of a step, read where it is, without conversion. SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>

#include <span>
#include <vector>

#include "rafter/analytical.hpp"
#include "rafter/architecture.hpp"
#include "rafter/feature.hpp"
#include "rafter/hardware.hpp"

namespace {

using namespace rafter;
using namespace rafter::literals;

constexpr auto attention = feature_set{
    "prefill_tokens"_f = prefill_tokens,
    "kv_pressure"_f = max(kv_length) * count(decode),
    "decode_attention_us"_f = magnitude(roofline(analytical::decode_attention)) * 1e6_c,
};

/// Aggregates, and the KV length of each decode request. A member stands for the observable of its name.
struct log_row {
  double prefill_tokens, decode_tokens;
  std::vector<double> kv_lengths;
};
static_assert(step_record<log_row> && has_kv_lengths<log_row>);

/// The same without the lengths: still a step, but none that says what decode attention reads.
struct short_row {
  double prefill_tokens, decode_tokens;
};
static_assert(step_record<short_row> && !has_kv_lengths<short_row>);
// attention.evaluate(short_row{256, 2}, engine) does not compile. The first error is
//   rafter: this feature reads an observable that the step record (or deployment) does not carry
// and the note below it names the observable, the feature and the type:
//   needs_observable<"kv_max">, in_feature<"kv_pressure">, which_step_type_does_not_provide<short_row>
// A missing signal never becomes a silent zero.

/// A scheduler's own batch: `requests` may be a member or, as here, a function that returns a range, of any type with
/// new_tokens, context_tokens and decode.
class batch {
 public:
  struct sequence {
    int new_tokens, context_tokens;
    bool decode;
    const char* user;
  };
  explicit batch(std::vector<sequence> sequences) : sequences_(std::move(sequences)) {}
  std::span<const sequence> requests() const { return sequences_; }

 private:
  std::vector<sequence> sequences_;
};
static_assert(step_record<batch> && has_requests<batch>);

}  // namespace

int main() {
  const deployment engine{.architecture = find_decoder("llama-3.1-8b"), .hardware = find_accelerator("h100")};
  const log_row logged{.prefill_tokens = 256, .decode_tokens = 2, .kv_lengths = {901, 413}};
  const batch planned({{1, 900, true, "a"}, {1, 412, true, "b"}, {256, 0, false, "c"}});

  const auto from_log = attention.evaluate(logged, engine);
  const auto from_batch = attention.evaluate(planned, engine);
  for (std::size_t i = 0; i < attention.size; ++i) {
    fmt::print("{:<20} {:>9.4g} from the log, {:>9.4g} from the batch\n", attention.names[i], from_log[i],
               from_batch[i]);
  }
  return from_log == from_batch ? 0 : 1;
}
