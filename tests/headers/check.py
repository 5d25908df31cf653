#!/usr/bin/env python3
"""Compiles each public header alone, included twice, with warnings as errors (-fsyntax-only), and tells the slowest; and
those of evaluation together, in both orders.

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

    # Headers that are included by name meet only in the programs that ask for them: those of evaluation together, in
    # both orders, so that none hides a name of another.
    evaluation = [header for header in headers if header.startswith("rafter/evaluation/")]
    together = {} if options.headers else {
        f"rafter/evaluation/**, all together, {name}": "".join(f'#include "{header}"\n' for header in order)
        for name, order in (("A to Z", evaluation), ("Z to A", evaluation[::-1]))}

    def compile_alone(header):
        began = time.monotonic()
        text = together.get(header, f'#include "{header}"\n#include "{header}"\n')
        done = subprocess.run(command + ["-Werror", "-fsyntax-only", "-x", "c++", "-"], input=text, text=True, cwd=folder,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        return header, time.monotonic() - began, done.returncode, done.stdout

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        results = list(pool.map(compile_alone, [*together, *headers]))
    bad = [result for result in results if result[2] != 0]
    for header, _, _, said in bad:
        print(f"{header}: does not compile" + (":\n" if header in together else " alone:\n") + "\n".join(said.splitlines()[:12]), file=sys.stderr)
    alone = [result for result in results if result[0] not in together]
    print(f"{sum(result[2] == 0 for result in alone)} of {len(alone)} headers compile alone and twice; the slowest:")
    for header, seconds, _, _ in sorted(alone, key=lambda result: -result[1])[:5]:
        print(f"  {seconds:5.2f} s  {header}")
    sys.exit(1 if bad or not headers else 0)


if __name__ == "__main__":
    main()
