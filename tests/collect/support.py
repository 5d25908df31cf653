"""What the tests of the collector share: its modules on the path, the folder of external data, how a test file is run."""
import os
import pathlib
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
COLLECT = ROOT / "examples" / "collect"
sys.dont_write_bytecode = True
sys.path.insert(0, str(COLLECT))
sys.path.append(str(ROOT / "tests" / "programs"))
import rafter_study  # noqa: E402  its Recorder writes a report like GoogleTest's

DATA = pathlib.Path(os.environ.get("RAFTER_DATA", "../shared/data"))


def main(program):
    """Runs the tests of the calling file: [--xml REPORT] [unittest arguments]."""
    arguments, report = sys.argv[1:], None
    if arguments[:1] == ["--xml"]:
        report, arguments = pathlib.Path(arguments[1]), arguments[2:]
    done = unittest.main(module="__main__", argv=[sys.argv[0], *arguments], exit=False,
                         testRunner=unittest.TextTestRunner(resultclass=rafter_study.Recorder)).result
    if report is not None:
        done.write(report, program)
    sys.exit(0 if done.wasSuccessful() and done.testsRun > 0 else 1)
