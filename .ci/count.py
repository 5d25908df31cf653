#!/usr/bin/env python3
"""Counts what a `meson test` run executed: each GoogleTest case, and each test that is no GoogleTest program, once.

usage: count.py [--also PASSED FAILED] BUILD_FOLDER...
Prints "N passed, N failed" (", N skipped" when some were); exits 1 when one failed or none ran.
Read from meson-logs/testlog.json (the verdicts) and meson-logs/gtest/*.xml (the cases). A program that failed without
a failed case in its XML (it crashed, ran out of time, or failed to start) counts as one failure more.
"""
import json
import pathlib
import sys
import xml.etree.ElementTree as xml


def cases(path):
    passed = failed = skipped = 0
    for case in xml.parse(path).getroot().iter("testcase"):
        if case.find("failure") is not None or case.find("error") is not None:
            failed += 1
        elif case.get("status") == "notrun" or case.get("result") == "skipped" or case.find("skipped") is not None:
            skipped += 1
        else:
            passed += 1
    return passed, failed, skipped


def count(build):
    passed = failed = skipped = 0
    log = build / "meson-logs" / "testlog.json"
    if not log.exists():
        return 0, 0, 0
    for line in log.read_text().splitlines():
        test = json.loads(line)
        name = test["name"].rsplit(" / ", 1)[-1].rsplit(":", 1)[-1]
        report = build / "meson-logs" / "gtest" / (name + ".xml")
        good = test["result"] in ("OK", "EXPECTEDFAIL")
        here = (0, 0, 0)
        if report.exists():
            try:
                here = cases(report)
            except xml.ParseError:
                here = (0, 0, 0)
        if test["result"] == "SKIP":
            here = (0, 0, 1)
        elif good and sum(here) == 0:
            here = (1, 0, 0)
        elif not good and here[1] == 0:
            here = (here[0], 1, here[2])
        passed, failed, skipped = passed + here[0], failed + here[1], skipped + here[2]
    return passed, failed, skipped


def main():
    arguments = sys.argv[1:]
    total = [0, 0, 0]
    if arguments[:1] == ["--also"]:
        total = [int(arguments[1]), int(arguments[2]), 0]
        arguments = arguments[3:]
    for folder in arguments:
        total = [sum(pair) for pair in zip(total, count(pathlib.Path(folder)))]
    print(f"{total[0]} passed, {total[1]} failed" + (f", {total[2]} skipped" if total[2] else ""))
    sys.exit(1 if total[1] or not total[0] else 0)


if __name__ == "__main__":
    main()
