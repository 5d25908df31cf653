#!/usr/bin/env python3
"""Checks that the documentation says what the repository is.

usage: check.py [--root FOLDER] [--programs FOLDER] [--update] | --self-test

In README.md, CONTRIBUTING.md and docs/**/*.md:
  <!-- file: PATH -->        the code block that follows is the whole text of that file;
  <!-- part of: PATH -->     its text stands in that file, character by character;
  <!-- output of: NAME ... -->   it is what the program prints when it is given these arguments, or a run of lines of
                             that; a line "..." in the block stands for any lines. Only with --programs, the folder of
                             the built examples; where $RAFTER_DATA is an argument, only with that data;
  every relative link leads to a file, and its #anchor to a heading of that file;
  no line names a folder of somebody's machine.
--update first writes the text of the files into the blocks marked with `file` and, with --programs, what programs print now
into the blocks marked with `output of`: of each run of lines what stands between its first and its last line, which are
found by their first words. Look at the difference before you commit it.

Each header of include/rafter/<folder>/ is named, `header.hpp` or `catalog/header.hpp`, in docs/<folder>/README.md, and
those pages name no header that is not there.
"""
import argparse
import os
import pathlib
import re
import subprocess
import sys
import tempfile

MARK = re.compile(r"^<!-- (file|part of|output of): (\S.*) -->$")
LINK = re.compile(r"(?<!!)\[[^\]\n]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#{1,6} +(.*?) *#*$")
MACHINE = re.compile(r"(?<![\w.])/(?:home|work|root|Users|tmp)/")
HEADER = re.compile(r"`((?:[a-z0-9_]+/)*[a-z0-9_]+\.(?:hpp|ipp))`")


def without_code(text):
    """-> the text with fenced blocks emptied (line by line) and code spans removed"""
    lines, fenced = [], False
    for line in text.split("\n"):
        if line.startswith("```"):
            fenced = not fenced
            lines.append("")
        else:
            lines.append("" if fenced else re.sub(r"`[^`]*`", "", line))
    return "\n".join(lines)


def anchors(text):
    """-> the anchors of a page's headings, as the usual Markdown renderers make them"""
    found, fenced = set(), False
    for line in text.split("\n"):
        if line.startswith("```"):
            fenced = not fenced
        heading = None if fenced else HEADING.match(line)
        if heading:
            plain = re.sub(r"[^\w\- ]", "", heading.group(1).lower())
            found.add(plain.replace(" ", "-"))
    return found


def block_after(lines, at):
    """-> the text of the fenced block that begins on line `at`, or None"""
    if at >= len(lines) or not lines[at].startswith("```"):
        return None
    for end in range(at + 1, len(lines)):
        if lines[end] == "```":
            return "\n".join(lines[at + 1:end]) + "\n"
    return None


def occurs(block, printed):
    """Is the block, line by line, what was printed? A line "..." stands for any lines; so does what is around it all."""
    pieces = [piece.strip("\n") for piece in ("\n" + block).split("\n...\n")]
    at = 0
    text = "\n" + printed
    for piece in pieces:
        if not piece:
            continue
        found = text.find("\n" + piece + "\n", at)
        if found < 0:
            return False
        at = found + len(piece)
    return True


def run_of(root, programs, command):
    """-> what a program prints, or why it is not run: (text, None) or (None, reason)"""
    program, *arguments = command.split()
    if not (programs / program).exists():
        return None, f"there is no program '{program}'"
    if "$RAFTER_DATA" in command:
        data = pathlib.Path(os.environ.get("RAFTER_DATA") or root / "../shared/data")
        if not data.is_dir():
            return None, ""
        arguments = [argument.replace("$RAFTER_DATA", str(data)) for argument in arguments]
    ran = subprocess.run([programs / program] + arguments, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                         text=True)
    return ran.stdout, None


def refreshed(block, printed):
    """-> the block with its runs of lines as they are printed now, or None where one is not found"""
    if occurs(block, printed):
        return block
    lines, at, made = printed.split("\n"), 0, []
    def place(line, start):
        for words in (4, 3, 2, 1):
            key = line.split()[:words]
            for number in range(start, len(lines)):
                if key and lines[number].split()[:words] == key:
                    return number
        return None
    for piece in re.split(r"(?:^|\n)\.\.\.(?:\n|$)", block):
        piece = [line for line in piece.split("\n") if line.strip()]
        if piece:
            first = place(piece[0], at)
            last = None if first is None else place(piece[-1], first + (len(piece) > 1))
            if last is None:
                return None
            made.append("\n".join(lines[first:last + 1]))
            at = last + 1
        else:
            made.append("")
    text = "\n...\n".join(made)
    return text.strip("\n") + "\n" if made[0] or made[-1] else text


def check_page(root, page, programs, wrong, skipped):
    text = page.read_text(encoding="utf-8")
    lines = text.split("\n")
    where = page.relative_to(root).as_posix()
    for at, line in enumerate(lines):
        place = f"{where}:{at + 1}"
        if MACHINE.search(line):
            wrong.append(f"{place}: names a folder of somebody's machine")
        mark = MARK.match(line)
        if not mark:
            if line.startswith("<!--") and re.match(r"<!-- *(file|part|output)\b", line):
                wrong.append(f"{place}: not a mark that this check understands: {line}")
            continue
        kind, name = mark.groups()
        block = block_after(lines, at + 1)
        if block is None:
            wrong.append(f"{place}: no code block follows the mark")
        elif kind == "output of":
            if programs is None:
                continue
            printed, reason = run_of(root, programs, name)
            if printed is None:
                (wrong if reason else skipped).append(f"{place}: {reason or 'not run without $RAFTER_DATA: ' + name}")
                continue
            if not occurs(block, printed):
                wrong.append(f"{place}: not what {name} prints, which is:\n{printed}")
        else:
            file = root / name
            if not file.is_file():
                wrong.append(f"{place}: there is no file {name}")
                continue
            content = file.read_text(encoding="utf-8")
            if kind == "file" and block != content:
                wrong.append(f"{place}: the block is not the text of {name}")
            if kind == "part of" and block not in content:
                wrong.append(f"{place}: the block is no part of {name}")
    for target in LINK.findall(without_code(text)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        if not file.exists():
            wrong.append(f"{where}: the link {target} leads nowhere")
        elif anchor and file.suffix == ".md" and anchor not in anchors(file.read_text(encoding="utf-8")):
            wrong.append(f"{where}: {target}: the page has no such heading")


def check_headers(root, wrong):
    include = root / "include" / "rafter"
    folders = sorted(path for path in include.iterdir() if path.is_dir())
    for folder in folders:
        page = root / "docs" / folder.name / "README.md"
        if not page.exists():
            wrong.append(f"docs/{folder.name}/README.md is missing: include/rafter/{folder.name} has no page")
            continue
        named = set(HEADER.findall(page.read_text(encoding="utf-8")))
        there = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.suffix in (".hpp", ".ipp")}
        for header in sorted(there - named):
            wrong.append(f"docs/{folder.name}/README.md does not name `{header}`")
        for header in sorted(named - there):
            if not (include / header).exists() and not (root / header).exists():
                wrong.append(f"docs/{folder.name}/README.md names `{header}`, which does not exist")
    return len(folders)


def pages_of(root):
    pages = [root / name for name in ("README.md", "CONTRIBUTING.md") if (root / name).exists()]
    return pages + sorted((root / "docs").rglob("*.md"))


def update(root, programs):
    """Writes the text of each file, and what each program prints, into the block that is marked with it."""
    for page in pages_of(root):
        lines = page.read_text(encoding="utf-8").split("\n")
        for at in range(len(lines) - 1, -1, -1):
            mark = MARK.match(lines[at])
            if mark and mark.group(1) == "output of" and programs and (block := block_after(lines, at + 1)):
                printed, _ = run_of(root, programs, mark.group(2))
                text = refreshed(block, printed) if printed is not None else None
                if text is not None:
                    lines[at + 2:lines.index("```", at + 2)] = text.removesuffix("\n").split("\n")
                elif printed is not None:
                    print(f"{page.relative_to(root).as_posix()}:{at + 1}: to be updated by hand")
            if not mark or mark.group(1) != "file" or block_after(lines, at + 1) is None:
                continue
            if not (root / mark.group(2)).is_file():
                continue
            end = lines.index("```", at + 2)
            lines[at + 2:end] = (root / mark.group(2)).read_text(encoding="utf-8").removesuffix("\n").split("\n")
        page.write_text("\n".join(lines), encoding="utf-8")


def check(root, programs):
    """-> (what is wrong, what was skipped, the number of pages)"""
    wrong, skipped = [], []
    pages = pages_of(root)
    for page in pages:
        check_page(root, page, programs, wrong, skipped)
    check_headers(root, wrong)
    return wrong, skipped, len(pages)


def self_test():
    """Pages right and wrong, and what must be said of them."""
    cases = [
        ("right", "<!-- file: a.cpp -->\n```cpp\nint a;\nint b;\n```\n[a](../a.cpp) [top](#a-b)\n# A `b`\n", None),
        ("part", "<!-- part of: a.cpp -->\n```cpp\nint b;\n```\n", None),
        ("stale", "<!-- file: a.cpp -->\n```cpp\nint b;\n```\n", "not the text of a.cpp"),
        ("no part", "<!-- part of: a.cpp -->\n```cpp\nint c;\n```\n", "no part of a.cpp"),
        ("no block", "<!-- file: a.cpp -->\n\n```cpp\nint a;\n```\n", "no code block follows"),
        ("no file", "<!-- file: b.cpp -->\n```cpp\nint a;\n```\n", "no file b.cpp"),
        ("misspelt", "<!-- file a.cpp -->\n", "not a mark"),
        ("dead link", "[gone](gone.md)\n", "leads nowhere"),
        ("dead anchor", "[gone](#gone)\n# Here\n", "no such heading"),
        ("link in code", "`[gone](gone.md)`\n```\n[gone](gone.md)\n```\n", None),
        ("machine", "see /ho" + "me/someone/data\n", "somebody's machine"),
        ("output", "<!-- output of: say -->\n```\none\n...\nthree\n```\n", None),
        ("other output", "<!-- output of: say -->\n```\nthree\n...\none\n```\n", "not what say prints"),
        ("header", "names `x.hpp` and `y.hpp`\n", "names `y.hpp`, which does not exist"),
        ("no header", "names nothing\n", "does not name `x.hpp`"),
    ]
    for name, text, expected in cases:
        with tempfile.TemporaryDirectory() as temporary:
            root = pathlib.Path(temporary)
            for folder in ("docs/f", "include/rafter/f", "bin"):
                (root / folder).mkdir(parents=True)
            (root / "a.cpp").write_text("int a;\nint b;\n")
            (root / "include/rafter/f/x.hpp").write_text("")
            program = root / "bin" / "say"
            program.write_text("#!/bin/sh\nprintf 'one\\ntwo\\nthree\\n'\n")
            program.chmod(0o755)
            about_headers = "header" in name
            (root / "docs/f/README.md").write_text(text if about_headers else "`x.hpp`\n")
            if not about_headers:
                (root / "docs/page.md").write_text(text)
            wrong, _, _ = check(root, root / "bin")
            if (expected is None) != (not wrong) or (expected and expected not in "\n".join(wrong)):
                sys.exit(f"self-test: {name}: expected {expected!r}, got {wrong}")
    printed = "title\nname  x\n-------\na  1\nb  2\nc  3\nend\n"
    for block, expected in (("name x\n---\na  9\nb  9\n", "name  x\n-------\na  1\nb  2\n"),
                            ("name x\n...\nc  9\n", "name  x\n...\nc  3\n"), ("gone\n", None)):
        if refreshed(block, printed) != expected:
            sys.exit(f"self-test: {block!r} becomes {refreshed(block, printed)!r}, expected {expected!r}")
    print(f"self-test: {len(cases)} pages judged rightly")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parents[2])
    parser.add_argument("--programs", type=pathlib.Path)
    parser.add_argument("--update", action="store_true")
    parser.add_argument("--self-test", action="store_true")
    options = parser.parse_args()
    if options.self_test:
        return self_test()
    if options.update:
        update(options.root.resolve(), options.programs and options.programs.resolve())
    wrong, skipped, pages = check(options.root.resolve(), options.programs and options.programs.resolve())
    for line in skipped:
        print(line)
    for line in wrong:
        print(line, file=sys.stderr)
    print(f"{pages} pages, {len(wrong)} things wrong")
    sys.exit(1 if wrong or pages == 0 else 0)


if __name__ == "__main__":
    main()
