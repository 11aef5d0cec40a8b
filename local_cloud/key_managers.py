# SPDX-License-Identifier: Apache-2.0

"""The key managers that a cloud can have, and its type of encrypted volumes.

Without one Cinder makes no volume of an encrypted type.
"""

from typing import Any

from local_cloud import identity
from local_cloud import settings
from local_cloud import sites
from local_cloud.machine import cloud_state
from local_cloud.services import barbican

#: Cinder's own, with one key for all volumes, in ``cinder.conf``.
FIXED = 'fixed'
#: A Barbican for each region.
EACH = 'barbican-each'
KINDS = (barbican.Barbican.name, EACH, FIXED)
#: The module and the extra that a kind needs.
MODULES = dict.fromkeys((barbican.Barbican.name, EACH), barbican.Barbican.name)

#: The type of encrypted volumes. Each site has one of that name, with these
#: parameters and an id of its own.
VOLUME_TYPE = 'luks'
_KEY_BITS = 256
_ENCRYPTION = {
    'provider': 'luks',
    'cipher': 'aes-xts-plain64',
    'key_size': _KEY_BITS,
    'control_location': 'front-end',
}


def of(state: cloud_state.State) -> str | None:
    """The key manager of a cloud, None where it has none."""
    return state.record.get('key_manager')


def has_barbican(state: cloud_state.State) -> bool:
    """Check whether a cloud has a Barbican."""
    return of(state) in MODULES


def has_one_each(state: cloud_state.State) -> bool:
    """Check whether its second region has a Barbican of its own."""
    return of(state) == EACH and sites.SECOND in sites.of(state)


def barbican_of(state: cloud_state.State, site: sites.Site
                ) -> barbican.Barbican:
    """The Barbican in which a site has its keys."""
    return barbican.Barbican(
        state, site if has_one_each(state) else sites.FIRST)


def services(state: cloud_state.State) -> list[barbican.Barbican]:
    """The Barbicans of a cloud."""
    if not has_barbican(state):
        return []
    return [barbican.Barbican(state, site) for site in sites.of(state)
            if has_one_each(state) or site is sites.FIRST]


def passwords(state: cloud_state.State) -> dict[str, str]:
    """The secrets that a new cloud needs for its key manager."""
    if of(state) != FIXED:
        return {}
    # As long as the keys of the volume type.
    return {FIXED: settings.new_password(_KEY_BITS // 8)}


def cinder_sections(state: cloud_state.State, site: sites.Site
                    ) -> dict[str, dict[str, Any]]:
    """The sections of a site's ``cinder.conf`` that lead to it."""
    if has_barbican(state):
        return {
            'key_manager': {'backend': barbican.Barbican.name},
            'barbican': {
                'barbican_endpoint': barbican_of(state, site).location(),
                'auth_endpoint': settings.endpoint(state, 'keystone'),
            },
        }
    if of(state) == FIXED:
        return {'key_manager': {
            'backend': 'cinder.keymgr.conf_key_mgr.ConfKeyManager',
            'fixed_key': state.record['passwords'][FIXED],
        }}
    return {}


def tempest_options(state: cloud_state.State) -> dict[str, Any]:
    """The options by which a test finds encrypted volumes and their keys."""
    if not of(state):
        return {}
    fixed = state.record['passwords'].get(FIXED)
    return {'encrypted_volume_type': VOLUME_TYPE,
            **({'fixed_key': fixed} if fixed else {})}


def tempest_features(state: cloud_state.State) -> dict[str, Any]:
    """The capabilities of the key manager, for the tests."""
    return {'encrypted_volumes': bool(of(state)),
            'separate_keys': of(state) != FIXED,
            'second_key_manager': has_one_each(state)}


def add_volume_types(state: cloud_state.State) -> None:
    """Add the type of encrypted volumes at each site that lacks it.

    One does when it is new, or has lost its database.
    """
    if not of(state):
        return
    session = identity.Session(state)
    for site in sites.of(state):
        if VOLUME_TYPE in (found['name'] for found in session.get(
                site.name, '/types')['volume_types']):
            continue
        made = session.request('POST', site.name, '/types', json={
            'volume_type': {'name': VOLUME_TYPE}})['volume_type']
        session.request(
            'POST', site.name, f'/types/{made["id"]}/encryption',
            json={'encryption': _ENCRYPTION})
