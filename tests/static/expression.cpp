// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/analytical/roofline.hpp"
#include "rafter/expression/availability.hpp"
#include "rafter/expression/formula.hpp"
#include "rafter/step/record.hpp"

namespace rafter_static_tests {

using namespace rafter;
using namespace rafter::literals;

// -- dimensions ----------------------------------------------------------------------------------------------------

static_assert(dimension_of<kv_sum> == units::token);
static_assert(dimension_of<kv_sum * kv_max> == power(units::token, 2));
static_assert(dimension_of<prefill_tokens / scheduled_tokens> == units::none);
static_assert(dimension_of<analytical::step_gemm.flops> == units::flop);
static_assert(dimension_of<analytical::step_gemm.bytes> == units::byte);
static_assert(dimension_of<analytical::arithmetic_intensity(analytical::step_gemm)> == units::flop_per_byte);
static_assert(dimension_of<hardware::machine_balance> == units::flop_per_byte);
static_assert(dimension_of<analytical::roofline_step_time> == units::second);
static_assert(dimension_of<analytical::floor_time> == units::second);
static_assert(dimension_of<analytical::all_reduce_time> == units::second);
static_assert(dimension_of<prefill_attention_pairs> == power(units::token, 2));
static_assert(dimension_of<sqrt(kv_sum* kv_max)> == units::token);

using token = prefill_tokens_t;
using byte = architecture::bytes_per_kv_t;
static_assert(addable<token, kv_sum_t> && !addable<token, byte> && !addable<token, int>);
static_assert(addable<const token&, token>);
static_assert(!dimensionless<token> && dimensionless<decltype(magnitude(kv_sum))>);

// -- levels --------------------------------------------------------------------------------------------------------

static_assert(level_of<2_c> == level::constant);
static_assert(level_of<hardware::machine_balance> == level::deployment);
static_assert(level_of<analytical::roofline_step_time> == level::step);
static_assert(level_of<new_tokens * context_tokens> == level::request);
static_assert(level_of<for_each_request(kv_mean)> == level::request);
static_assert(level_of<sum(new_tokens* context_tokens)> == level::step);
static_assert(mixable<token, kv_sum_t> && mixable<new_tokens_t, kv_length_t>);
static_assert(!mixable<new_tokens_t, token> && !mixable<token, new_tokens_t>);
static_assert(mixable<new_tokens_t, architecture::layers_t>);

struct chunk_tokens_t : observable<"chunk_tokens", units::token, level::request, provenance::known_before_step,
                                   request_domain::prefill> {};
static_assert(!mixable<chunk_tokens_t, kv_length_t> && mixable<chunk_tokens_t, context_tokens_t>);

// -- expressions are empty types -----------------------------------------------------------------------------------

static_assert(std::is_empty_v<decltype(kv_sum * kv_max)> && std::is_empty_v<decltype(0.5_c)>);
static_assert(std::is_same_v<decltype(1000_c), decltype(1e3_c)>);
static_assert((0.82_c).value == 0.82 && (3.35e12_c).value == 3.35e12);

// -- names, provenance, formulas -----------------------------------------------------------------------------------

static_assert(kv_sum_t::name == "kv_sum" && new_tokens_t::name == "new_tokens");
static_assert(kv_sum_t::provenance_v == provenance::known_before_step);
static_assert(gpu_step_time_t::provenance_v == provenance::observed_after_step);
static_assert(finished_requests_t::provenance_v == provenance::observed_after_step);
static_assert(model_code_t::provenance_v == provenance::identity && model_code_t::identity_of == "model");
static_assert(formula(prefill_tokens / scheduled_tokens) == "prefill_tokens/(prefill_tokens + decode_tokens)");
static_assert(formula(max(kv_length) * count(decode)) == "kv_max*decode_requests");
static_assert(formula((kv_sum + kv_max) + kv_min) != formula(kv_sum + (kv_max + kv_min)));

// -- plans share, and never re-associate ---------------------------------------------------------------------------

template <class... Es> constexpr std::size_t size_of_plan(Es...) { return plan<as_written, Es...>::size; }
static_assert(size_of_plan(kv_sum * kv_max, kv_max* kv_sum) == 3);
static_assert(size_of_plan(kv_sum - kv_max, kv_max - kv_sum) == 4);
static_assert(size_of_plan((kv_sum + kv_max) + kv_min) == 5);
static_assert(size_of_plan((kv_sum + kv_max) + kv_min, kv_sum + (kv_max + kv_min)) == 7);
static_assert(size_of_plan(2_c * 3_c) == 1);
static_assert(size_of_plan(scheduled_tokens, scheduled_tokens* scheduled_tokens) == 4);
static_assert(size_of_plan(analytical::roofline_step_time, analytical::floor_time) <
              size_of_plan(analytical::roofline_step_time) + size_of_plan(analytical::floor_time));

// -- what can be evaluated on what ---------------------------------------------------------------------------------

struct counts {
  double prefill_tokens, decode_tokens;
};
struct batch {
  request requests[2];
};
struct lengths : counts {
  double kv_lengths[3];
};
struct engine {};
template <class E, class Record, class Deployment = engine>
inline constexpr bool runs_on = evaluable_on<E, detail::record_binding<Deployment, Record>>;
static_assert(runs_on<decltype(scheduled_tokens), counts> && runs_on<decltype(scheduled_tokens), batch>);
static_assert(!runs_on<kv_max_t, counts> && runs_on<kv_max_t, lengths> && runs_on<kv_max_t, batch>);
static_assert(!runs_on<prefill_requests_t, lengths> && runs_on<decode_requests_t, lengths>);
static_assert(!runs_on<kv_usage_ratio_t, batch>);
static_assert(!runs_on<decltype(analytical::floor_time), batch> &&
              runs_on<decltype(analytical::floor_time), batch, deployment>);
static_assert(step_record<counts> && step_record<batch> && has_kv_lengths<lengths> && !has_kv_lengths<counts>);

}  // namespace rafter_static_tests
