# SPDX-License-Identifier: Apache-2.0

"""An operator's programs, run without a shell and with a timeout."""

from collections.abc import Sequence
import contextlib
import os
import shlex
import shutil
import signal
import subprocess

from cinder_backup_recovery_tests import exceptions

_LAST_LINES = 5


def split(command: str) -> list[str]:
    """Split a command as a shell would.

    :raises InvalidConfiguration: it cannot be split, or is empty
    """
    try:
        words = shlex.split(command)
    except ValueError as err:
        raise exceptions.InvalidConfiguration(
            f'the command {command!r} cannot be split: {err}') from None
    if not words:
        raise exceptions.InvalidConfiguration('the command is empty')
    return words


def require(words: Sequence[str]) -> None:
    """Refuse a program that is not installed.

    :raises InvalidConfiguration: naming it
    """
    if shutil.which(words[0]) is None:
        raise exceptions.InvalidConfiguration(
            f'{words[0]}: not found or not executable')


def run(words: Sequence[str], timeout: float, name: str,
        failure: type[exceptions.BackupRecoveryError],
        unknown: str, text: str | None = None) -> str:
    """Run a program to its end.

    :param timeout: seconds after which it is killed, with all it started
    :param name: its name in a failure
    :param failure: what to raise when it fails
    :param unknown: what is unknown after it was killed, as a clause
    """
    try:
        process = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL if text is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, errors='replace',
            start_new_session=True)
    except OSError as err:
        raise failure(f'{name} cannot be run: {err.strerror}') from None
    try:
        out, err_text = process.communicate(text, timeout=timeout)
    except subprocess.TimeoutExpired:
        _kill(process)
        raise failure(f'{name} took longer than {timeout:g} s and was '
                      f'killed; {unknown} is not known') from None
    except BaseException:
        _kill(process)
        raise
    if process.returncode:
        lines = [line.strip() for line in err_text.splitlines()
                 if line.strip()]
        raise failure(
            f'{name} exited {process.returncode}: '
            f'{" / ".join(lines[-_LAST_LINES:]) or "no word on stderr"}')
    return out


def _kill(process: 'subprocess.Popen[str]') -> None:
    # With what it started: a shell's child would hold the pipes open.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
