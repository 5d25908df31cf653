#!/usr/bin/env python3
"""Compiles each public header alone, included twice, with warnings as errors (-fsyntax-only), and tells the slowest.

usage: check.py --build FOLDER | --compiler COMMAND   [HEADER...]     headers as written: rafter/core/error.hpp
"""
import argparse
import concurrent.futures
import os
import pathlib
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import configured_compiler  # noqa: E402


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    configured_compiler.add_arguments(parser)
    parser.add_argument("headers", nargs="*")
    options = parser.parse_args()
    command, folder = configured_compiler.from_arguments(options)
    include = configured_compiler.ROOT / "include"
    headers = options.headers or sorted(path.relative_to(include).as_posix() for path in include.rglob("*.hpp"))

    def compile_alone(header):
        began = time.monotonic()
        text = f'#include "{header}"\n#include "{header}"\n'
        done = subprocess.run(command + ["-Werror", "-fsyntax-only", "-x", "c++", "-"], input=text, text=True, cwd=folder,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        return header, time.monotonic() - began, done.returncode, done.stdout

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        results = list(pool.map(compile_alone, headers))
    bad = [result for result in results if result[2] != 0]
    for header, _, _, said in bad:
        print(f"{header} does not compile alone:\n" + "\n".join(said.splitlines()[:12]), file=sys.stderr)
    print(f"{len(headers) - len(bad)} of {len(headers)} headers compile alone and twice; the slowest:")
    for header, seconds, _, _ in sorted(results, key=lambda result: -result[1])[:5]:
        print(f"  {seconds:5.2f} s  {header}")
    sys.exit(1 if bad or not headers else 0)


if __name__ == "__main__":
    main()
