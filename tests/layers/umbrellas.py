#!/usr/bin/env python3
"""Checks that rafter/<folder>.hpp includes every header of its folder, and rafter.hpp every such umbrella.

usage: umbrellas.py [--write] [INCLUDE_FOLDER]     --write brings the umbrellas up to date, keeping their comments
A header whose first lines say "opt-in" (it needs a library that the folder does without) is included by no umbrella.
"""
import pathlib
import re
import sys

FIRST_LINE = ("// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0\n#pragma once\n")
INCLUDE = re.compile(r'^#include "(rafter/[^"]+)".*\n?', re.M)


def opt_in(path):
    return "opt-in" in "".join(path.read_text(encoding="utf-8").splitlines(keepends=True)[:5])


def wanted(root):
    """umbrella -> what it includes"""
    base = root / "rafter"
    umbrellas = {}
    for folder in sorted(path for path in base.iterdir() if path.is_dir()):
        headers = sorted(path.relative_to(root).as_posix() for path in folder.rglob("*.hpp") if not opt_in(path))
        if headers:
            umbrellas[base / (folder.name + ".hpp")] = headers
    top = [path.relative_to(root).as_posix() for path in umbrellas] + ["rafter/config.hpp", "rafter/version.hpp"]
    umbrellas[base / "rafter.hpp"] = sorted(top)
    return umbrellas


def main():
    write = "--write" in sys.argv
    arguments = [word for word in sys.argv[1:] if word != "--write"]
    root = pathlib.Path(arguments[0] if arguments else pathlib.Path(__file__).parents[2] / "include")
    wrong = False
    for path, headers in wanted(root).items():
        text = path.read_text(encoding="utf-8") if path.exists() else FIRST_LINE
        included = INCLUDE.findall(text)
        if sorted(included) == headers:
            continue
        if write:
            kept = INCLUDE.sub("", text).rstrip("\n") + "\n"
            path.write_text(kept + "\n" + "".join(f'#include "{header}"\n' for header in headers), encoding="utf-8")
            print(f"written: {path}")
            continue
        wrong = True
        for header in sorted(set(headers) - set(included)):
            print(f"{path}: does not include {header}", file=sys.stderr)
        for header in sorted(set(included) - set(headers)):
            print(f"{path}: includes {header}, which is not of its folder, is opt-in or is gone", file=sys.stderr)
        for header in sorted({header for header in included if included.count(header) > 1}):
            print(f"{path}: includes {header} twice", file=sys.stderr)
    if wrong:
        sys.exit("python3 tests/layers/umbrellas.py --write brings them up to date")


if __name__ == "__main__":
    main()
