#!/usr/bin/env python3
"""Checks that wrong programs do not compile, and that the first line says why.

usage: run.py --build FOLDER | --compiler COMMAND   [FILE.cpp...]      default: every *.cpp beside this script
       run.py --self-test ...                                          the checks themselves, on synthetic files

Each file says   // expect: <regex>         for both compilers, or
                 // expect-gcc: <regex>     // expect-clang: <regex>    where they differ,
and holds the corrected program under #ifdef FIXED. Without FIXED the compiler must fail; the first error line must say
"rafter:", and the regex must match that line or the notes that belong to it. With -DFIXED it must compile.
A file whose error the language itself gives (no words of ours) says  // compiler's own words  and then needs no "rafter:".
"""
import argparse
import concurrent.futures
import os
import pathlib
import re
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "support"))
import configured_compiler  # noqa: E402

ERROR = re.compile(r"^.*?\b(?:fatal )?error: ")
NOTE = re.compile(r"^.*?\bnote: ")


def first_error(output):
    """-> (the first error line, the same with the notes and source lines up to the next error)"""
    lines = output.splitlines()
    for start, line in enumerate(lines):
        if ERROR.match(line):
            end = start + 1
            while end < len(lines) and not ERROR.match(lines[end]):
                end += 1
            told = [line] + [note for note in lines[start + 1:end] if NOTE.match(note)]
            return line, "\n".join(told)
    return None, ""


def check(path, command, folder, kind):
    """-> None, or what is wrong with this file"""
    text = path.read_text(encoding="utf-8")
    expected = re.search(rf"^// expect-{kind}: (.+)$", text, re.M) or re.search(r"^// expect: (.+)$", text, re.M)
    if not expected:
        return f"has no line '// expect: <regex>' for {kind}"
    if not re.search(r"^#\s*ifn?def\s+FIXED\b|^#\s*if\s.*\bFIXED\b", text, re.M):
        return "has no #ifdef FIXED twin"
    run = command + ["-fsyntax-only"]
    wrong = subprocess.run(run + [str(path)], cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if wrong.returncode == 0:
        return "compiles, and must not"
    line, told = first_error(wrong.stdout)
    if line is None:
        return "the compiler failed without an error line:\n" + wrong.stdout[:2000]
    if "rafter:" not in line and not re.search(r"^// compiler's own words\b", text, re.M):
        return f"the first error line does not say 'rafter:':\n    {line}"
    if not re.search(expected.group(1).strip(), told):
        return f"expected /{expected.group(1).strip()}/ in the first error:\n    " + told.replace("\n", "\n    ")
    fixed = subprocess.run(run + ["-DFIXED", "-Werror", str(path)], cwd=folder, text=True, stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT)
    if fixed.returncode != 0:
        return "with FIXED it must compile:\n" + "\n".join(fixed.stdout.splitlines()[:12])
    return None


def self_test(command, folder, kind):
    """Files right and wrong, and what must be said of them."""
    failing = '''template <class T> struct satisfied { static constexpr bool value = false; };
template <class T> void enter(T) { static_assert(satisfied<T>::value, "rafter: needs a %s"); }
'''
    twin = "int main() {\n#ifdef FIXED\n  return 0;\n#else\n  enter(1.0);\n#endif\n}\n"
    files = [
        ("right", "// expect: rafter: needs a signal\n" + failing % "signal" + twin, None),
        ("other_words", "// expect: needs a name\n" + failing % "signal" + twin, r"expected /needs a name/"),
        ("by_compiler", "// expect-gcc: signal\n// expect-clang: signal\n" + failing % "signal" + twin, None),
        ("nothing_expected", failing % "signal" + twin, "has no line '// expect"),
        ("no_twin", "// expect: rafter\n" + failing % "signal" + "int main() { enter(1); }\n", "no #ifdef FIXED"),
        ("compiles", "// expect: rafter\nint main() {\n#ifdef FIXED\n#endif\n}\n", "compiles, and must not"),
        ("late", "// expect: rafter: needs\n" + failing % "signal" + "#ifndef FIXED\nint wrong = missing;\n#endif\n" + twin,
         "first error line does not say 'rafter:'"),
        ("broken_twin", "// expect: rafter\n" + failing % "signal" + twin.replace("return 0", "return missing"),
         "with FIXED it must compile"),
        ("own_words", "// expect: missing\n// compiler's own words\nint main() {\n#ifndef FIXED\n  return missing;\n#endif\n}\n",
         None),
    ]
    with tempfile.TemporaryDirectory() as temporary:
        for name, text, expected in files:
            path = pathlib.Path(temporary) / (name + ".cpp")
            path.write_text(text)
            said = check(path, command, folder, kind)
            if (said is None) != (expected is None) or (expected and expected not in said):
                sys.exit(f"self-test: {name}: expected {expected!r}, got {said!r}")
    print(f"self-test: {len(files)} files judged rightly ({kind})")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    configured_compiler.add_arguments(parser)
    parser.add_argument("--self-test", action="store_true")
    parser.add_argument("files", nargs="*", type=pathlib.Path)
    options = parser.parse_args()
    command, folder = configured_compiler.from_arguments(options)
    said = subprocess.run([command[0], "--version"], capture_output=True, text=True).stdout
    kind = "clang" if "clang" in said else "gcc"
    if options.self_test:
        return self_test(command, folder, kind)
    files = [path.resolve() for path in options.files] or sorted(HERE.glob("*.cpp"))
    if not files:
        print("no tests/compile_fail/*.cpp: nothing to check")
        sys.exit(77)  # meson: skipped
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        results = list(zip(files, pool.map(lambda path: check(path, command, folder, kind), files)))
    for path, wrong in results:
        print(f"{'FAIL' if wrong else 'ok':<5} {path.name}" + (f": {wrong}" if wrong else ""))
    bad = sum(1 for _, wrong in results if wrong)
    print(f"{len(files) - bad} of {len(files)} refused as expected ({kind})")
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
