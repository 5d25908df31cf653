// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// Any bytes: an array exactly as large as the data, or one short error; what was read survives a round trip.
#include "rafter/io/npy.hpp"

#include "check.hpp"

namespace {

template <class T, std::size_t N> void read(std::string_view bytes) {
  try {
    const xt::xtensor<T, N> array = rafter::parse_npy<T, N>(bytes, "f.npy");
    check(array.size() * sizeof(T) <= bytes.size());
    const std::string written = xt::dump_npy(array);
    const xt::xtensor<T, N> again = rafter::parse_npy<T, N>(written, "again.npy");
    check(again.shape() == array.shape());
    check(array.size() == 0 || std::memcmp(again.data(), array.data(), array.size() * sizeof(T)) == 0);
  } catch (const rafter::io_error& error) {
    check_message(error, bytes);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  read<double, 1>(bytes);
  read<double, 2>(bytes);
  read<float, 2>(bytes);
  read<std::int64_t, 1>(bytes);
  read<bool, 2>(bytes);
  return 0;
}
