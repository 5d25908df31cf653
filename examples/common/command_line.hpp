// What rafter's programs share: options by name, one line for bad input, a progress bar. SPDX-License-Identifier:
// Apache-2.0
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "rafter/core/error.hpp"

namespace programs {

/// Exit status of a program that was given something it cannot use.
inline constexpr int bad_input = 2;

/// A command line that asks for what does not exist, or for things that exclude each other.
struct usage_error : rafter::error {
  using error::error;
};

/// The options of a program. (CLI11 behind a wall: it takes seconds to compile, once for all programs.)
class command_line {
 public:
  /// @param name  of the program, as it is typed
  command_line(const std::string& name, const std::string& description);
  ~command_line();

  void option(const std::string& name, std::string& value, const std::string& help);
  /// Texts separated by commas.
  void option(const std::string& name, std::vector<std::string>& values, const std::string& help);
  /// A text without a name, such as a file to read; empty when it is not given.
  void argument(const std::string& name, std::string& value, const std::string& help);
  void flag(const std::string& name, bool& value, const std::string& help);

  /// Fills the variables. @returns an exit status when the program has nothing more to do (--help, --version)
  /// @throws usage_error for an unknown option (naming the nearest), a missing value, an option given twice
  std::optional<int> parse(int argc, const char* const* argv);

 private:
  struct parser;
  std::unique_ptr<parser> parser_;
};

/// One line on standard error, whatever `what` holds. @returns bad_input
int complain(std::string_view program, std::string_view what);

/// Writes to standard output. @throws rafter::error when not everything could be written (a full disk)
void print(std::string_view text);

/// Is standard output a terminal whose user has not set NO_COLOR (https://no-color.org)?
bool wants_colour();

/// A progress bar on standard error; nothing where that is no terminal.
class progress_bar {
 public:
  progress_bar();
  ~progress_bar() { clear(); }
  void operator()(std::string_view stage, std::size_t done, std::size_t total);
  void clear();

 private:
  bool terminal_;
  std::string shown_;
};

}  // namespace programs
