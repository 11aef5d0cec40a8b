# SPDX-License-Identifier: Apache-2.0

"""The schema of profiles, and messages for profiles that violate it."""

from collections.abc import Iterator
from collections.abc import Mapping
import difflib
from typing import Any

import jsonschema
from oslo_config import cfg

from cinder_backup_recovery_tests import capabilities
from cinder_backup_recovery_tests import connecting

_TEXT: dict[str, Any] = {'type': 'string', 'minLength': 1}
_SECRET: dict[str, Any] = {
    'type': 'object', 'minProperties': 1, 'maxProperties': 1,
    'additionalProperties': False,
    'properties': {'env': _TEXT, 'file': _TEXT}}

# Options of the plugin that a profile says in words of its own, or that are
# a matter of each run.
_OWN_WORDS = ('database_connection', 'backup_driver')

#: Given by a reference only.
SECRETS = ('connect.database_password', *(
    f'connect.{option.name}' for option in connecting.OPTIONS
    if option.secret and option.name not in _OWN_WORDS))


def _option(option: cfg.Opt) -> dict[str, Any]:
    """The schema of one of the plugin's options."""
    if option.secret:
        return _SECRET
    schema: dict[str, Any] = {'type': 'string'}
    if isinstance(option, cfg.BoolOpt):
        schema = {'type': 'boolean'}
    elif isinstance(option, cfg.IntOpt):
        schema = {'type': 'integer'}
    elif isinstance(option, cfg.FloatOpt):
        schema = {'type': 'number'}
    elif isinstance(option, cfg.ListOpt):
        schema = {'type': 'array', 'items': {'type': 'string'}}
    elif isinstance(option, cfg.DictOpt):
        schema = {'type': 'object',
                  'additionalProperties': {'type': 'string'}}
    choices = getattr(option.type, 'choices', None)
    if choices:
        schema['enum'] = list(choices)
    if getattr(option.type, 'min', None) is not None:
        schema['minimum'] = option.type.min
    return schema


def _section(**keys: dict[str, Any]) -> dict[str, Any]:
    return {'type': 'object', 'additionalProperties': False,
            'properties': keys}


SCHEMA: dict[str, Any] = {
    **_section(
        driver=_section(**{
            'class': _TEXT,
            'name': _TEXT,
            'config_files': {'type': 'array', 'items': _TEXT},
            'python': _TEXT,
            'store': _TEXT,
            'chunk_option': _TEXT,
            'block_option': _TEXT,
        }),
        connect=_section(
            cloud=_TEXT,
            tempest_conf=_TEXT,
            database_url=_TEXT,
            database_password=_SECRET,
            **{option.name: _option(option)
               for option in connecting.OPTIONS
               if option.name not in _OWN_WORDS}),
        can=_section(**{
            option.name: _option(option)
            for option in capabilities.OPTIONS}),
        run=_section(
            mode={'enum': ['certified', 'quick']},
            concurrency={'type': 'integer', 'minimum': 1},
            report_dir=_TEXT,
            histories={'type': 'integer', 'minimum': 1},
            histories_seconds={'type': 'number', 'minimum': 1},
            histories_seed={'type': 'integer', 'minimum': 0},
            local_backup=_TEXT,
            local_cinder=_TEXT,
            local_database=_TEXT,
            local_bus=_TEXT,
            local_key_manager=_TEXT)),
}


def names() -> Iterator[str]:
    """All keys that there are, with their sections."""
    for section, schema in SCHEMA['properties'].items():
        for name in schema['properties']:
            yield f'{section}.{name}'


def problems(document: Mapping[str, Any]) -> Iterator[str]:
    """Say what is wrong with a profile.

    :returns: one line for each mistake, that about an unknown key first
    """
    errors = sorted(
        jsonschema.Draft202012Validator(SCHEMA).iter_errors(document),
        key=lambda error: (error.validator != 'additionalProperties',
                           list(map(str, error.absolute_path))))
    for error in errors:
        path = '.'.join(map(str, error.absolute_path))
        if any(path == one or path.startswith(f'{one}.') for one in SECRETS):
            # Never with its value, which may be the secret itself.
            yield (f'{path} holds no reference: a secret is not written '
                   f'into a profile, give it as {{env: NAME}} or '
                   f'{{file: PATH}}')
        elif error.validator == 'additionalProperties':
            for name in error.instance.keys() - error.schema['properties']:
                yield _unknown(path, str(name))
        elif error.validator == 'enum':
            yield (f'{path} is {error.instance!r}, and must be one of '
                   f'{", ".join(map(str, error.validator_value))}')
        elif error.validator == 'type':
            what = {'object': 'a mapping', 'array': 'a list',
                    'boolean': 'true or false', 'integer': 'a whole number',
                    'number': 'a number', 'string': 'text'}
            yield (f'{path or "the profile"} must be '
                   f'{what[error.validator_value]}')
        else:
            yield f'{path}: {error.message}'


def _unknown(section: str, name: str) -> str:
    """Name the right key for one that there is not."""
    path = f'{section}.{name}' if section else name
    elsewhere = [key for key in names() if key.partition('.')[2] == name]
    if not section:
        near = difflib.get_close_matches(name, SCHEMA['properties'], 1)
        near = elsewhere or near
    else:
        here = [key for key in names() if key.startswith(f'{section}.')]
        near = elsewhere or difflib.get_close_matches(
            path, here, 1, cutoff=0.7) or difflib.get_close_matches(
            path, names(), 1)
    return f'{path} is not known' + (
        f'; do you mean {near[0]}?' if near else
        f'; the sections are {", ".join(SCHEMA["properties"])}')
