// A schema of your own, an observable of your own, and rows that are refused. SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>

#include <array>
#include <cstddef>
#include <limits>

#include "rafter/architecture.hpp"
#include "rafter/estimator.hpp"
#include "rafter/hardware.hpp"
#include "rafter/step.hpp"

namespace {

using namespace rafter;
using namespace rafter::literals;

/// Threads that compete with the engine's own: an observable that rafter does not have.
struct busy_threads_t : observable<"busy_threads", units::none, level::step> {};
constexpr busy_threads_t busy_threads{};

/// What a row of this log carries, which of it may be predicted, and what is uniform over an engine.
struct host_log {
  static constexpr std::string_view name = "host_log";
  using columns = column_list<prefill_tokens_t, decode_tokens_t, busy_threads_t, wall_time_t>;
  using targets = column_list<wall_time_t>;
  static constexpr bool lists_requests = false;
  using deployment_type = deployment;
};
static_assert(dataset_schema<host_log>);

struct line {
  double prefill_tokens, decode_tokens, busy_threads, wall_time_us;
};
constexpr double unknown = std::numeric_limits<double>::quiet_NaN();
constexpr std::array<line, 10> made_up{{{512, 8, 0, 11900},
                                        {0, 16, 1, 7300},
                                        {256, 8, 2, 9800},
                                        {1024, 4, 0, 19100},
                                        {0, 16, 3, -7900},
                                        {128, 32, 1, 8800},
                                        {0, 12, 0, 6900},
                                        {12.5, 8, 1, 7200},
                                        {768, 16, 4, 16900},
                                        {64, 8, unknown, 7400}}};

}  // namespace

int main() {
  dataset_builder<host_log> build("made_up.log",
                                  [](const dataset_error& why) { fmt::print("refused: {}\n", why.what()); });
  const std::size_t engine =
      build.add_deployment({.architecture = find_decoder("llama-2-7b"), .hardware = find_accelerator("h100")});
  std::size_t number = 0;
  for (const line& l : made_up) {
    build.begin_row(engine, ++number)
        .set(prefill_tokens, l.prefill_tokens)
        .set(decode_tokens, l.decode_tokens)
        .set(busy_threads, l.busy_threads)
        .set(wall_time, l.wall_time_us / 1e6)
        .label(group::experiment, "run-1");
    build.end_row();  // without the callback, the first bad row would throw
  }
  const dataset<host_log> data = build.finish();
  fmt::print("{} rows kept; {}\n", data.size(), data.notes().front());

  constexpr auto features = feature_set{"scheduled_tokens"_f = scheduled_tokens, "busy_threads"_f = busy_threads};
  const auto fitted = linear<features, ordinary_least_squares>::fit(data, row_set::all(data.size()));
  const linear_solution& solution = fitted.solution();
  fmt::print("wall time = {:.0f} us + {:.2f} us/token + {:.0f} us/thread ({})\n", solution.intercept * 1e6,
             solution.coefficients[0] * 1e6, solution.coefficients[1] * 1e6, fitted.summary().status);
}
