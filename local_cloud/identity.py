# SPDX-License-Identifier: Apache-2.0

"""Signing in as the administrator, and the catalogue."""

from typing import Any

import requests

from local_cloud import settings
from local_cloud import sites
from local_cloud.machine import cloud_state


class Session:
    """Requests with an administrator's token to one local cloud.

    :param url: Keystone's root, where it is not yet the recorded one
    :raises requests.RequestException: when Keystone does not answer or
        refuses; so do the methods
    """

    def __init__(self, state: cloud_state.State, url: str | None = None,
                 timeout: float = 30):
        self._state = state
        self._timeout = timeout
        self._keystone = url or settings.url(state, 'keystone')
        domain = {'id': 'default'}
        answer = requests.post(f'{self._keystone}/v3/auth/tokens', json={
            'auth': {
                'identity': {'methods': ['password'], 'password': {'user': {
                    'name': settings.ADMIN_USER, 'domain': domain,
                    'password': state.record['passwords'][
                        settings.ADMIN_USER]}}},
                'scope': {'project': {'name': settings.ADMIN_PROJECT,
                                      'domain': domain}},
            }}, timeout=timeout)
        answer.raise_for_status()
        self.project_id: str = answer.json()['token']['project']['id']
        #: The administrator's token.
        self.token: str = answer.headers['X-Subject-Token']
        self._requests = requests.Session()
        self._requests.headers['X-Auth-Token'] = self.token

    def _root(self, service: str) -> str:
        if service == 'keystone':
            return self._keystone + '/v3'
        if service in (site.name for site in (sites.FIRST, sites.SECOND)):
            return (settings.endpoint(self._state, service) +
                    f'/{self.project_id}')
        return settings.endpoint(self._state, service) % {
            'project_id': self.project_id}

    def request(self, method: str, service: str, path: str, **kwargs: Any):
        """Send one request; returns the decoded body, or None."""
        answer = self._requests.request(
            method, self._root(service) + path, timeout=self._timeout,
            **kwargs)
        answer.raise_for_status()
        is_json = 'json' in answer.headers.get('Content-Type', '')
        return answer.json() if answer.content and is_json else None

    def get(self, service: str, path: str):
        """Get one resource."""
        return self.request('GET', service, path)


def fill(state: cloud_state.State, url: str) -> None:
    """Make the users and the catalogue, once, where Keystone answers now."""
    session = Session(state, url)
    project = session.request(
        'POST', 'keystone', '/projects',
        json={'project': {'name': settings.SERVICE_PROJECT,
                          'domain_id': 'default'}})['project']
    for name in settings.SERVICE_USERS:
        _add_user(session, name, state.record['passwords'][name],
                  project['id'])
    for name, (kind, _) in settings.CATALOGUE.items():
        if name != 'keystone':  # its own bootstrap made it
            _add_service(session, name, kind, settings.endpoint(state, name))


def add(state: cloud_state.State, name: str) -> None:
    """Add a service that not every cloud has: its user, its endpoints."""
    session = Session(state)
    project, = session.get(
        'keystone', f'/projects?name={settings.SERVICE_PROJECT}')['projects']
    _add_user(session, name, state.record['passwords'][name], project['id'])
    _add_service(session, name, settings.OPTIONAL_CATALOGUE[name][0],
                 settings.endpoint(state, name))


def _add_user(session: Session, name: str, password: str,
              project_id: str) -> None:
    roles = {role['name']: role['id'] for role in
             session.get('keystone', '/roles')['roles']}
    user = session.request(
        'POST', 'keystone', '/users',
        json={'user': {'name': name, 'domain_id': 'default',
                       'password': password,
                       'default_project_id': project_id}})['user']
    for role in ('admin', 'service'):
        session.request('PUT', 'keystone',
                        f'/projects/{project_id}/users/{user["id"]}'
                        f'/roles/{roles[role]}')


def _add_service(session: Session, name: str, kind: str, url: str) -> None:
    service = session.request(
        'POST', 'keystone', '/services',
        json={'service': {'name': name, 'type': kind}})['service']
    _add_endpoints(session, service['id'], settings.REGION, url)


def add_region(state: cloud_state.State, site: sites.Site) -> None:
    """Add the endpoints of another site's Cinder."""
    session = Session(state)
    session.request('POST', 'keystone', '/regions',
                    json={'region': {'id': site.region}})
    kind = settings.OTHER_REGION[site.name][0]
    service, = session.get('keystone', f'/services?type={kind}')['services']
    _add_endpoints(session, service['id'], site.region,
                   settings.endpoint(state, site.name))


def add_accounts(state: cloud_state.State, site: sites.Site) -> None:
    """Add the endpoints of Swift with the accounts of another site."""
    _add_to_region(state, 'swift', site, settings.url(state, 'swift') +
                   f'/v1/{settings.ACCOUNTS[site]}_%(project_id)s')


def add_key_manager(state: cloud_state.State, site: sites.Site, url: str
                    ) -> None:
    """Add the endpoints of the Barbican that another site uses."""
    _add_to_region(state, 'barbican', site, url)


def _add_to_region(state: cloud_state.State, name: str, site: sites.Site,
                   url: str) -> None:
    session = Session(state)
    kind = settings.OPTIONAL_CATALOGUE[name][0]
    service, = session.get('keystone', f'/services?type={kind}')['services']
    _add_endpoints(session, service['id'], site.region, url)


def _add_endpoints(session: Session, service_id: str, region: str,
                   url: str) -> None:
    for interface in ('public', 'internal', 'admin'):
        session.request(
            'POST', 'keystone', '/endpoints',
            json={'endpoint': {'service_id': service_id,
                               'interface': interface,
                               'region_id': region,
                               'url': url}})
