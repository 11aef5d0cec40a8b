# SPDX-License-Identifier: Apache-2.0

"""Parts of several commands."""

import argparse
from collections.abc import Iterator
import contextlib
import json
import os
import signal
import sys
import threading
from typing import Any
import warnings

from backup_recovery import exceptions

DONE, WRONG, INTERRUPTED = 0, 1, 2


def count(number: int, noun: str) -> str:
    """A number with its noun."""
    return f'{number} {noun}{"" if number == 1 else "s"}'


def warn(text: object) -> None:
    """Name what is not as it should be."""
    print(f'warning: {text}', file=sys.stderr)


def connect(arguments: argparse.Namespace) -> Any:
    """The cloud of the arguments."""
    # Half a second, too long for --help.
    from backup_recovery import clouds

    return clouds.Cloud(arguments.os_cloud, arguments.os_region_name)


def tell(arguments: argparse.Namespace, facts: dict[str, Any],
           text: str) -> None:
    """Print the outcome, for a program or for people."""
    print(json.dumps(facts, indent=2) if arguments.format == 'json' else text)


def signers_of(arguments: argparse.Namespace) -> Any:
    """The keys that a file of records has to be signed by."""
    from backup_recovery import signing

    return signing.Signers.read(arguments.signed_by)


def signing_of(arguments: argparse.Namespace) -> Any:
    """The key that signs a file of records, and those that have signed it."""
    from backup_recovery import signing

    sign_old = getattr(arguments, 'sign_old', False)
    if sign_old and not arguments.signing_key:
        raise exceptions.RecoveryError('--sign-old needs --signing-key')
    return signing.Signing.read(arguments.signing_key,
                                getattr(arguments, 'signed_by', ()), sign_old)


def problems_of(found: list[Any]) -> list[dict[str, Any]]:
    """The problems of a file of records, for a program."""
    return [{'line': one.line, 'code': one.code, 'text': one.text}
            for one in found]


@contextlib.contextmanager
def libraries_of_cinder(verb: str) -> Iterator[None]:
    """Import what is on hosts of cinder-backup only."""
    if not sys.warnoptions:
        # Of these libraries, about each other.
        warnings.simplefilter('ignore')
    try:
        yield
    except ModuleNotFoundError as error:
        raise exceptions.RecoveryError(
            f'{error.name} is not installed; in the virtualenv of '
            f"cinder-backup run \"pip install '.[drivers]'\" in a clone of "
            f'this project, and {verb} there') from error


@contextlib.contextmanager
def stopping(stop: threading.Event) -> Iterator[None]:
    """End in order on the first signal, and at once on the second."""
    def handle(number: int, frame: Any) -> None:
        if stop.is_set():
            os._exit(INTERRUPTED)
        stop.set()

    before = {}
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        before[number] = signal.getsignal(number)
        # What nohup has told to be ignored stays ignored.
        if before[number] is not signal.SIG_IGN:
            signal.signal(number, handle)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
