// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "rafter/architecture/decoder.hpp"
#include "rafter/architecture/quantities.hpp"
#include "rafter/hardware/accelerator.hpp"
#include "rafter/hardware/quantities.hpp"

namespace rafter {

/// What one engine runs: a model on a device, over `tensor_parallel` ranks. Everything in it is uniform over the
/// engine's steps. The formulas are per rank.
struct deployment {
  decoder architecture;
  accelerator_record hardware;
  double tensor_parallel = 1.0;
  precision math_precision = precision::bf16;
  /// A number that tells the models of a data set apart; only `identity<model>` features read it.
  double model_code = 0.0;

  friend bool operator==(const deployment&, const deployment&) = default;
};

/// The same, known to the compiler: an empty type, folded into whatever is bound to it.
template <static_architecture Architecture, static_accelerator Device, int TensorParallel = 1,
          precision Precision = precision::bf16>
struct static_deployment {
  static_assert(TensorParallel >= 1, "rafter: tensor_parallel is at least 1");
  static_assert(Device::peak_flops.has(Precision), "rafter: this device has no peak for that precision");
  static constexpr Architecture architecture{};
  static constexpr Device hardware{};
  static constexpr double tensor_parallel = TensorParallel;
  static constexpr precision math_precision = Precision;
};

/// The run-time record of a static deployment.
template <static_architecture Architecture, static_accelerator Device, int TensorParallel, precision Precision>
deployment deployment_of(const static_deployment<Architecture, Device, TensorParallel, Precision>&) {
  return {decoder_of<Architecture>(), record_of<Device>(), static_cast<double>(TensorParallel), Precision, 0.0};
}

/// Ranks that share the work of a layer (tensor parallelism).
struct tensor_parallel_t : observable<"tensor_parallel", units::none, level::deployment> {
  template <class Deployment>
  requires requires(const Deployment& d) { d.tensor_parallel; }
  static constexpr double read(const Deployment& d) { return static_cast<double>(d.tensor_parallel); }
};
inline constexpr tensor_parallel_t tensor_parallel{};

/// Which model of the data set this is. Refused by the compiler under a split that holds models out.
struct model_code_t : identity_observable<"model_code", "model"> {
  template <class Deployment>
  requires requires(const Deployment& d) { d.model_code; }
  static constexpr double read(const Deployment& d) { return d.model_code; }
};
inline constexpr model_code_t model_code{};

}  // namespace rafter
