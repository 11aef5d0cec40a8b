# SPDX-License-Identifier: Apache-2.0

"""The cloud, as an administrator reaches it."""

from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import dataclasses
import operator
import threading
from typing import Any
from typing import TypeVar
import urllib.parse

from keystoneauth1 import adapter
from keystoneauth1 import exceptions as auth_errors
from keystoneauth1 import loading
from keystoneauth1 import plugin
from openstack import config
from openstack import connection
from openstack import exceptions as sdk_errors
from openstack.config import cloud_region

from backup_recovery import exceptions
from backup_recovery import records

#: With the project of a backup (3.18), what its user attached (3.43), volumes
#: that are made of backups (3.47), and the id of a backup's key (3.64).
_MICROVERSION = '3.64'
_PROJECT = 'os-backup-project-attr:project_id'
_PAGE = 1000
#: Seconds that a request may take.
_TIMEOUT = 120
#: A service that restarts: half a minute.
_RETRIES = 6
BUSY = (502, 503, 504)
#: What a request for a token is scoped by.
_SCOPE = ('project_id', 'project_name', 'project_domain_id',
          'project_domain_name', 'domain_id', 'domain_name', 'system_scope',
          'tenant_id', 'tenant_name')
#: The volume of a row whose import has not ended.
_PLACEHOLDER = '00000000-0000-0000-0000-000000000000'
#: The quotas of backups and of volumes: of their number and of their GiB.
OF_BACKUPS = 'backups', 'backup_gigabytes'
OF_VOLUMES = 'volumes', 'gigabytes'
# What takes from which of them.
_TAKING = (('backups', OF_BACKUPS), ('volumes', OF_VOLUMES),
           ('snapshots', OF_VOLUMES[1:]))
_Made = TypeVar('_Made')


@dataclasses.dataclass(frozen=True, slots=True)
class Backup:
    """A backup, as the API shows it.

    :ivar data_timestamp: of its data, to the second; empty if unknown
    """

    id: str
    status: str
    fail_reason: str | None
    facts: records.Facts
    key_id: str | None = None
    data_timestamp: str = ''

    @classmethod
    def of(cls, body: dict[str, Any]) -> 'Backup':
        """Read it from an answer."""
        return cls(body['id'], body['status'], body['fail_reason'],
                   records.Facts.of(body, body[_PROJECT], 'name',
                                    'description', 'has_dependent_backups'),
                   body.get('encryption_key_id'),
                   (body.get('data_timestamp') or '')[:19])

    @property
    def imported_in_part(self) -> bool:
        """It is the row of an import that has not succeeded (yet).

        Such a row names no data, so that its deletion leaves the storage
        alone. A row that was deleted before and revived by an import still
        names its data.
        """
        return (self.facts.volume_id == _PLACEHOLDER and
                self.facts.container is None)


@dataclasses.dataclass(frozen=True)
class Quota:
    """A limit, -1 for none, and what counts."""

    limit: int
    used: int


class Session:
    """Requests with a token of one project.

    :ivar project_id: the project
    :ivar user_id: the user
    """

    def __init__(self, region: cloud_region.CloudRegion):
        connected = connection.Connection(config=region)
        connected.session.timeout = connected.session.timeout or _TIMEOUT
        self._session = connected.session
        self._region_name = region.get_region_name()
        self.project_id = connected.session.get_project_id()
        self.user_id = connected.session.get_user_id()
        self._clients: dict[str, adapter.Adapter] = {
            'block-storage': connected.block_storage,
            # Where the user authenticates: not each region has its own.
            'identity': adapter.Adapter(
                connected.session, service_type='identity', version='3',
                interface=plugin.AUTH_INTERFACE),
            # Found in the catalogue when it is used: not each cloud has it.
            'key-manager': adapter.Adapter(
                connected.session, service_type='key-manager', version='1',
                interface=region.get_interface('key-manager'),
                region_name=region.get_region_name('key-manager'),
                endpoint_override=region.get_endpoint('key-manager'))}

    def request(self, method: str, path: str, service: str = 'block-storage',
                once: bool = False, **arguments: Any) -> dict[str, Any]:
        """Send a request; repeat it while the service restarts.

        :param once: do not repeat it: it could be carried out twice
        :returns: the decoded answer, empty where there is none
        :raises Refused: it is refused
        :raises CloudError: the service does not answer
        """
        if service == 'block-storage':
            arguments['microversion'] = _MICROVERSION
        retries = 0 if once else _RETRIES
        with _translated():
            answer = self._clients[service].request(
                path, method, raise_exc=True, connect_retries=retries,
                status_code_retries=retries,
                retriable_status_codes=BUSY, **arguments)
        return answer.json() if answer.content else {}

    @property
    def token(self) -> str:
        """The token."""
        with _translated():
            return self._session.get_token() or ''

    @property
    def account(self) -> str | None:
        """The URL of the account in Swift; None without a Swift."""
        with _translated():
            return self._session.get_endpoint(
                service_type='object-store', interface='public',
                region_name=self._region_name)

    def backup(self, backup_id: str) -> Backup | None:
        """Read one backup; None where it does not exist."""
        found = self._read('backup', backup_id)
        return None if found is None else Backup.of(found)

    def volume(self, volume_id: str) -> dict[str, Any] | None:
        """Read one volume; None where it does not exist."""
        return self._read('volume', volume_id)

    def _read(self, kind: str, resource_id: str) -> dict[str, Any] | None:
        try:
            return self.request('GET', f'/{kind}s/{resource_id}')[kind]
        except exceptions.Refused as error:
            if error.status != 404:
                raise
            return None


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    """Make one line of each error of the libraries."""
    try:
        yield
    except auth_errors.Unauthorized as error:
        raise exceptions.NotAuthorized(
            f'authentication failed ({_reason(error)}); check the user, '
            f'the password and the project in clouds.yaml or OS_*'
        ) from error
    except auth_errors.HttpError as error:
        raise exceptions.Refused(error.http_status, _reason(error)) from error
    except auth_errors.ConnectFailure as error:
        # The causes in Python follow after it.
        raise exceptions.CloudError(
            f'{_one_line(error).partition(": ")[0]}; check clouds.yaml or '
            f'OS_*, and whether the service runs') from error
    except (auth_errors.ClientException, sdk_errors.SDKException) as error:
        raise exceptions.CloudError(
            f'{_one_line(error)}; check clouds.yaml or OS_*') from error


def _one_line(text: object) -> str:
    return ' '.join(str(text).split()).rstrip('.')


def _reason(error: auth_errors.HttpError) -> str:
    """The sentence of the service, without what HTTP adds."""
    try:
        body = error.response.json()
        reason = next(iter(body.values()))['message']
    except (AttributeError, KeyError, StopIteration, TypeError, ValueError):
        reason = error.message
    return _one_line(reason)


class Cloud:
    """All that the program asks of a cloud.

    :param name: of the cloud in ``clouds.yaml``; None for the variables
        ``OS_*``
    :param region_name: None for the configured one
    :raises CloudError: the cloud cannot be reached
    """

    def __init__(self, name: str | None = None,
                 region_name: str | None = None):
        self._sessions: dict[str, Session] = {}
        self._lock = threading.Lock()
        with _translated():
            self._configuration = config.OpenStackConfig()
            wanted = {'region_name': region_name} if region_name else {}
            self._region = self._configuration.get_one(cloud=name, **wanted)
            self.admin = Session(self._region)

    @property
    def place(self) -> dict[str, str]:
        """The values that tell this cloud from another one."""
        url = self._region.config['auth'].get('auth_url', '')
        return {'auth_url': url.rstrip('/').removesuffix('/v3'),
                'region': self._region.get_region_name() or ''}

    def require_administrator(self) -> None:
        """Check the role, without which Cinder lists one project's backups.

        :raises CloudError: it is missing, or no cinder-backup is up
        """
        try:
            services = self.admin.request(
                'GET', '/os-services', params={'binary': 'cinder-backup'}
            )['services']
        except exceptions.Refused as error:
            raise exceptions.CloudError(
                f'these credentials are not an administrator\'s ({error}); '
                f'use some that are') from error
        if not any(service['state'] == 'up' and
                   service['status'] == 'enabled' for service in services):
            raise exceptions.CloudError(
                'no cinder-backup service is up and enabled; start one')

    def backups(self) -> list[Backup]:
        """List the backups of all projects, the oldest first."""
        return self._listed('backups', Backup.of)

    def _listed(self, kind: str, make: Callable[[dict[str, Any]], _Made],
                **filters: str) -> list[_Made]:
        """Make something of all that projects have, the oldest first."""
        for attempt in range(5):
            try:
                return [make(one) for one in self._pages(kind, filters)]
            except exceptions.Refused as error:
                # The last one of a page was deleted meanwhile.
                if error.status != 404 or attempt == 4:
                    raise
        raise AssertionError

    def _pages(self, kind: str, filters: dict[str, str]
               ) -> Iterator[dict[str, Any]]:
        after: dict[str, str] = {}
        while True:
            page = self.admin.request('GET', f'/{kind}/detail', params={
                'all_tenants': 'true', 'limit': str(_PAGE),
                'sort': 'created_at:asc,id:asc', **filters, **after})[kind]
            if not page:
                return
            yield from page
            after = {'marker': page[-1]['id']}

    def export(self, backup: Backup) -> tuple[str, str]:
        """Export a backup, as its project where that is needed.

        A key manager has a key for users of its project only, and without
        the key a record can neither prove nor carry it. In Swift each project
        may have an account of its own, and a driver that looks there finds
        nothing in another one.

        :returns: the class of its driver, and its record
        :raises Refused: it cannot be exported
        """
        project = backup.facts.project_id
        own = self._session_of(project) if backup.key_id else None
        try:
            answer = self._exported(own or self.admin, backup)
        except exceptions.Refused as error:
            if own or project == self.admin.project_id:
                raise
            own = self._session_of(project)
            if own is None:
                raise exceptions.Refused(
                    error.status, f'{error} (user {self.admin.user_id} has '
                                  f'no role in its project {project})'
                ) from error
            answer = self._exported(own, backup)
        return answer['backup_service'], answer['backup_url']

    def _session_of(self, project_id: str | None) -> Session | None:
        with contextlib.suppress(exceptions.CloudError):
            return self.session(project_id or '')
        return None

    @staticmethod
    def _exported(session: Session, backup: Backup) -> dict[str, str]:
        answer: dict[str, str] = session.request(
            'GET', f'/backups/{backup.id}/export_record')['backup-record']
        return answer

    def project(self, project_id: str) -> tuple[str | None, bool] | None:
        """Look a project up.

        :returns: its name, None where that is a secret, and whether it is
            enabled; None where it does not exist
        """
        try:
            found = self.admin.request(
                'GET', f'/projects/{urllib.parse.quote(project_id)}',
                'identity')['project']
        except exceptions.Refused as error:
            if error.status == 404:
                return None
            # An administrator of Cinder only.
            return None, True
        return found['name'], found['enabled']

    def projects(self) -> tuple[list[str], list[str]]:
        """List the projects.

        :returns: ids of those in which the user has a role, and of others
        """
        own, every = (
            {one['id'] for one in self.admin.request('GET', path, 'identity')[
                'projects'] if one['enabled']}
            for path in ('/auth/projects', '/projects'))
        return sorted(own), sorted(every - own)

    def has_role(self, project_id: str) -> bool:
        """Check whether the user can act in a project."""
        try:
            self.session(project_id)
        except exceptions.NotAuthorized:
            return False
        return True

    def quotas(self, project_id: str, names: tuple[str, ...] = OF_BACKUPS
               ) -> dict[str, Quota]:
        """Read quotas of a project, by default those of backups.

        Where Cinder's usage was lost as well, it says that nothing is used
        until the next request that needs some, for which it counts.
        """
        found = self.admin.request(
            'GET', f'/os-quota-sets/{urllib.parse.quote(project_id)}',
            params={'usage': 'true'})['quota_set']
        counted = dict.fromkeys(names, 0)
        for kind, taken in _TAKING:
            if counted.keys() & {*taken}:
                sizes = self._listed(kind, operator.itemgetter('size'),
                                     project_id=project_id)
                for name in counted.keys() & {*taken}:
                    counted[name] += (len(sizes) if name == kind else
                                      sum(sizes))
        return {name: Quota(found[name]['limit'], max(
                    counted[name], found[name]['in_use'] +
                    found[name]['reserved']))
                for name in names}

    def set_quotas(self, project_id: str, limits: dict[str, int]) -> None:
        """Set quotas of a project."""
        self.admin.request(
            'PUT', f'/os-quota-sets/{urllib.parse.quote(project_id)}',
            json={'quota_set': limits})

    def session(self, project_id: str) -> Session:
        """Authenticate for a project.

        :raises Refused, CloudError: that is not possible
        """
        if project_id == self.admin.project_id:
            return self.admin
        with self._lock:
            if project_id not in self._sessions:
                self._sessions[project_id] = self._scoped(project_id)
            return self._sessions[project_id]

    def _scoped(self, project_id: str) -> Session:
        # The SDK's connect_as() of some releases stays in the project of
        # OS_PROJECT_NAME without a word.
        region = self._region
        if 'applicationcredential' in region.config['auth_type']:
            raise exceptions.CloudError(
                'an application credential is for one project only; use a '
                'user and a password')
        options = {name: value for name, value in
                   region.config['auth'].items() if name not in _SCOPE}
        with _translated():
            scoped = loading.get_plugin_loader(
                region.config['auth_type']).load_from_options(
                    **options, project_id=project_id)
            return Session(cloud_region.CloudRegion(
                region.name, region.get_region_name(), region.config,
                openstack_config=self._configuration, auth_plugin=scoped))
