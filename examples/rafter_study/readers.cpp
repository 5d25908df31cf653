// rafter-study: the readers of all schemas, compiled once. SPDX-License-Identifier: Apache-2.0
#include "readers.hpp"

namespace study {

rafter::dataset<rafter::blis_schema> read_blis_steps(const input& from, const rafter::progress_callback& progress) {
  return rafter::parse_blis_steps(from.text, from.name, {.progress = progress});
}

rafter::dataset<rafter::kernel_schema> read_kernel_steps(const input& from,
                                                         const rafter::progress_callback& progress) {
  return rafter::parse_kernel_steps(from.text, from.name, {.progress = progress});
}

rafter::dataset<rafter::rafter_schema> read_rafter_steps(const input& from,
                                                         const rafter::progress_callback& progress) {
  return rafter::parse_rafter_steps(from.text, from.name, {.progress = progress});
}

}  // namespace study
