# SPDX-License-Identifier: Apache-2.0

"""A drill: choose, copy, recover in a cloud of its own, tell.

The first site is only read, and by this process alone. What recovers the
copies runs in another one, with the environment of the cloud on this machine.
"""

from collections.abc import Callable
from collections.abc import Sequence
import dataclasses
import json
import pathlib
import shutil
import signal
import subprocess
import sys
import threading
import time
from typing import Any

from backup_recovery import books
from backup_recovery import exceptions
from backup_recovery import records
from backup_recovery import reports
from backup_recovery import signing
from backup_recovery.commands import common
from backup_recovery.drill import choosing
from backup_recovery.drill import copying
from backup_recovery.drill import inside

_PROGRAM = 'cinder-backup-local-cloud'


@dataclasses.dataclass
class Report:
    """The outcome of a drill.

    :ivar chosen: ids of the backups that are to come back
    :ivar backups: how many were copied for that, with all parents
    :ivar uncopied: the reason by the id of each that was not
    :ivar states: the number of backups by their state, as in the report of
        the recovery
    :ivar page: that report
    :ivar copy_seconds: of copying
    :ivar seconds: of all, with the start of the cloud
    """

    chosen: list[str]
    seed: int
    backups: int = 0
    objects: int = 0
    bytes: int = 0
    uncopied: dict[str, str] = dataclasses.field(default_factory=dict)
    states: dict[str, int] = dataclasses.field(default_factory=dict)
    page: str = ''
    copy_seconds: float = 0
    seconds: float = 0
    good: bool = False


def local_cloud() -> str:
    """The program that makes a cloud.

    :raises RecoveryError: it is not installed
    """
    beside = pathlib.Path(sys.executable).with_name(_PROGRAM)
    found = str(beside) if beside.is_file() else shutil.which(_PROGRAM)
    if found is None:
        raise exceptions.RecoveryError(
            f"{_PROGRAM} is not installed; in this virtualenv run \"pip "
            f"install '.[local-cloud]'\" in a clone of this project")
    return found


def drill(path: pathlib.Path, directory: pathlib.Path,
          config_files: list[str], cloud: Callable[[], Any],
          chosen: Sequence[str], volumes: int, seed: int,
          signers: signing.Signers | None, stop: threading.Event,
          say: Callable[[str], None],
          progress: Callable[[int, int], None]) -> Report:
    """Recover copies of real backups, and leave their site alone.

    :param path: the file of records
    :param directory: that is made, with all that the drill writes
    :param config_files: of the cinder-backup whose storage has the backups
    :param cloud: see :class:`.copying.Copier`
    :param chosen: ids of the backups; by default some are drawn
    :param volumes: the number of volumes to draw
    :param seed: of the draw
    :param signers: of the file
    :param stop: ends the drill
    :param say: called with a line about each part
    :param progress: see :class:`.copying.Copier`
    :raises RecoveryError: it cannot be done
    :raises KeyboardInterrupt: it was stopped
    """
    program = local_cloud()
    begin = time.monotonic()
    if directory.exists():
        raise exceptions.BadFile(f'{directory} exists; choose another name')
    book = books.Book(path, signers).load()
    report = Report(list(chosen) or choosing.newest(book, volumes, seed),
                    seed)
    chains = choosing.chains(book, report.chosen)
    source, kind = copying.open_source(config_files)
    # By itself a restore takes the newest backup of each volume.
    volumes_of = [one.facts.volume_id for one in chains
                  if one.id in report.chosen]
    everything = len(volumes_of) > len({*volumes_of})
    room = sum(one.facts.size << 30 for one in chains
               if everything or one.id in report.chosen)
    try:
        directory.mkdir(mode=0o700, parents=True)
    except OSError as error:
        raise exceptions.BadFile(f'{directory}: {error.strerror}') from error
    objects = directory / inside.OBJECTS
    try:
        with book.reader() as read:
            wanted = [read(one) for one in chains]
        records.write(directory / inside.RECORDS, wanted)
        say(f'{common.count(len(report.chosen), "backup")} chosen, with all '
            f'that they build on {len(wanted)}')
        copied = copying.Copier(source, cloud, objects, room, stop,
                                progress).copy(wanted)
        report.backups = len(wanted) - len(copied.failed)
        report.objects, report.bytes = copied.objects, copied.bytes
        report.uncopied = copied.failed
        report.copy_seconds = round(time.monotonic() - begin, 1)
        say(f'{common.count(copied.objects, "object")} copied, '
            f'{copied.bytes >> 20} MiB')
        _recover(program, kind, directory, everything, stop)
    finally:
        # They are data of users.
        shutil.rmtree(objects, ignore_errors=True)
    _read(report, directory)
    report.seconds = round(time.monotonic() - begin, 1)
    return report


def _recover(program: str, kind: str, directory: pathlib.Path,
             everything: bool, stop: threading.Event) -> None:
    """Start a cloud, recover in it, and take it down.

    :raises KeyboardInterrupt: it was stopped; the cloud is gone
    """
    # In a session of its own: it gets one request to end, and not two where
    # a terminal sends it to all.
    process = subprocess.Popen(
        [program, 'run', '--backup', kind, '--', sys.executable, '-W',
         'ignore', '-m', inside.__name__, *(['--all'] if everything else [])],
        cwd=directory, stdout=sys.stderr, start_new_session=True)
    ended = False
    while process.poll() is None:
        if stop.wait(0.5) and not ended:
            process.send_signal(signal.SIGTERM)
            ended = True
        if ended:
            process.wait()
    if ended:
        raise KeyboardInterrupt


def _read(report: Report, directory: pathlib.Path) -> None:
    """Read what has come back.

    :raises RecoveryError: there is no report
    """
    path = directory / inside.REPORT
    try:
        found = json.loads(path.read_text(encoding='utf-8'))
    except (OSError, ValueError) as error:
        raise exceptions.RecoveryError(
            f'nothing was recovered, for the reason above; {directory} has '
            f'what there is') from error
    report.states = found['states']
    report.page = str(path.with_suffix('.html'))
    proved = {one['id'] for one in found['backups']
              if one['state'] == reports.PROVED}
    report.good = proved.issuperset(report.chosen)
