# SPDX-License-Identifier: Apache-2.0

"""A real Barbican on loopback, without Keystone.

Who asks is in the headers that Keystone's middleware would set.
"""

import os
import pathlib
import socketserver
import subprocess
import sys
import wsgiref.simple_server

from castellan import key_manager
from cryptography import fernet
import fixtures
from keystoneauth1 import plugin
import psutil
import requests

from local_cloud import remote


class Barbican(fixtures.Fixture):
    """Barbican with SQLite; its program is this module."""

    def _setUp(self):
        self.home = home = pathlib.Path(
            self.useFixture(fixtures.TempDir()).path)
        # Not --config-file: its simple_crypto plugin reads nothing else.
        (home / '.barbican').mkdir()
        (home / '.barbican/barbican.conf').write_text(f"""
[DEFAULT]
host_href =
db_auto_create = true
log_file = {home}/barbican.log
[database]
connection = sqlite:///{home}/barbican.sqlite
[simple_crypto_plugin]
kek = {fernet.Fernet.generate_key().decode()}
""")
        log = (home / 'log').open('w')
        self.addCleanup(log.close)
        # It is not in the virtualenv of an older release of Cinder.
        python = pathlib.Path(os.environ.get(
            remote.ENVIRONMENT, sys.executable)).with_name('python')
        process = subprocess.Popen(
            # A test run that is killed leaves no daemon.
            ['setpriv', '--pdeathsig', 'KILL', python, '-m', __name__],
            env={'HOME': str(home), 'PATH': os.environ['PATH']},
            cwd=pathlib.Path(__file__).parents[1],
            stdout=subprocess.PIPE, stderr=log, text=True)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.process = psutil.Process(process.pid)
        port = process.stdout.readline().strip()
        process.stdout.close()
        if not port:
            raise AssertionError((home / 'log').read_text())
        self.url = f'http://127.0.0.1:{port}'

    def use(self, cinder):
        """Have the requests of an environment of Cinder use it."""
        # Registers its options.
        key_manager.API(cinder.config.conf)
        cinder.configure(key_manager__backend='barbican',
                         barbican__barbican_endpoint=self.url)
        cinder.context.user_auth_plugin = Headers(cinder.project_id)

    def _get(self, project_id, path, **headers):
        return requests.get(f'{self.url}/v1/{path}', timeout=60, headers={
            **Headers(project_id).get_headers(None), **headers})

    def ids(self, project_id):
        """The ids of a project's keys."""
        found = self._get(project_id, 'secrets?limit=100')
        found.raise_for_status()
        if found.json()['total'] > 100:
            raise AssertionError('more keys than one page has')
        return {one['secret_ref'].rpartition('/')[2]
                for one in found.json()['secrets']}

    def key(self, project_id, key_id):
        """One key of a project; of one without a payload, an error."""
        return self._get(project_id, f'secrets/{key_id}/payload',
                         Accept='application/octet-stream').content

    def keys(self, project_id):
        """The keys of a project, by their ids."""
        return {one: self.key(project_id, one)
                for one in self.ids(project_id)}


class Headers(plugin.BaseAuthPlugin):
    """Says who asks, as Keystone's middleware does of a token."""

    def __init__(self, project_id, roles='admin,member'):
        super().__init__()
        self._headers = {'X-Identity-Status': 'Confirmed',
                         'X-Project-Id': project_id, 'X-Roles': roles,
                         'X-User-Id': 'user'}

    def get_headers(self, session, **kwargs):
        return self._headers


def main():
    # Imported here: they read the configuration.
    from barbican.api import app
    from barbican.api.middleware import context
    from barbican.api.middleware import microversion
    from paste import urlmap

    class Server(socketserver.ThreadingMixIn,
                 wsgiref.simple_server.WSGIServer):
        daemon_threads = True

    application = urlmap.URLMap()
    application['/'] = microversion.MicroversionMiddleware(
        app.create_version_app({}))
    application['/v1'] = context.ContextMiddleware(
        microversion.MicroversionMiddleware(app.create_main_app({})))
    with wsgiref.simple_server.make_server('127.0.0.1', 0, application,
                                           Server) as server:
        print(server.server_port, flush=True)
        server.serve_forever()


if __name__ == '__main__':
    main()
