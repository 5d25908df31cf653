// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>

#include "rafter/analytical/operation.hpp"
#include "rafter/core/math.hpp"

/// Wave scaling: the time of a kernel on one device from its time on another. Source: Yu, Gao, Golikov, Pekhimenko
/// 2021, "Habitat: a runtime-based computational performance predictor for deep neural network training", USENIX ATC,
/// section 3.3 and its program.
namespace rafter {

/// What wave scaling reads of a device.
struct wave_device {
  double bandwidth = 0.0;   ///< D [B/s]
  double wave = 0.0;        ///< W: thread blocks that run at once
  double block_rate = 0.0;  ///< C: how fast one block computes. Habitat takes the clock
  double balance = 0.0;     ///< R: FLOP per byte at which compute and memory take as long
};

/// A device's figures. Habitat takes the clock for the rate of a block, which holds within a generation; matrix units
/// also get wider from one to the next, so this takes the peak of one multiprocessor: where the number of blocks is
/// the same per multiprocessor the two differ by FLOP per clock alone.
/// @param blocks_per_multiprocessor  of the kernel at once; 1 for kernels of large tiles
/// @returns figures that are not numbers where the device lacks the peak or its number of multiprocessors
inline wave_device wave_device_of(const accelerator_record& device, precision format,
                                  double blocks_per_multiprocessor = 1.0) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const auto peak = device.peak_flops.at(format);
  if (!peak || device.multiprocessors <= 0) return {nan, nan, nan, nan};
  const double wave = device.multiprocessors * blocks_per_multiprocessor;
  return {device.hbm_bandwidth.value, wave, peak->value / wave, peak->value / device.hbm_bandwidth.value};
}

/// How much memory bounds a kernel of so many FLOP per byte on a device, γ in (0, 1]: 1 − x/2R below the balance R of
/// the device to predict for, R/2x above; 1/2 at R.
inline double memory_boundedness(double intensity, const wave_device& to) {
  return intensity < to.balance ? 1.0 - 0.5 * intensity / to.balance : 0.5 * to.balance / intensity;
}

/// Time on `to` of a kernel of many waves that takes `time` on `from`, equation 2:
/// T·(D_o/D_d)^γ·(W_o·C_o/(W_d·C_d))^(1−γ).
inline double scaled_by_waves(double time, const wave_device& from, const wave_device& to, double gamma) {
  return time * rafter::exp(gamma * rafter::log(from.bandwidth / to.bandwidth) +
                            (1.0 - gamma) * rafter::log(from.wave * from.block_rate / (to.wave * to.block_rate)));
}

/// The same counting the waves of `blocks` thread blocks, equation 1:
/// T·(⌈B/W_d⌉/⌈B/W_o⌉)·(D_o/D_d·W_d/W_o)^γ·(C_o/C_d)^(1−γ).
/// A kernel that fills no wave on either device scales with C^(1−γ) alone, as Habitat's program does.
inline double scaled_by_waves(double time, const wave_device& from, const wave_device& to, double gamma,
                              double blocks) {
  const double rate = rafter::exp((1.0 - gamma) * rafter::log(from.block_rate / to.block_rate));
  if (blocks < from.wave && blocks < to.wave) return time * rate;
  const double share = rafter::exp(gamma * rafter::log(from.bandwidth / to.bandwidth * to.wave / from.wave));
  return time * (std::ceil(blocks / to.wave) / std::ceil(blocks / from.wave)) * share * rate;
}

/// An operation's time on another device with γ from its arithmetic intensity: equation 1 where its blocks are known,
/// else equation 2. Traffic between GPUs scales with the link's bandwidth alone. Not a number where a figure of a
/// device is not known.
inline double scaled_to_device(double time, const operation_work& work, const accelerator_record& from,
                               const accelerator_record& to) {
  if (work.link_bytes > 0.0) {
    const bool linked = from.link_bandwidth.value > 0.0 && to.link_bandwidth.value > 0.0;
    return linked ? time * (from.link_bandwidth.value / to.link_bandwidth.value) : detail::not_a_number;
  }
  const wave_device origin = wave_device_of(from, work.format), destination = wave_device_of(to, work.format);
  const double gamma = memory_boundedness(work.flops / work.memory_bytes, destination);
  return work.blocks > 0.0 ? scaled_by_waves(time, origin, destination, gamma, work.blocks)
                           : scaled_by_waves(time, origin, destination, gamma);
}

/// The ratio of the roofline times instead: what compute and bandwidth alone say.
inline double scaled_by_roofline(double time, const operation_work& work, const accelerator_record& from,
                                 const accelerator_record& to) {
  return time * (roofline_seconds(work, to) / roofline_seconds(work, from));
}

}  // namespace rafter
