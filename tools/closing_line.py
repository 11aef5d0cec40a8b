# SPDX-License-Identifier: Apache-2.0

"""Print one line about a subunit stream, for what reads a log of CI."""

import sys

import subunit
import testtools


def main() -> int:
    """Read a stream from standard input.

    :returns: 0, or 1 when a test failed or none ran
    """
    summary = testtools.StreamSummary()
    summary.startTestRun()
    subunit.ByteStreamToStreamResult(sys.stdin.buffer).run(summary)
    summary.stopTestRun()
    failed = len(summary.failures) + len(summary.errors)
    skipped = len(summary.skipped)
    passed = summary.testsRun - failed - skipped
    print(f'{passed} passed, {failed} failed, {skipped} skipped')
    return 0 if passed and not failed else 1


if __name__ == '__main__':
    sys.exit(main())
