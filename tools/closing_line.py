# SPDX-License-Identifier: Apache-2.0

"""Close a log of CI: each test that failed, and one line about all of them.

A reader of a long log has often only its last lines.
"""

import sys

import subunit
import testtools

# The end of a traceback: where it was raised, and the error.
_LINES = 8
_COLUMNS = 400


def main() -> int:
    """Read a stream from standard input.

    :returns: 0, or 1 when a test failed or none ran
    """
    summary = testtools.StreamSummary()
    summary.startTestRun()
    subunit.ByteStreamToStreamResult(sys.stdin.buffer).run(summary)
    summary.stopTestRun()
    failures = summary.failures + summary.errors
    for test, text in failures:
        end = [line for line in text.splitlines() if line.strip()][-_LINES:]
        print(f'FAILED: {test.id()}')
        for line in end:
            print(line[:_COLUMNS])
    failed = len(failures)
    skipped = len(summary.skipped)
    passed = summary.testsRun - failed - skipped
    print(f'{passed} passed, {failed} failed, {skipped} skipped')
    return 0 if passed and not failed else 1


if __name__ == '__main__':
    sys.exit(main())
