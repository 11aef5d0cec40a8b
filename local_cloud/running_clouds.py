# SPDX-License-Identifier: Apache-2.0

"""The clouds that there are on this machine, also those of killed programs.

There is no register that could be wrong: a cloud is known by the marks of its
processes, by the temporary directories of ``run``, of the fixture and of a
certification, and by the default directory.
"""

import dataclasses
import os
import pathlib
import tempfile

import psutil

from local_cloud import cloud as local_cloud
from local_cloud import console
from local_cloud import exceptions
from local_cloud.machine import cloud_state
from local_cloud.machine import daemons


@dataclasses.dataclass
class Known:
    """One cloud.

    :ivar directory: its state directory, which may be gone already
    :ivar processes: their number
    :ivar temporary: the directory of the program that it lives for
    :ivar abandoned: that program has ended without removing it
    """

    directory: pathlib.Path
    processes: int = 0
    temporary: pathlib.Path | None = None
    abandoned: bool = False


def _outermost(directory: pathlib.Path) -> pathlib.Path:
    """The cloud itself, for a process of the template in it."""
    found = directory
    for parent in directory.parents:
        try:
            if cloud_state.State(parent).exists:
                found = parent
        except exceptions.InvalidState:
            break
    return found


def clouds() -> list[Known]:
    """Find all clouds of this user, in the order of their directories."""
    found: dict[pathlib.Path, Known] = {}
    for process, _, name in daemons.marked():
        # Clouds of other users are neither listed nor, by root, removed.
        try:
            if process.uids().real != os.getuid():
                continue
        except psutil.Error:
            continue
        directory = _outermost(pathlib.Path(name))
        found.setdefault(directory, Known(directory)).processes += 1
    default = cloud_state.default_directory()
    if cloud_state.State(default).exists:
        found.setdefault(default, Known(default))
    for temporary in cloud_state.temporary_directories():
        directory = temporary / cloud_state.Temporary.CLOUD
        found.setdefault(directory, Known(directory))
    for cloud in found.values():
        # Only where this program would make such directories itself: those
        # of another TMPDIR may belong to another test run.
        owner = cloud_state.owner_of(cloud.directory)
        if owner and str(owner.parent) == tempfile.gettempdir():
            cloud.temporary = owner
        cloud.abandoned = (cloud.temporary is not None and
                           cloud_state.abandoned(cloud.temporary))
    return [found[directory] for directory in sorted(found)]


def remove_abandoned(say: console.Console) -> int:
    """Take down what the killed programs have left; returns the number."""
    removed = 0
    for known in clouds():
        if not known.abandoned or known.temporary is None:
            continue
        cloud = local_cloud.Cloud(cloud_state.State(known.directory), say)
        if known.processes or cloud.state.remains:
            cloud.down()
        cloud_state.remove_temporary(known.temporary)
        say.say(f'removed {known.temporary}')
        removed += 1
    return removed
