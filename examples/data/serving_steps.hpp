// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "examples/data/serving_cost.hpp"
#include "rafter/core/math.hpp"
#include "rafter/io/rafter_steps.hpp"

/// Generates the embedded data: a continuous-batching engine under Poisson arrivals, timed by the cost law.
/// The same seed gives the same bytes everywhere: the generator of random words is std::mt19937_64, and logarithm and
/// exponential are rafter's own.
namespace serving_steps {

using rafter::request;

struct engine_setting {
  std::string_view model;
  std::string_view short_name;
  int tp;
};
inline constexpr std::array<engine_setting, 4> engines{
    engine_setting{"llama-2-7b", "7b", 1}, engine_setting{"codellama-34b", "34b", 2},
    engine_setting{"llama-2-70b", "70b", 4}, engine_setting{"mixtral-8x7b", "8x7b", 2}};

/// Prompt and output lengths are log-normal: medians [token] and deviations of the logarithm. `running` is the number
/// of requests that the arrival rate is set to keep in the batch.
struct workload_setting {
  std::string_view name;
  double prompt_median, prompt_spread, output_median, output_spread, running;
};
inline constexpr std::array<workload_setting, 4> workloads{
    workload_setting{"general", 180.0, 1.0, 110.0, 0.8, 30.0},
    workload_setting{"codegen", 600.0, 0.8, 60.0, 0.7, 20.0},
    workload_setting{"roleplay", 900.0, 0.6, 90.0, 0.5, 20.0},
    workload_setting{"reasoning", 120.0, 0.6, 500.0, 0.6, 30.0}};

inline constexpr std::uint64_t default_seed = 20260101;
inline constexpr int rows_per_experiment = 400;
inline constexpr int warm_up_steps = 500;
inline constexpr int steps_per_row = 25;  // the log keeps one step in so many
inline constexpr std::int64_t token_budget = 2048;
inline constexpr std::size_t most_sequences = 128;
inline constexpr std::int64_t longest_sequence = 4096;

/// Random numbers that are the same on every platform.
class random_source {
 public:
  explicit random_source(std::uint64_t seed) : words_(seed) {}
  /// Uniform in (0, 1).
  double uniform() { return (static_cast<double>(words_() >> 11U) + 0.5) * 0x1p-53; }
  double exponential(double mean) { return -mean * rafter::log(uniform()); }
  /// Standard normal, by Marsaglia's polar method.
  double normal() {
    for (;;) {
      const double x = 2.0 * uniform() - 1.0;
      const double y = 2.0 * uniform() - 1.0;
      const double square = x * x + y * y;
      if (square < 1.0 && square > 0.0) return x * rafter::sqrt(-2.0 * rafter::log(square) / square);
    }
  }
  std::int64_t length(double median, double spread, std::int64_t most) {
    const double drawn = median * rafter::exp(spread * normal());
    return std::clamp(static_cast<std::int64_t>(drawn), std::int64_t{4}, most);
  }

 private:
  std::mt19937_64 words_;
};

struct step_record {
  std::vector<request> requests;
};

struct sequence {
  std::int64_t prompt = 0;
  std::int64_t output = 0;
  std::int64_t in_cache = 0;   // tokens in the KV cache
  std::int64_t generated = 0;  // tokens produced
  std::int64_t chunk = 0;      // tokens that the current step processes
  bool in_prefill() const { return in_cache < prompt; }
};

/// One engine: requests arrive, wait, are admitted while the batch and the KV pool have room, run one chunk or one
/// token a step, and leave. The pool is reserved for a request's whole length, so that none is preempted.
class serving_engine {
 public:
  serving_engine(const rafter::deployment& runs, const workload_setting& workload, std::uint64_t seed)
      : workload_(workload),
        random_(seed),
        cost_(serving_cost::parts.bind<step_record>(runs)),
        floor_(serving_cost::floor_of.bind<step_record>(runs)) {
    const double ranks = runs.tensor_parallel;
    const double free_bytes =
        0.9 * runs.hardware.hbm_capacity.value * ranks - rafter::weight_bytes(runs.architecture).value;
    pool_ = static_cast<std::int64_t>(free_bytes / rafter::kv_bytes_per_token(runs.architecture).value);
    // The rate that keeps so many requests running, by Little's law, from the time of a typical step.
    step_record typical;
    const double mean_output =
        workload.output_median * rafter::exp(workload.output_spread * workload.output_spread / 2.0);
    for (int i = 0; i < static_cast<int>(workload.running); ++i) {
      typical.requests.push_back(request::decoding(std::floor(workload.prompt_median + mean_output / 2.0)));
    }
    rate_ = workload.running / (mean_output * 1.3 * law(typical));
    next_arrival_ = random_.exponential(1.0 / rate_);
  }

  struct timed_step {
    std::int64_t id = 0;
    std::int64_t start_ns = 0;
    double gpu_time = 0.0;  // [s]
    double interval = 0.0;  // [s]
  };

  /// Runs one step. Its requests are in `record()`.
  timed_step next() {
    for (;;) {
      arrivals();
      schedule();
      if (!record_.requests.empty()) break;
      clock_ = next_arrival_;  // idle
    }
    timed_step step;
    step.id = ++steps_;
    step.start_ns = static_cast<std::int64_t>(clock_ * 1e9);
    double time = law(record_) * rafter::exp(0.02 * random_.normal() - 0.0002);
    if (random_.uniform() < 0.004) time += random_.exponential(0.008);  // a stall
    step.gpu_time = in_hundredths(time);
    if (step.gpu_time < floor_(record_)[0]) throw rafter::error("the cost law is below the roofline floor");
    clock_ += step.gpu_time + 250e-6 + 4e-6 * static_cast<double>(record_.requests.size());
    finish();
    arrivals();
    if (running_.empty() && waiting_.empty()) clock_ = next_arrival_;
    step.interval = in_hundredths(clock_ - static_cast<double>(step.start_ns) * 1e-9);
    return step;
  }
  const step_record& record() const { return record_; }

 private:
  double law(const step_record& record) const {
    double time = 0.0;
    for (const double part : cost_(record)) time += part;
    return time;
  }
  /// Rounded to 0.01 us, as the file prints it.
  static double in_hundredths(double seconds) { return std::round(seconds * 1e8) / 1e8; }

  /// Half of the time one half of the rate, else three halves: batches of many sizes.
  double rate_now() const { return rate_ * (std::fmod(next_arrival_, 40.0) < 20.0 ? 0.5 : 1.5); }
  void arrivals() {
    while (next_arrival_ <= clock_) {
      sequence arrived;
      arrived.prompt = random_.length(workload_.prompt_median, workload_.prompt_spread, 3000);
      arrived.output =
          random_.length(workload_.output_median, workload_.output_spread, longest_sequence - arrived.prompt);
      waiting_.push_back(arrived);
      next_arrival_ += random_.exponential(1.0 / rate_now());
    }
  }

  void schedule() {
    record_.requests.clear();
    std::int64_t budget = token_budget;
    for (sequence& one : running_) one.chunk = 0;
    for (sequence& one : running_) {
      if (one.in_prefill()) continue;
      one.chunk = 1;
      --budget;
      record_.requests.push_back(request::decoding(static_cast<double>(one.in_cache)));
    }
    const auto prefill = [&](sequence& one) {
      const std::int64_t rest = one.prompt - one.in_cache;
      const std::int64_t chunk = std::min(rest, budget);
      if (chunk < rest && chunk < 16) return false;  // not worth a kernel
      one.chunk = chunk;
      budget -= chunk;
      // The last token of a prompt, alone, is one new token that gives the next: a decode.
      const bool decode = chunk == 1 && one.in_cache > 0;
      record_.requests.push_back({static_cast<double>(chunk), static_cast<double>(one.in_cache), decode});
      return true;
    };
    bool room = true;
    for (sequence& one : running_) {
      if (room && one.in_prefill()) room = prefill(one);
    }
    while (room && !waiting_.empty() && running_.size() < most_sequences &&
           reserved_ + waiting_.front().prompt + waiting_.front().output <= pool_) {
      sequence admitted = waiting_.front();
      if (!(room = prefill(admitted))) break;
      waiting_.pop_front();
      reserved_ += admitted.prompt + admitted.output;
      running_.push_back(admitted);
    }
  }

  void finish() {
    for (sequence& one : running_) {
      if (one.chunk == 0) continue;
      one.in_cache += one.chunk;
      if (!one.in_prefill()) ++one.generated;
    }
    const auto done = [&](const sequence& one) {
      if (one.generated < one.output) return false;
      reserved_ -= one.prompt + one.output;
      return true;
    };
    running_.erase(std::remove_if(running_.begin(), running_.end(), done), running_.end());
  }

  workload_setting workload_;
  random_source random_;
  decltype(serving_cost::parts.bind<step_record>(std::declval<const rafter::deployment&>())) cost_;
  decltype(serving_cost::floor_of.bind<step_record>(std::declval<const rafter::deployment&>())) floor_;
  std::int64_t pool_ = 0;
  std::int64_t reserved_ = 0;
  double rate_ = 0.0;
  double clock_ = 0.0;
  double next_arrival_ = 0.0;
  std::int64_t steps_ = 0;
  std::deque<sequence> waiting_;
  std::vector<sequence> running_;
  step_record record_;
};

/// All experiments, one after the other.
inline rafter::dataset<rafter::rafter_schema> generate(std::uint64_t seed = default_seed) {
  rafter::dataset_builder<rafter::rafter_schema> build("generated");
  std::uint64_t experiment = 0;
  for (const engine_setting& engine : engines) {
    rafter::deployment runs;
    runs.architecture = rafter::find_decoder(engine.model);
    runs.hardware = rafter::find_accelerator("h100");
    runs.tensor_parallel = engine.tp;
    const std::size_t deployment = build.add_deployment(runs);
    for (const workload_setting& workload : workloads) {
      serving_engine serving(runs, workload, seed + 7919 * experiment++);
      for (int step = 0; step < warm_up_steps; ++step) static_cast<void>(serving.next());
      for (int step = 0; step < steps_per_row * rows_per_experiment; ++step) {
        const auto timed = serving.next();
        if (step % steps_per_row != 0) continue;
        build.begin_row(deployment)
            .set(rafter::gpu_step_time, timed.gpu_time)
            .set(rafter::step_interval, timed.interval)
            .label(rafter::group::experiment, std::string(engine.short_name) + '-' + std::string(workload.name))
            .label(rafter::group::model, engine.model)
            .label(rafter::group::workload, workload.name)
            .label(rafter::group::hardware, "h100")
            .label(rafter::group::tp, std::to_string(engine.tp))
            .step_id(static_cast<double>(timed.id))
            .start_ns(timed.start_ns);
        for (const request& one : serving.record().requests) build.add(one);
        build.end_row();
      }
    }
  }
  return build.finish();
}

/// The file, byte for byte.
inline std::string text(std::uint64_t seed = default_seed) {
  const std::vector<std::string> comments{
      "label source: generated (no measurement: a simulated engine timed by the cost law of examples/data/README.md)",
      "generated by generate-steps, seed " + std::to_string(seed)};
  return rafter::rafter_steps_text(generate(seed), comments);
}

}  // namespace serving_steps
