// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// Any bytes: an ensemble that keeps its own rules and survives a round trip, or one short error.
#include "rafter/io/xgboost_model.hpp"

#include "check.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  try {
    const rafter::tree_ensemble read = rafter::parse_xgboost_model(bytes, "f.json");
    read.check();
    try {
      const rafter::tree_ensemble again = rafter::parse_xgboost_json(rafter::write_xgboost_json(read), "again.json");
      check(again.trees == read.trees && again.features == read.features && again.link == read.link);
    } catch (const rafter::tree_error&) {
      // What binary files can say and JSON cannot: an infinite threshold.
    }
  } catch (const rafter::io_error& error) {
    check_message(error, bytes);
  }
  return 0;
}
