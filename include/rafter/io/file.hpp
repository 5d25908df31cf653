// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "rafter/io/error.hpp"

namespace rafter {

/// The bytes of a file, owned; views into it stay valid when the object is moved.
class file_bytes {
 public:
  file_bytes() = default;
  file_bytes(std::unique_ptr<char[]> buffer, std::size_t size) : bytes_(std::move(buffer)), size_(size) {}
  std::string_view view() const { return {bytes_.get(), size_}; }
  std::size_t size() const { return size_; }

 private:
  std::unique_ptr<char[]> bytes_;
  std::size_t size_ = 0;
};

namespace detail {

struct close_file {
  void operator()(std::FILE* file) const { static_cast<void>(std::fclose(file)); }
};
using file_handle = std::unique_ptr<std::FILE, close_file>;

[[noreturn]] inline void throw_system_error(const std::string& path, std::string_view action, int code) {
  throw io_error({path}, {}, {}, std::string(action) + ": " + std::generic_category().message(code));
}

}  // namespace detail

/// What is read of something whose size is not known in advance before it is taken for endless.
inline constexpr std::size_t largest_file = std::size_t{4} << 30U;

/// Reads a whole file; pipes and files whose size is not known in advance work too.
/// A std::filesystem::path converts to the argument; the header stays free of <filesystem>, which costs 0.3 s.
/// @throws io_error when it cannot be opened or read
inline file_bytes read_file(const std::string& path) {
  errno = 0;
  const detail::file_handle file(std::fopen(path.c_str(), "rb"));
  if (!file) detail::throw_system_error(path, "cannot open", errno);
  std::size_t capacity = std::size_t{1} << 16U;
  if (std::fseek(file.get(), 0, SEEK_END) == 0) {
    const long end = std::ftell(file.get());
    // One byte more than the file holds, so that one read both fills the buffer and sees the end. A directory
    // answers with a huge number here, and with an error when it is read.
    if (end > 0 && end < (1L << 46)) capacity = static_cast<std::size_t>(end) + 1;
    std::rewind(file.get());
  }
  auto buffer = std::make_unique_for_overwrite<char[]>(capacity);
  std::size_t size = 0;
  for (;;) {
    errno = 0;
    size += std::fread(buffer.get() + size, 1, capacity - size, file.get());
    if (std::ferror(file.get()) != 0) detail::throw_system_error(path, "cannot read", errno);
    if (size < capacity) return {std::move(buffer), size};
    if (capacity >= largest_file) {
      throw io_error({path}, {}, {}, "has no end after " + std::to_string(largest_file >> 30U) + " GiB");
    }
    auto larger = std::make_unique_for_overwrite<char[]>(2 * capacity);
    std::memcpy(larger.get(), buffer.get(), size);
    buffer = std::move(larger);
    capacity *= 2;
  }
}

/// Writes (or replaces) a whole file. @throws io_error when it cannot be opened, or not every byte was accepted
inline void write_file(const std::string& path, std::string_view content) {
  errno = 0;
  detail::file_handle file(std::fopen(path.c_str(), "wb"));
  if (!file) detail::throw_system_error(path, "cannot open for writing", errno);
  const bool written = std::fwrite(content.data(), 1, content.size(), file.get()) == content.size();
  const int code = errno;
  if (std::fclose(file.release()) != 0 || !written) {
    detail::throw_system_error(path, "cannot write", written ? errno : code);
  }
}

}  // namespace rafter
