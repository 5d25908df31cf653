"""What the tests of the collector share: its modules on the path, folders of external data, a report like GoogleTest's."""
import os
import pathlib
import sys
import unittest
import xml.etree.ElementTree

ROOT = pathlib.Path(__file__).resolve().parents[2]
COLLECT = ROOT / "examples" / "collect"
sys.dont_write_bytecode = True
sys.path.insert(0, str(COLLECT))
DATA = pathlib.Path(os.environ.get("RAFTER_DATA", "../shared/data"))


class Recorder(unittest.TextTestResult):
    """Keeps the verdict on each test, and says in one line why one is skipped."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.verdicts = {}

    def startTest(self, test):
        super().startTest(test)
        self.verdicts[test.id()] = ""

    def addSubTest(self, test, subtest, error):
        super().addSubTest(test, subtest, error)
        if error is not None:
            self.verdicts[test.id()] = "failure"

    def addFailure(self, test, error):
        super().addFailure(test, error)
        self.verdicts[test.id()] = "failure"

    def addError(self, test, error):
        super().addError(test, error)
        self.verdicts[test.id()] = "failure"

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        print(f"skipped: {test.id().rsplit('.', 1)[-1]}: {reason}", file=sys.stderr)
        self.verdicts[test.id()] = "skipped"

    def write(self, path, program):
        suite = xml.etree.ElementTree.Element("testsuite", name=program)
        for name, verdict in self.verdicts.items():
            case = xml.etree.ElementTree.SubElement(suite, "testcase", name=name.rsplit(".", 1)[1],
                                                    classname=name.split(".")[-2])
            if verdict:
                xml.etree.ElementTree.SubElement(case, verdict)
        path.parent.mkdir(parents=True, exist_ok=True)
        xml.etree.ElementTree.ElementTree(suite).write(path)


def main(program):
    """Runs the tests of the calling file: [--xml REPORT] [unittest arguments]."""
    arguments, report = sys.argv[1:], None
    if arguments[:1] == ["--xml"]:
        report, arguments = pathlib.Path(arguments[1]), arguments[2:]
    done = unittest.main(module="__main__", argv=[sys.argv[0], *arguments], exit=False,
                         testRunner=unittest.TextTestRunner(resultclass=Recorder)).result
    if report is not None:
        done.write(report, program)
    sys.exit(0 if done.wasSuccessful() and done.testsRun > 0 else 1)
