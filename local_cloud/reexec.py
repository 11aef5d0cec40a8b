# SPDX-License-Identifier: Apache-2.0

"""Run a program again in User-Mode Linux, where its cloud can run."""

from collections.abc import Sequence
import pathlib
from typing import Any

from local_cloud import console
from local_cloud import template
from local_cloud.machine import cloud_state
from local_cloud.machine import programs
from local_cloud.machine import uml
from local_cloud.servers import nfs_server

# For all services, and for the volumes and backups of the command.
_MEMORY = 4096


def run(command: Sequence[str], say: console.Console, why: str,
        visible: Sequence[pathlib.Path] = (),
        release: dict[str, Any] | None = None) -> int:
    """Run a command that starts a cloud; returns its exit status.

    :param why: the reason, for the progress
    :param visible: more directories than the current one in which files
        stay that are written there; made if need be
    :param release: of the Cinder of that cloud, see :func:`releases.find`
    """
    programs.require(uml.missing())
    here = pathlib.Path.cwd()
    places = [] if here == here.parent else [here]
    for place in visible:
        place.mkdir(parents=True, exist_ok=True)
        if not place.resolve().is_relative_to(here):
            places.append(place.resolve())
    _make_template(say, release)
    say.say(f'running in User-Mode Linux: {why}')
    # Known only after twenty minutes otherwise.
    if limit := uml.limit(_MEMORY):
        say.say(f'warning: {limit}')
    return uml.run(command, visible=places, memory=_MEMORY,
                     modules=[nfs_server.CLIENT_MODULE])


def _make_template(say: console.Console,
                   release: dict[str, Any] | None) -> None:
    """Make it here: it takes long there, and would be forgotten."""
    temporary = cloud_state.Temporary('template')
    state = cloud_state.State(temporary.cloud)
    try:
        state.create()
        state.record['cinder'] = release
        template.make(state, say)
    finally:
        if state.remains:
            state.remove()
        temporary.remove()
