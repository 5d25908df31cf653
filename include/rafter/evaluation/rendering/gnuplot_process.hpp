// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// opt-in: runs gnuplot (POSIX).
#pragma once

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>

#include "rafter/evaluation/html.hpp"
#include "rafter/evaluation/rendering/gnuplot.hpp"
#include "rafter/io/file.hpp"

namespace rafter {

/// What gnuplot, found on PATH, prints for a script; nothing when it is not there or fails. No shell is involved, the
/// script goes through a temporary file without a name, and the user's settings are not read.
RAFTER_COLD inline std::optional<std::string> run_gnuplot(std::string_view script) {
  const detail::file_handle in(std::tmpfile()), out(std::tmpfile());
  if (!in || !out) return std::nullopt;
  if (std::fwrite(script.data(), 1, script.size(), in.get()) != script.size() || std::fflush(in.get()) != 0) {
    return std::nullopt;
  }
  std::rewind(in.get());
  posix_spawn_file_actions_t actions;
  if (posix_spawn_file_actions_init(&actions) != 0) return std::nullopt;
  posix_spawn_file_actions_adddup2(&actions, fileno(in.get()), STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, fileno(out.get()), STDOUT_FILENO);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", 1 /* O_WRONLY */, 0);
  std::string program = "gnuplot", no_settings = "-d";
  const std::array<char*, 3> arguments{program.data(), no_settings.data(), nullptr};
  pid_t child = 0;
  const int failed = posix_spawnp(&child, program.c_str(), &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  int status = 0;
  if (failed != 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    return std::nullopt;
  }
  std::string text;
  std::array<char, 65536> buffer;
  std::rewind(out.get());
  for (std::size_t got; (got = std::fread(buffer.data(), 1, buffer.size(), out.get())) > 0;) {
    text.append(buffer.data(), got);
  }
  return text;
}

inline bool gnuplot_is_there() {
  const std::optional<std::string> answer = run_gnuplot("set print '-'\nprint 'here'\n");
  return answer && answer->starts_with("here");
}

/// Draws plots for html_of: `html_of(report, {.draw = gnuplot_renderer()})`. Empty, so that the page says why it has no
/// pictures, when gnuplot is not there.
RAFTER_COLD inline plot_renderer gnuplot_renderer() {
  if (!gnuplot_is_there()) return {};
  return [](const plot& picture) -> std::optional<std::string> {
    const std::string script = gnuplot_script(picture);
    if (script.empty()) return std::nullopt;
    const std::optional<std::string> svg = run_gnuplot(script);
    const std::string made = svg ? inline_svg(*svg, picture) : std::string();
    if (made.empty()) return std::nullopt;
    return made + html_legend(picture) + html_omissions(picture);
  };
}

}  // namespace rafter
