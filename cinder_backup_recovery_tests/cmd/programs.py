# SPDX-License-Identifier: Apache-2.0

"""Errors and exit codes of all programs.

An error is one line on stderr, for people. A program that another one runs
reports it on stdout too, as the JSON object ``{"error": "..."}``: programs
read that, and never the line.
"""

import argparse
from collections.abc import Callable
import json
import sys
from typing import NoReturn

from cinder_backup_recovery_tests import exceptions

OK = 0
FAILED = 1
BAD_CONFIGURATION = 3

# Nothing was attempted, in contrast to an attempt that failed.
MISTAKES = (exceptions.InvalidConfiguration, exceptions.DatabaseUnreachable,
            exceptions.NotCinderDatabase)


class Parser(argparse.ArgumentParser):
    """A parser whose errors are bad configuration, in one line."""

    def error(self, message: str) -> NoReturn:
        # argparse exits 2, which is "not certifiable" in this project.
        self.exit(fail(f'{message}; see {self.prog} --help'))


def run(work: Callable[[], None]) -> int:
    """Run a program, whose failures are lines and not stack traces."""
    try:
        work()
    except exceptions.BackupRecoveryError as error:
        code = fail(str(error))
        return code if isinstance(error, MISTAKES) else FAILED
    return OK


def fail(text: str, as_json: bool = False) -> int:
    """Report an error.

    :param text: with its remedy, without the word error
    :param as_json: whether a program reads stdout
    """
    text = ' '.join(text.split())
    if as_json:
        print(json.dumps({'error': text}), flush=True)
    print(f'error: {text}', file=sys.stderr)
    return BAD_CONFIGURATION
