"""Writes a text file as a C++ source that defines rafter_data::embedded_steps(): embed.py IN OUT"""
import sys

lines = open(sys.argv[1], encoding="utf-8", newline="").read().splitlines(keepends=True)
with open(sys.argv[2], "w", encoding="utf-8", newline="\n") as out:
    out.write('#include "examples/data/embedded_steps.hpp"\n\n#pragma GCC diagnostic ignored "-Woverlength-strings"\n\nnamespace rafter_data {\n\n'
              "std::string_view embedded_steps() {\n  static constexpr char text[] =\n")
    for line in lines:
        escaped = line.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r")
        out.write(f'      "{escaped}"\n')
    out.write("      ;\n  return {text, sizeof text - 1};\n}\n\n}  // namespace rafter_data\n")
