#!/usr/bin/env python3
"""Draws which folder of include/rafter includes which, and refuses an arrow that the layers do not allow.

usage: include_graph.py [INCLUDE_FOLDER]     exit 1 with file:line for each wrong include
       include_graph.py --self-test          a synthetic tree with one mistake of each kind must be refused

A folder includes only from rows below its own, never from its own row. Who may include which library is said below.
Only the standard library may be included besides. rafter.hpp and rafter/<folder>.hpp stand outside the rows: the first
includes umbrellas, the second only its folder. Files of the root (config.hpp, version.hpp) lie below core.
"""
import collections
import pathlib
import re
import sys
import tempfile

ROWS = [  # from the bottom
    ["core"],
    ["units"],
    ["expression", "solver", "metrics"],
    ["statistics"],
    ["hardware", "architecture", "step"],
    ["analytical"],
    ["feature"],
    ["estimator", "validation", "io"],
    ["evaluation", "simulate", "export"],
]
ROW = {folder: number for number, row in enumerate(ROWS) for folder in row}

# Narrower than the rows.
ONLY_SEES = {"solver": {"core"}, "metrics": {"core"}, "statistics": {"core", "metrics"}}
NEVER_SEES = {"validation": {"feature"}, "io": {"feature"}}

# library -> folders that may include it; opt-in neighbours are named one by one
LIBRARIES = {
    "boost": {"evaluation", "analytical", "estimator", "statistics"},
    "xtensor": {"step", "evaluation", "io"},
    "Eigen": {"solver"},
    "fmt": {"io", "evaluation"},
    "nlohmann": {"io", "evaluation", "export"},
}
OPT_IN = {"xtensor": {"solver/xtensor.hpp", "solver/eigen.hpp"}, "Eigen": set()}
SAME_AS = {"xtl": "xtensor", "unsupported": "Eigen"}
SYSTEM = re.compile(r"^(sys|linux)/|^[a-z_0-9]+$|^[a-z_0-9]+\.h$")  # <vector>, <sys/mman.h>, <immintrin.h>

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def includes_of(path):
    """(line, bracket, target) of each include of a file, comments left out."""
    text = path.read_text(encoding="utf-8")
    text = re.sub(r"/\*.*?\*/", lambda comment: "\n" * comment.group().count("\n"), text, flags=re.S)
    for number, line in enumerate(text.splitlines(), 1):
        if found := INCLUDE.match(line):
            yield number, found.group(1), found.group(2)


def examine(root):
    """-> (mistakes as text, arrows {from folder: {to folder: count}}, libraries {folder: names})"""
    base = root / "rafter"
    mistakes, arrows = [], collections.defaultdict(collections.Counter)
    libraries = collections.defaultdict(set)
    file_graph = collections.defaultdict(list)
    files = sorted(path for path in base.rglob("*") if path.suffix in (".hpp", ".ipp", ".h"))
    for path in files:
        inside = path.relative_to(base)
        name = inside.as_posix()
        at_top = len(inside.parts) == 1
        folder = inside.stem if at_top else inside.parts[0]
        if not at_top and folder not in ROW:
            mistakes.append(f"{path}:1: folder '{folder}' is in no row")
            continue
        for line, bracket, target in includes_of(path):
            def wrong(why):
                mistakes.append(f"{path}:{line}: {why}")

            if target.startswith("rafter/"):
                if bracket == "<":
                    wrong(f'write "{target}", with quotes')
                if not (root / target).exists():
                    wrong(f"{target} does not exist")
                    continue
                file_graph[name].append((line, target[len("rafter/"):]))
                parts = target.split("/")
                if len(parts) == 2:  # a file of the root
                    seen = parts[1].rsplit(".", 1)[0]
                    if (base / seen).is_dir() and name != "rafter.hpp":
                        wrong(f"includes the umbrella {target}: include the headers that it needs")
                    continue
                seen = parts[1]
                if at_top:
                    if name == "rafter.hpp":
                        wrong(f"rafter.hpp includes umbrellas only, not {target}")
                    elif seen != folder:
                        wrong(f"the umbrella of {folder} includes only its folder, not {target}")
                    continue
                if seen == folder:
                    continue
                arrows[folder][seen] += 1
                if seen not in ROW:
                    wrong(f"folder '{seen}' is in no row")
                elif ROW[seen] == ROW[folder]:
                    wrong(f"{folder} -> {seen}: the same row")
                elif ROW[seen] > ROW[folder]:
                    wrong(f"{folder} -> {seen}: a row above")
                elif folder in ONLY_SEES and seen not in ONLY_SEES[folder]:
                    wrong(f"{folder} -> {seen}: {folder} sees only {', '.join(sorted(ONLY_SEES[folder]))}")
                elif seen in NEVER_SEES.get(folder, ()):
                    wrong(f"{folder} -> {seen}: {folder} never sees {seen}")
                continue
            library = target.split("/")[0]
            library = SAME_AS.get(library, library)
            if library in LIBRARIES and "/" in target:
                libraries[folder].add(library)
                if folder not in LIBRARIES[library] and name not in OPT_IN.get(library, ()):
                    wrong(f"{folder} includes {library}: only {', '.join(sorted(LIBRARIES[library]))} may")
            elif bracket == '"':
                wrong(f'"{target}": write "rafter/folder/file.hpp"')
            elif not SYSTEM.match(target):
                wrong(f"<{target}> is neither the standard library's nor a library that rafter uses")
    mistakes += cycles(base, file_graph)
    return mistakes, arrows, libraries


def cycles(base, graph):
    """Headers that include each other in a circle; x.hpp and x.ipp, one header in two files, may."""
    found, state = [], {}

    def visit(name, way):
        state[name] = "open"
        for line, target in graph.get(name, ()):
            if {name, target} == {pathlib.Path(name).with_suffix(end).as_posix() for end in (".hpp", ".ipp")}:
                continue
            if state.get(target) == "open":
                circle = way[way.index(target):] if target in way else [target]
                found.append(f"{base / name}:{line}: includes in a circle: {' -> '.join(circle + [target])}")
            elif target not in state:
                visit(target, way + [target])
        state[name] = "done"

    for name in sorted(graph):
        if name not in state:
            visit(name, [name])
    return found


def draw(root, arrows, libraries):
    width = max(len(folder) for folder in ROW)
    for row in reversed(ROWS):
        present = [folder for folder in row if (root / "rafter" / folder).is_dir()]
        if not present:
            continue
        print("   " + "   ".join(present))
        for folder in present:
            sees = [f"{seen} {count}" for seen, count in sorted(arrows[folder].items(), key=lambda a: -ROW.get(a[0], 99))]
            print(f"      {folder:<{width}} -> {', '.join(sees) or '(nothing)'}"
                  + (f"   [{', '.join(sorted(libraries[folder]))}]" if libraries[folder] else ""))


def self_test():
    good = {
        "version.hpp": "", "core/a.hpp": '#include <vector>\n#include "rafter/version.hpp"\n', "units/u.hpp": '#include "rafter/core/a.hpp"\n',
        "solver/s.hpp": '#include "rafter/core/a.hpp"\n// #include "rafter/units/u.hpp"\n/* \n#include "rafter/io/i.hpp"\n*/\n',
        "solver/eigen.hpp": "#include <Eigen/Dense>\n#include <xtensor/xtensor.hpp>\n",
        "solver/d.hpp": '#include "rafter/solver/d.ipp"\n', "solver/d.ipp": '#include "rafter/solver/d.hpp"\n',
        "feature/f.hpp": '#include "rafter/units/u.hpp"\n', "io/i.hpp": "#include <fmt/format.h>\n#include <sys/mman.h>\n",
        "core.hpp": '#include "rafter/core/a.hpp"\n', "rafter.hpp": '#include "rafter/core.hpp"\n#include "rafter/version.hpp"\n',
    }
    bad = [  # file, its text, what must be said
        ("core/b.hpp", '#include "rafter/units/u.hpp"', "core -> units: a row above"),
        ("metrics/m.hpp", '\n#include "rafter/solver/s.hpp"', "b/rafter/metrics/m.hpp:2: metrics -> solver: the same row"),
        ("statistics/t.hpp", '#include "rafter/solver/s.hpp"', "statistics sees only core, metrics"),
        ("solver/t.hpp", '#include "rafter/units/u.hpp"', "solver sees only core"),
        ("io/j.hpp", '#include "rafter/feature/f.hpp"', "io never sees feature"),
        ("io/k.hpp", "#include <boost/math/tools/roots.hpp>", "io includes boost: only analytical, estimator, evaluation, statistics may"),
        ("step/x.hpp", "#include <Eigen/Dense>", "step includes Eigen: only solver may"),
        ("core/x.hpp", "#include <xtl/xsequence.hpp>", "core includes xtensor"),
        ("solver/u.hpp", "#include <xtensor/xarray.hpp>", "solver includes xtensor"),
        ("estimator/f.hpp", "#include <fmt/format.h>", "estimator includes fmt"),
        ("estimator/n.hpp", "#include <nlohmann/json.hpp>", "estimator includes nlohmann"),
        ("core/c.hpp", '#include "a.hpp"', 'write "rafter/folder/file.hpp"'),
        ("core/d.hpp", "#include <rafter/core/a.hpp>", "with quotes"),
        ("core/e.hpp", '#include "rafter/core/none.hpp"', "does not exist"),
        ("core/g.hpp", "#include <gtest/gtest.h>", "neither the standard library's"),
        ("core/h.hpp", '#include "rafter/core/h.hpp"', "in a circle"),
        ("junk/a.hpp", "", "'junk' is in no row"),
        ("units/v.hpp", '#include "rafter/core.hpp"', "includes the umbrella"),
        ("units.hpp", '#include "rafter/core/a.hpp"', "the umbrella of units includes only its folder"),
        ("rafter.hpp", '#include "rafter/core/a.hpp"', "rafter.hpp includes umbrellas only"),
    ]
    with tempfile.TemporaryDirectory() as temporary:
        def tree(name, files):
            root = pathlib.Path(temporary) / name
            for file, text in files.items():
                (root / "rafter" / file).parent.mkdir(parents=True, exist_ok=True)
                (root / "rafter" / file).write_text(text)
            return root

        mistakes = examine(tree("good", good))[0]
        if mistakes:
            sys.exit("self-test: refuses a good tree: " + "; ".join(mistakes))
        for number, (file, text, expected) in enumerate(bad):
            mistakes = examine(tree(f"{number}b", {**good, file: text}))[0]
            if len(mistakes) != 1 or expected not in mistakes[0]:
                sys.exit(f"self-test: {file} with {text!r}: expected '{expected}', got {mistakes}")
    print(f"self-test: {len(bad)} mistakes refused, a good tree accepted")


def main():
    if "--self-test" in sys.argv:
        return self_test()
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parents[2] / "include")
    mistakes, arrows, libraries = examine(root)
    draw(root, arrows, libraries)
    for mistake in mistakes:
        print(mistake, file=sys.stderr)
    sys.exit(1 if mistakes else 0)


if __name__ == "__main__":
    main()
