# SPDX-License-Identifier: Apache-2.0

"""Real web servers between the clients of a local cloud and its Cinder.

As in a cloud that DevStack has made: uWSGI runs Cinder's WSGI application
and listens on a Unix socket, a web server passes requests on to that.
"""

import os
import pathlib
import shutil
import socket
import subprocess
import sys

import fixtures
import psutil
import requests

from local_cloud import identity
from local_cloud import settings
from local_cloud.machine import daemons
from local_cloud.services import cinder
from tests import cloud_cases
from tests import required

#: The path of Cinder's API behind the web server.
PATH = '/volume'

_PATH = f'{os.environ.get("PATH", "")}:/usr/local/sbin:/usr/sbin'
_MODULES = pathlib.Path('/usr/lib/apache2/modules')


def unavailable(reason):
    """Skip the tests of a web server."""
    required.missing('CBRT_REQUIRE_PROXY', reason)


def _free_address():
    with socket.socket() as listener:
        listener.bind((settings.HOST, 0))
        return '{}:{}'.format(*listener.getsockname())


class Program(fixtures.Fixture):
    """A server in a directory of its own, in the foreground.

    :ivar directory: where its files are; every user may go through it
    """

    PROGRAM = ''
    PACKAGE = ''

    @classmethod
    def program(cls):
        """The path of the program; skips without."""
        path = shutil.which(cls.PROGRAM, path=_PATH)
        if path is None:
            unavailable(f'{cls.PROGRAM} was not found ({cls.PACKAGE})')
        return path

    def _setUp(self):
        program = self.program()
        self.directory = pathlib.Path(
            self.useFixture(fixtures.TempDir(rootdir='/tmp')).path)
        # Where root starts it, it works as another user.
        self.directory.chmod(0o711)
        self.log = self.directory / 'log'
        with open(self.log, 'wb') as log:
            process = subprocess.Popen(
                # It ends also where this process is killed.
                ['setpriv', '--pdeathsig', 'TERM', program,
                 *self.arguments()], stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, cwd=self.directory,
                env={**os.environ, **self.environment()})
        self.addCleanup(self._stop, psutil.Process(process.pid), process)
        self._started = process
        cloud_cases.until(self._is_ready, f'{self.PROGRAM} answers')

    @staticmethod
    def _stop(parent, process):
        daemons.stop([parent, *parent.children(recursive=True)])
        process.wait()

    def _is_ready(self):
        if self._started.poll() is not None:
            raise AssertionError(
                f'{self.PROGRAM} did not start: {self.log.read_text()}')
        return self.answers()

    def environment(self):
        """Variables that it needs."""
        return {}

    def arguments(self):
        """Write its configuration."""
        raise NotImplementedError

    def answers(self):
        """Check whether it has started to serve."""
        raise NotImplementedError


class CinderOnUwsgi(Program):
    """uWSGI with Cinder's API, with the configuration of a local cloud.

    :param state: the cloud, whose services talk over a broker
    :param http: whether it has its HTTP router, too, as without a web server
    :ivar socket: where it listens for a web server
    """

    PROGRAM = 'uwsgi'
    PACKAGE = 'pyuwsgi of PyPI'

    def __init__(self, state, http=False):
        super().__init__()
        self._state = state
        self._http = http

    @classmethod
    def program(cls):
        """That of this virtualenv, which has the modules of Cinder."""
        path = pathlib.Path(sys.executable).with_name(cls.PROGRAM)
        if not path.exists():
            unavailable(f'{path} was not found ({cls.PACKAGE})')
        return str(path)

    def environment(self):
        return cinder.Cinder(self._state).environment()

    def arguments(self):
        self.socket = self.directory / 'socket'
        more = self.directory / 'api.conf'
        settings.write(more, {'DEFAULT': {
            'api_paste_config': settings.packaged_file(
                cinder.Cinder.name, 'api-paste.ini')}})
        configuration = self.directory / 'uwsgi.ini'
        settings.write(configuration, {'uwsgi': {
            'module': 'tests.cinder_api:application',
            'pythonpath': pathlib.Path(__file__).parents[1],
            'pyargv': f'--config-file {self._state.config("cinder")} '
                      f'--config-file {more}',
            'socket': self.socket,
            'chmod-socket': '666',
            # All else as DevStack has it.
            'master': 'true',
            'processes': 2,
            'die-on-term': 'true',
            'enable-threads': 'true',
            'thunder-lock': 'true',
            'lazy-apps': 'true',
            'buffer-size': 65535,
            'add-header': 'Connection: close',
            # None without an application.
            'need-app': 'true',
            **self._listen(),
        }})
        return ['--ini', str(configuration)]

    def _listen(self):
        if not self._http:
            return {}
        address = _free_address()
        self.url = f'http://{address}'
        return {'http': address}

    def answers(self):
        return self.log.read_text().count('WSGI app 0 (mountpoint=') == 2


class WebServer(Program):
    """A web server in front of a uWSGI.

    :ivar url: of the API, which is behind it
    """

    def __init__(self, uwsgi):
        super().__init__()
        self._uwsgi = uwsgi

    def answered(self):
        """The statuses of its answers to imports."""
        return [int(line.split()[0]) for line in
                (self.directory / 'access.log').read_text().splitlines()
                if 'POST' in line and 'import_record' in line]

    def _setUp(self):
        self.address = _free_address()
        self.url = f'http://{self.address}{PATH}'
        super()._setUp()

    def answers(self):
        try:
            return requests.get(f'{self.url}/', timeout=30).status_code == 300
        except requests.RequestException:
            return False


class Apache(WebServer):
    """Debian's Apache, with the line that DevStack writes for a service."""

    PROGRAM = 'apache2'
    PACKAGE = "Debian's apache2-bin"

    def arguments(self):
        configuration = self.directory / 'apache.conf'
        modules = [('mpm_event', 'mpm_event'), ('authz_core', 'authz_core'),
                   ('proxy', 'proxy'), ('proxy_uwsgi', 'proxy_uwsgi')]
        configuration.write_text('\n'.join([
            *(f'LoadModule {name}_module {_MODULES}/mod_{file}.so'
              for name, file in modules),
            f'ServerName {settings.HOST}',
            f'ServerRoot {self.directory}',
            f'Listen {self.address}',
            f'PidFile {self.directory}/pid',
            f'DefaultRuntimeDir {self.directory}',
            f'ErrorLog {self.directory}/error.log',
            'LogFormat "%>s %r" status',
            f'CustomLog {self.directory}/access.log status',
            # Of no effect but for root.
            'User nobody',
            'Group nogroup',
            f'ProxyPass "{PATH}" "unix:{self._uwsgi}|uwsgi://cinder-api" '
            'retry=0 acquire=1',
            '']))
        return ['-f', str(configuration), '-DFOREGROUND']


class Nginx(WebServer):
    """Debian's nginx.

    :param limit: for the body of a request; its own one when None
    """

    PROGRAM = 'nginx'
    PACKAGE = "Debian's nginx"

    def __init__(self, uwsgi, limit=None):
        super().__init__(uwsgi)
        self._limit = limit

    def arguments(self):
        temporary = '\n'.join(
            f'    {name}_temp_path {self.directory}/{name};' for name in (
                'client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'))
        names = ('QUERY_STRING', 'REQUEST_METHOD', 'CONTENT_TYPE',
                 'CONTENT_LENGTH', 'REQUEST_URI', 'SERVER_PROTOCOL',
                 'REMOTE_ADDR', 'SERVER_PORT', 'SERVER_NAME')
        parameters = '\n'.join(f'      uwsgi_param {name} ${name.lower()};'
                               for name in names)
        limit = ('' if self._limit is None else
                 f'client_max_body_size {self._limit};')
        configuration = self.directory / 'nginx.conf'
        configuration.write_text(f'''
daemon off;
pid {self.directory}/pid;
error_log {self.directory}/error.log;
events {{}}
http {{
    log_format status '$status $request';
    access_log {self.directory}/access.log status;
    {limit}
{temporary}
    server {{
        listen {self.address};
        location {PATH} {{
            uwsgi_pass unix:{self._uwsgi};
{parameters}
            rewrite ^{PATH}(.*)$ $1 break;
            uwsgi_param PATH_INFO $uri;
            uwsgi_param SCRIPT_NAME {PATH};
        }}
    }}
}}
''')
        return ['-c', str(configuration), '-p', str(self.directory),
                '-e', str(self.directory / 'error.log')]


class Endpoint(fixtures.Fixture):
    """The address of a web server in the catalogue, in place of Cinder's."""

    def __init__(self, state, url):
        super().__init__()
        self._state = state
        self._url = url

    def _setUp(self):
        self._session = identity.Session(self._state)
        old = settings.endpoint(self._state, cinder.Cinder.name)
        self._ids = [one['id'] for one in self._session.get(
            'keystone', '/endpoints')['endpoints'] if one['url'] == old]
        self.addCleanup(self._set, old)
        self._set(f'{self._url}/v3')

    def _set(self, url):
        for endpoint in self._ids:
            self._session.request(
                'PATCH', 'keystone', f'/endpoints/{endpoint}',
                json={'endpoint': {'url': url}})
