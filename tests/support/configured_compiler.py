"""The compiler as meson configured it: the command line of tests/headers/probe.cpp, without its file and outputs."""
import json
import pathlib
import shlex
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]


def from_build(folder):
    """-> the command, as a list, that a test of this build folder is compiled with (run it in the build folder)"""
    for entry in json.loads((pathlib.Path(folder) / "compile_commands.json").read_text()):
        if entry["file"].endswith("tests/headers/probe.cpp"):
            words, command = iter(shlex.split(entry["command"])), []
            for word in words:
                if word in ("-o", "-MF", "-MQ", "-c"):
                    next(words)
                elif word not in ("-MD", "ccache", "-fcolor-diagnostics") and not word.startswith("-fdiagnostics-color"):
                    command.append(word)
            return command, pathlib.Path(folder)
    sys.exit(f"{folder}/compile_commands.json has no tests/headers/probe.cpp: configure with -Dtests=enabled")


def by_hand(compiler):
    """-> the same without a build folder: the project's flags, Eigen by pkg-config"""
    eigen = subprocess.run(["pkg-config", "--cflags-only-I", "eigen3"], capture_output=True, text=True).stdout
    return (shlex.split(compiler) + ["-std=c++20", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow",
                                     "-ffp-contract=off", f"-I{ROOT / 'include'}"]
            + [word.replace("-I", "-isystem", 1) for word in eigen.split()]), ROOT


def from_arguments(options):
    return by_hand(options.compiler) if options.compiler else from_build(options.build)


def add_arguments(parser):
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--build", help="a meson build folder: its compiler and flags are used")
    where.add_argument("--compiler", help='a compiler to use without a build folder, such as "clang++-16"')
