# SPDX-License-Identifier: Apache-2.0

"""Faults that a test causes in a service of a cloud that is up."""

import pathlib
import shutil
import uuid

import psutil

from local_cloud import exceptions
from local_cloud.machine import cloud_state
from local_cloud.machine import daemons
from local_cloud.services import registry

#: Where :mod:`local_cloud.inside.holding` holds requests.
POINTS = ('create', 'create-data', 'create-request', 'delete', 'delete-quota',
          'delete-request', 'export', 'import', 'import-request',
          'import-saved', 'restore', 'restore-request')


def pause(state: cloud_state.State, name: str) -> None:
    """Make a service hang: it keeps its port open, and answers nothing."""
    for process in _processes(state, name):
        daemons.suspend(process)


def resume(state: cloud_state.State, name: str, timeout: float) -> None:
    """Undo :func:`pause`, and wait until the service answers."""
    # Also where it was never paused.
    for process in _processes(state, name):
        process.resume()
    daemons.wait_until(state, name, registry.find(state, name).ready, timeout)


def _processes(state: cloud_state.State, name: str) -> list[psutil.Process]:
    """All processes of a service that runs."""
    state.load()
    registry.find(state, name)
    process = daemons.alive(state, name)
    if process is None:
        raise exceptions.LocalCloudError(
            f'{name} of the cloud in {state.root} does not run; "up" starts '
            f'it')
    return [process, *process.children(recursive=True)]


def arm(state: cloud_state.State, point: str, backup_id: uuid.UUID) -> None:
    """Hold each request about a backup that arrives at a point of Cinder.

    :param backup_id: of the volume at the points of ``create``
    """
    _place(state, point, backup_id).mkdir(parents=True, exist_ok=True)


def held(state: cloud_state.State, point: str, backup_id: uuid.UUID) -> int:
    """Count the requests that are held at a point."""
    place = _place(state, point, backup_id)
    return len(list(place.iterdir())) if place.is_dir() else 0


def release_first(state: cloud_state.State, point: str, backup_id: uuid.UUID
                  ) -> None:
    """Resume the request that has been held at a point for longest."""
    place = _place(state, point, backup_id)
    for first in sorted(place.iterdir() if place.is_dir() else ())[:1]:
        first.unlink(missing_ok=True)


def release(state: cloud_state.State, point: str, backup_id: uuid.UUID
            ) -> None:
    """Resume the requests that are held at a point."""
    place = _place(state, point, backup_id)
    # In one step: another request may be arriving.
    released = place.with_name(f'released.{uuid.uuid4()}')
    try:
        place.rename(released)
    except FileNotFoundError:
        return
    shutil.rmtree(released, ignore_errors=True)


def _place(state: cloud_state.State, point: str, backup_id: uuid.UUID
           ) -> pathlib.Path:
    state.load()
    return state.holds / f'{point}.{backup_id}'
