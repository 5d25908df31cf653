// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <concepts>
#include <string>
#include <string_view>
#include <type_traits>

#include "rafter/core/error.hpp"
#include "rafter/units/quantity.hpp"

namespace rafter {

/// An architecture that is unknown or whose numbers cannot belong to a decoder.
struct architecture_error : error {
  using error::error;
};

/// A decoder-only transformer with grouped-query attention (MHA and MQA included) and a gated MLP, dense or a mixture
/// of experts: an empty type with static members, or the record `decoder`. All formulas read it as `a.layers`.
///
/// | member | meaning |
/// |---|---|
/// | layers, hidden, heads, kv_heads, head_dim, intermediate | L, d, H, K, h (not always d/H), f (of one expert) |
/// | experts, experts_per_token | E, k; both 1 when dense |
/// | shared_intermediate | width of an MLP that every token runs beside its k experts; 0 when there is none |
/// | vocabulary | V |
/// | bytes_per_weight, bytes_per_kv, bytes_per_activation | b, c, a; fractions allowed (4-bit weights: 0.5) |
/// | tied_embeddings | the LM head is the embedding table |
/// | qkv_bias, qk_norm | biases on Q, K, V; norms of h weights on Q and K: they count as weights, not as work |
///
/// Axioms: see `check`. An architecture that stores or reads something else per token (latent attention) is not one
/// of these: it declares its own `kv_bytes_per_token` (mla.hpp).
template <class Architecture>
concept decoder_architecture = requires(const Architecture& a) {
  { a.name } -> std::convertible_to<std::string_view>;
  { a.layers } -> std::convertible_to<int>;
  { a.hidden } -> std::convertible_to<int>;
  { a.heads } -> std::convertible_to<int>;
  { a.kv_heads } -> std::convertible_to<int>;
  { a.head_dim } -> std::convertible_to<int>;
  { a.intermediate } -> std::convertible_to<int>;
  { a.experts } -> std::convertible_to<int>;
  { a.experts_per_token } -> std::convertible_to<int>;
  { a.shared_intermediate } -> std::convertible_to<int>;
  { a.vocabulary } -> std::convertible_to<int>;
  { a.bytes_per_weight } -> std::convertible_to<double>;
  { a.bytes_per_kv } -> std::convertible_to<double>;
  { a.bytes_per_activation } -> std::convertible_to<double>;
  { a.tied_embeddings } -> std::convertible_to<bool>;
  { a.qkv_bias } -> std::convertible_to<bool>;
  { a.qk_norm } -> std::convertible_to<bool>;
};

/// A decoder architecture whose numbers are known to the compiler.
template <class Architecture>
concept static_architecture = decoder_architecture<Architecture> && std::is_empty_v<Architecture> && requires {
  Architecture::name;
  Architecture::layers;
};

/// A decoder known only at run time. The numbers without a default must be given; `check` tells which are missing.
struct decoder {
  std::string name;
  int layers = 0;
  int hidden = 0;
  int heads = 0;
  int kv_heads = 0;
  int head_dim = 0;
  int intermediate = 0;
  int experts = 1;
  int experts_per_token = 1;
  int shared_intermediate = 0;
  int vocabulary = 0;
  double bytes_per_weight = 2.0;
  double bytes_per_kv = 2.0;
  double bytes_per_activation = 2.0;
  bool tied_embeddings = false;
  bool qkv_bias = false;
  bool qk_norm = false;

  friend bool operator==(const decoder&, const decoder&) = default;
};
static_assert(decoder_architecture<decoder> && !static_architecture<decoder>);

/// The run-time record of any decoder architecture.
decoder decoder_of(const decoder_architecture auto& a) {
  return {.name = std::string(std::string_view(a.name)),
          .layers = a.layers,
          .hidden = a.hidden,
          .heads = a.heads,
          .kv_heads = a.kv_heads,
          .head_dim = a.head_dim,
          .intermediate = a.intermediate,
          .experts = a.experts,
          .experts_per_token = a.experts_per_token,
          .shared_intermediate = a.shared_intermediate,
          .vocabulary = a.vocabulary,
          .bytes_per_weight = a.bytes_per_weight,
          .bytes_per_kv = a.bytes_per_kv,
          .bytes_per_activation = a.bytes_per_activation,
          .tied_embeddings = a.tied_embeddings,
          .qkv_bias = a.qkv_bias,
          .qk_norm = a.qk_norm};
}

template <static_architecture Architecture> decoder decoder_of() { return decoder_of(Architecture{}); }

/// True when tokens are routed to some of several experts.
constexpr bool is_mixture_of_experts(const decoder_architecture auto& a) { return a.experts > 1; }

/// True when two decoders do the same work per layer in the same number of layers: names, vocabularies and bytes are
/// not compared. Llama-2-70B and Llama-3.1-70B are such a pair; a split that holds one out must hold out the other.
constexpr bool same_shape(const decoder_architecture auto& a, const decoder_architecture auto& b) {
  return a.layers == b.layers && a.hidden == b.hidden && a.heads == b.heads && a.kv_heads == b.kv_heads &&
         a.head_dim == b.head_dim && a.intermediate == b.intermediate && a.experts == b.experts &&
         a.experts_per_token == b.experts_per_token && a.shared_intermediate == b.shared_intermediate;
}

/// Refuses numbers that no decoder has.
/// @throws architecture_error naming the architecture, the first bad field and its value
inline void check(const decoder& a) {
  const auto refuse = [&](const char* field, const std::string& value, const std::string& why) {
    throw architecture_error("architecture '" + a.name + "': " + field + " = " + value + " " + why);
  };
  const auto positive = [&](const char* field, int value) {
    if (value <= 0) refuse(field, std::to_string(value), "is not positive");
  };
  positive("layers", a.layers);
  positive("hidden", a.hidden);
  positive("heads", a.heads);
  positive("kv_heads", a.kv_heads);
  positive("head_dim", a.head_dim);
  positive("intermediate", a.intermediate);
  positive("experts", a.experts);
  positive("experts_per_token", a.experts_per_token);
  positive("vocabulary", a.vocabulary);
  if (a.shared_intermediate < 0) refuse("shared_intermediate", std::to_string(a.shared_intermediate), "is negative");
  if (a.kv_heads > a.heads || a.heads % a.kv_heads != 0) {
    refuse("heads", std::to_string(a.heads), "is not a multiple of kv_heads = " + std::to_string(a.kv_heads));
  }
  if (a.experts_per_token > a.experts) {
    refuse("experts_per_token", std::to_string(a.experts_per_token),
           "is more than experts = " + std::to_string(a.experts));
  }
  const auto element_size = [&](const char* field, double value) {
    if (!(value > 0.0 && value <= 8.0)) refuse(field, std::to_string(value), "is not in (0, 8] bytes");
  };
  element_size("bytes_per_weight", a.bytes_per_weight);
  element_size("bytes_per_kv", a.bytes_per_kv);
  element_size("bytes_per_activation", a.bytes_per_activation);
}

// ---- Derived quantities -------------------------------------------------------------------------------------------
// Each is a function object: a hidden friend of the same name in an architecture replaces the generic formula.

namespace detail {

// Found by argument-dependent lookup only; these declarations keep ordinary lookup from finding the objects below.
void kv_bytes_per_token() = delete;
void weight_count() = delete;
void active_weight_count() = delete;
void weight_bytes() = delete;

template <class A>
concept has_own_kv_bytes_per_token = requires(const A& a) {
  { kv_bytes_per_token(a) } -> std::same_as<bytes>;
};
template <class A>
concept has_own_weight_count = requires(const A& a) {
  { weight_count(a) } -> std::same_as<double>;
};
template <class A>
concept has_own_active_weight_count = requires(const A& a) {
  { active_weight_count(a) } -> std::same_as<double>;
};
template <class A>
concept has_own_weight_bytes = requires(const A& a) {
  { weight_bytes(a) } -> std::same_as<bytes>;
};

/// Weights when each token's MLP runs `experts` experts of one layer (E: all of them; k: those of one token).
constexpr double decoder_weights(const auto& a, double experts) {
  const double d = a.hidden;
  const double q = static_cast<double>(a.heads) * a.head_dim;
  const double kv = static_cast<double>(a.kv_heads) * a.head_dim;
  const double biases = a.qkv_bias ? q + 2.0 * kv : 0.0;
  const double norms = 2.0 * d + (a.qk_norm ? 2.0 * a.head_dim : 0.0);
  const double router = a.experts > 1 ? d * a.experts : 0.0;
  const double shared = a.shared_intermediate > 0 ? 3.0 * d * a.shared_intermediate + d : 0.0;  // + its gate
  const double layer =
      d * q + 2.0 * d * kv + q * d + biases + norms + 3.0 * d * a.intermediate * experts + router + shared;
  const double tables = (a.tied_embeddings ? 1.0 : 2.0) * d * a.vocabulary;
  return a.layers * layer + d + tables;
}

struct kv_bytes_per_token_function {
  template <class A>
  requires has_own_kv_bytes_per_token<A> || decoder_architecture<A>
  constexpr bytes operator()(const A& a) const {
    if constexpr (has_own_kv_bytes_per_token<A>) {
      return kv_bytes_per_token(a);
    } else {
      return bytes{2.0 * a.layers * a.kv_heads * a.head_dim * a.bytes_per_kv};
    }
  }
};

struct weight_count_function {
  template <class A>
  requires has_own_weight_count<A> || decoder_architecture<A>
  constexpr double operator()(const A& a) const {
    if constexpr (has_own_weight_count<A>) {
      return weight_count(a);
    } else {
      return decoder_weights(a, a.experts);
    }
  }
};

struct active_weight_count_function {
  template <class A>
  requires has_own_active_weight_count<A> || decoder_architecture<A>
  constexpr double operator()(const A& a) const {
    if constexpr (has_own_active_weight_count<A>) {
      return active_weight_count(a);
    } else {
      return decoder_weights(a, a.experts_per_token);
    }
  }
};

struct weight_bytes_function {
  template <class A>
  requires has_own_weight_bytes<A> || has_own_weight_count<A> || decoder_architecture<A>
  constexpr bytes operator()(const A& a) const {
    if constexpr (has_own_weight_bytes<A>) {
      return weight_bytes(a);
    } else {
      return bytes{weight_count_function{}(a)*a.bytes_per_weight};
    }
  }
};

}  // namespace detail

inline namespace derived {

/// KV-cache bytes that one token of context occupies over all layers (all ranks together): 2·L·K·h·c. [B]
inline constexpr detail::kv_bytes_per_token_function kv_bytes_per_token{};

/// Trained weights, all of them: per layer d·Hh + 2d·Kh + Hh·d + 3d·f·E, router d·E, shared expert with its gate,
/// Q/K/V biases, norms (2d, and 2h with qk_norm); the final norm d; the embedding table V·d and, unless tied, the LM
/// head V·d. This is the figure that model cards give (6.74e9 for Llama-2-7B).
inline constexpr detail::weight_count_function weight_count{};

/// Weights that one token's forward pass uses: as `weight_count` with k experts in the place of E. Embedding table
/// and LM head are counted whole, as model cards do (12.9e9 for Mixtral-8x7B).
inline constexpr detail::active_weight_count_function active_weight_count{};

/// Bytes of all weights: weight_count·b (all ranks together). [B]
inline constexpr detail::weight_bytes_function weight_bytes{};

}  // namespace derived

/// Attention shape of one rank, as groups of rows are named: "q8-kv1-d128". KV heads are replicated when tp > K.
/// @throws architecture_error when tp does not divide the query heads, or K and tp do not divide one another
std::string attention_shape_name(const decoder_architecture auto& a, int tp) {
  const auto refuse = [&](const std::string& why) {
    throw architecture_error("architecture '" + std::string(std::string_view(a.name)) +
                             "': tp = " + std::to_string(tp) + " " + why);
  };
  if (tp <= 0) refuse("is not positive");
  if (a.heads % tp != 0) refuse("does not divide heads = " + std::to_string(a.heads));
  if (a.kv_heads % tp != 0 && tp % a.kv_heads != 0) {
    refuse("neither divides nor is a multiple of kv_heads = " + std::to_string(a.kv_heads));
  }
  const int kv = tp < a.kv_heads ? a.kv_heads / tp : 1;
  return "q" + std::to_string(a.heads / tp) + "-kv" + std::to_string(kv) + "-d" + std::to_string(a.head_dim);
}

}  // namespace rafter
