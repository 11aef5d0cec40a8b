# SPDX-License-Identifier: Apache-2.0

"""The process of Keystone: bootstrap its database, or serve its API."""

import os
import sys
import traceback

from oslo_config import cfg

from local_cloud import identity
from local_cloud import settings
from local_cloud.inside import http
from local_cloud.machine import cloud_state
from local_cloud.machine import loopback


def _application():
    # Importing it reads the configuration, opens the database, and takes
    # the arguments of this program for its own.
    sys.argv = sys.argv[:1]
    from keystone.wsgi import api
    return api.application


def _manage(*commands: tuple[str, ...]) -> None:
    """Run commands of ``keystone-manage``, all in one child process.

    They leave Keystone configured for themselves and not for serving, so
    that is not for this process; the imports are, and the child has them.
    """
    from keystone.cmd import cli
    configuration = os.path.join(os.environ['OS_KEYSTONE_CONFIG_DIR'],
                                 'keystone.conf')
    child = os.fork()
    if child == 0:
        code = 1
        try:
            for command in commands:
                cfg.CONF.reset()
                cli.main(argv=['keystone-manage', '--config-file',
                               configuration, *command])
            code = 0
        except Exception:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    _, status = os.waitpid(child, 0)
    if status != 0:
        sys.exit(1)


def bootstrap() -> None:
    """Make the schema, the keys, the users and the catalogue.

    One program for what are four calls of ``keystone-manage`` and a start of
    Keystone: most of each is the import of Keystone.
    """
    state = cloud_state.State(os.environ[cloud_state.ENVIRONMENT])
    state.load()
    url = settings.endpoint(state, 'keystone')
    user = ('--keystone-user', str(os.getuid()),
            '--keystone-group', str(os.getgid()))
    _manage(
        ('db_sync',),
        ('fernet_setup', *user),
        ('credential_setup', *user),
        ('bootstrap',
         '--bootstrap-username', settings.ADMIN_USER,
         '--bootstrap-project-name', settings.ADMIN_PROJECT,
         '--bootstrap-password',
         state.record['passwords'][settings.ADMIN_USER],
         '--bootstrap-public-url', url,
         '--bootstrap-internal-url', url,
         '--bootstrap-admin-url', url,
         '--bootstrap-service-name', 'keystone',
         '--bootstrap-region-id', settings.REGION))
    # The rest goes through Keystone's API, here and now on a port of its
    # own: the one in the catalogue is not served yet.
    listener = loopback.listen()
    url = f'http://{settings.HOST}:{listener.getsockname()[1]}'
    server = http.start(listener.detach(), _application())
    try:
        identity.fill(state, url)
    finally:
        server.stop()


if __name__ == '__main__':
    http.program(bootstrap, _application)
