# SPDX-License-Identifier: Apache-2.0

"""One check for all that a cloud needs of this machine."""

from importlib import util

from local_cloud import backups
from local_cloud import key_managers
from local_cloud import options
from local_cloud import volumes
from local_cloud.machine import programs
from local_cloud.servers import database_servers
from local_cloud.services import rabbitmq

_MODULES = ('keystone', 'glance', 'cinder', 'cheroot')


def install(missing: str, *extras: str) -> str:
    """The sentence that tells how to install Python packages."""
    words = ','.join(('local-cloud', *filter(None, extras)))
    return (f'not installed here: {missing}; run "pip install '
            f"'.[{words}]'\" in a clone of this project")


def check(asked: options.Options) -> None:
    """Check that everything is installed, before anything is made."""
    backup = backups.BACKENDS[asked.backup]
    server = database_servers.SERVERS.get(asked.database)
    keys = [module for kind, module in key_managers.MODULES.items()
            if kind == asked.key_manager]
    missing = [name for name in (*_MODULES, *backup.modules, *keys,
                                 *([server.MODULE] if server else []))
               if util.find_spec(name) is None]
    if missing:
        programs.require(install(', '.join(missing), backup.extra, *keys,
                                 server.EXTRA if server else ''))
    # Before the check of the kernel: User-Mode Linux needs these too.
    for lacking in (
            backup.missing,
            volumes.BACKENDS[asked.volumes or backup.volumes].missing,
            *([server.missing] if server else []),
            *([] if asked.bus == rabbitmq.MEMORY else
              [rabbitmq.SOFTWARE.missing])):
        programs.require(lacking())
