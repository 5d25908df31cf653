// What rafter's programs share: options by name, one line for bad input, a progress bar. SPDX-License-Identifier:
// Apache-2.0
#include "command_line.hpp"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <system_error>

#include "rafter/core/nearest_name.hpp"
#include "rafter/io/error.hpp"
#include "rafter/version.hpp"

namespace programs {

namespace {

/// An option with an empty value is a shell variable that was not set, not a wish for the default.
std::string refuse_empty(const std::string& value) { return value.empty() ? "an empty value" : std::string(); }

}  // namespace

struct command_line::parser {
  parser(const std::string& name, const std::string& description) : app(description, name) {}
  CLI::App app;
  std::vector<std::string> names{"--help", "--version"};
};

command_line::command_line(const std::string& name, const std::string& description)
    : parser_(std::make_unique<parser>(name, description)) {
  parser_->app.set_version_flag("--version", std::string(RAFTER_VERSION));
}
command_line::~command_line() = default;

void command_line::option(const std::string& name, std::string& value, const std::string& help) {
  parser_->app.add_option(name, value, help)->check(refuse_empty);
  parser_->names.push_back(name);
}
void command_line::option(const std::string& name, std::vector<std::string>& values, const std::string& help) {
  parser_->app.add_option(name, values, help)->delimiter(',')->check(refuse_empty);
  parser_->names.push_back(name);
}
void command_line::argument(const std::string& name, std::string& value, const std::string& help) {
  parser_->app.add_option(name, value, help)->check(refuse_empty);
}
void command_line::flag(const std::string& name, bool& value, const std::string& help) {
  parser_->app.add_flag(name, value, help);
  parser_->names.push_back(name);
}

std::optional<int> command_line::parse(int argc, const char* const* argv) {
  try {
    parser_->app.parse(argc, argv);
  } catch (const CLI::Success& done) {
    return parser_->app.exit(done);
  } catch (const CLI::ExtrasError& error) {
    std::string text = parser_->app.remaining().empty() ? std::string() : parser_->app.remaining().front();
    if (!text.starts_with('-')) throw usage_error("unexpected '" + rafter::printable(text) + "' (see --help)");
    text = text.substr(0, text.find('='));
    throw usage_error("unknown option '" + rafter::printable(text) + "'" +
                      rafter::did_you_mean(text, parser_->names) + " (see --help)");
  } catch (const CLI::ArgumentMismatch& error) {
    const std::string what = error.what();
    const bool missing = what.find("missing") != std::string::npos;
    throw usage_error("option " + what.substr(0, what.find(':')) +
                      (missing ? " needs a value" : " is given more than once") + " (see --help)");
  } catch (const CLI::ParseError& error) {
    throw usage_error("option " + std::string(error.what()));
  }
  return std::nullopt;
}

int complain(std::string_view program, std::string_view what) {
  std::string line(program);
  line.append(": ").append(what);
  std::replace_if(
      line.begin(), line.end(), [](char c) { return c == '\n' || c == '\r'; }, ' ');
  line += '\n';
  std::fputs(line.c_str(), stderr);
  return bad_input;
}

void print(std::string_view text) {
  errno = 0;
  if (std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0) return;
  throw rafter::error("cannot write to standard output: " + std::generic_category().message(errno));
}

bool wants_colour() {
  const char* const unwanted = std::getenv("NO_COLOR");
  return isatty(STDOUT_FILENO) != 0 && (unwanted == nullptr || *unwanted == '\0');
}

progress_bar::progress_bar() : terminal_(isatty(STDERR_FILENO) != 0) {}

void progress_bar::operator()(std::string_view stage, std::size_t done, std::size_t total) {
  if (!terminal_) return;
  constexpr std::size_t stage_width = 40;
  constexpr std::size_t width = 30;
  const std::size_t filled = total == 0 ? width : std::min(width, width * done / total);
  std::string line = "\r" + std::string(stage.substr(0, stage_width));
  line.resize(1 + stage_width, ' ');
  line += " [" + std::string(filled, '=') + std::string(width - filled, ' ') + "] ";
  if (line == shown_) return;
  std::fputs(line.c_str(), stderr);
  shown_ = std::move(line);
}

void progress_bar::clear() {
  if (!shown_.empty()) std::fputs("\r\033[K", stderr);
  shown_.clear();
}

}  // namespace programs
