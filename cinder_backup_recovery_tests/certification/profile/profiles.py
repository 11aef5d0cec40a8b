# SPDX-License-Identifier: Apache-2.0

"""A profile: how to connect, what the driver can, and what to run.

Whatever says more of a run wins: the command line over the environment, that
over the profile's file, and that over what holds otherwise.
"""

from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
import copy
import fnmatch
import os
import pathlib
from typing import Any
import urllib.parse

import yaml

from cinder_backup_recovery_tests.certification.profile import schema

SHIPPED = pathlib.Path(__file__).parents[1] / 'data' / 'profiles'
#: Prefix of the variables that set a key; followed by RUN_MODE, run.mode.
PREFIX = 'BACKUP_CERTIFY_'

_DEFAULTS: dict[str, dict[str, Any]] = {
    'driver': {}, 'connect': {}, 'can': {},
    'run': {'mode': 'certified', 'concurrency': 2,
            'report_dir': 'certify-report'},
}


class ProfileError(Exception):
    """A profile that nothing can be done with, in one line."""


class _Loader(yaml.SafeLoader):
    """Refuses what YAML takes without a word: a duplicate key."""

    def construct_mapping(self, node: Any, deep: bool = False
                          ) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key, _ in node.value:
            name = self.construct_object(key, deep=True)
            if not isinstance(name, str):
                raise yaml.constructor.ConstructorError(
                    None, None, f'the key {name!r} is not text',
                    key.start_mark)
            if name in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f'duplicate key {name}', key.start_mark)
            seen.add(name)
        return super().construct_mapping(node, deep)


def _read(text: str, what: str) -> Any:
    try:
        return yaml.load(text, _Loader)  # noqa: S506 - a SafeLoader
    except yaml.YAMLError as error:
        mark = getattr(error, 'problem_mark', None)
        problem = getattr(error, 'problem', None) or 'it cannot be read'
        line = f', line {mark.line + 1}' if mark else ''
        raise ProfileError(f'{what}{line}: {problem}') from None


def shipped() -> list[str]:
    """Names of the profiles that come with this package."""
    return sorted(path.stem for path in SHIPPED.glob('*.yaml'))


class Profile:
    """The settings of a driver and a run, from all sources."""

    def __init__(self, name: str, document: Mapping[str, Any],
                 given: Iterable[str] = ()):
        self.name = name
        self._given = frozenset(given)
        self.document = copy.deepcopy(_DEFAULTS)
        for section, keys in document.items():
            self.document[section].update(keys)

    def get(self, key: str, default: Any = None) -> Any:
        """The value of a key."""
        section, _, name = key.partition('.')
        return self.document[section].get(name, default)

    def refuse_unused(self, way: str, unused: Iterable[str],
                      misleading: Iterable[str] = (),
                      used: Iterable[str] = ()) -> None:
        """Refuse keys that a way to a verdict does not use.

        A file and the environment may hold the keys of all ways: one profile
        serves each of them. The command line is of one run.

        :param misleading: keys among them that make the user believe that
            something else is tested; they are refused wherever they are set
        :param used: patterns of keys among them that it uses
        :raises ProfileError: naming the first such key
        """
        def matches(key: str, patterns: Iterable[str]) -> bool:
            return any(fnmatch.fnmatchcase(key, one) for one in patterns)

        unused, used = list(unused), list(used)
        wrong = [key for key in sorted(self._given)
                 if matches(key, unused) and not matches(key, used)]
        wrong += [key for key in misleading if self.get(key) is not None]
        if wrong:
            raise ProfileError(
                f'{wrong[0]} is set, and cinder-backup-certify {way} does '
                f'not use it; leave it out, or use another verb than {way}')

    @property
    def denied(self) -> frozenset[str]:
        """The capabilities that the profile denies."""
        return frozenset(name for name, value in self.document['can'].items()
                         if value is False)

    def secret(self, key: str) -> str | None:
        """Read the secret that a reference names.

        :raises ProfileError: if there is nothing
        """
        reference = self.get(key)
        if reference is None:
            return None
        (kind, where), = reference.items()
        if kind == 'env':
            found = os.environ.get(where)
            if not found:
                raise ProfileError(f'{key}: the variable {where} is not set')
            return found
        try:
            found = pathlib.Path(where).expanduser().read_text().strip('\n')
        except (OSError, UnicodeDecodeError) as error:
            raise ProfileError(f'{key}: {where} cannot be read: '
                               f'{getattr(error, "strerror", error)}'
                               ) from None
        if not found:
            raise ProfileError(f'{key}: {where} is empty')
        return found

    def database_url(self) -> str | None:
        """The URL of Cinder's database, with its password.

        :raises ProfileError: if the password is missing
        """
        url, password = (self.get('connect.database_url'),
                         self.secret('connect.database_password'))
        if url is None or password is None:
            return url
        parts = urllib.parse.urlsplit(url)
        user, at, host = parts.netloc.rpartition('@')
        if not at:
            raise ProfileError('connect.database_url names no user for '
                               'connect.database_password')
        return parts._replace(
            netloc=f'{user}:{urllib.parse.quote_plus(password)}@{host}'
        ).geturl()


def _find(name: str) -> tuple[str, pathlib.Path]:
    if name in shipped():
        return name, SHIPPED / f'{name}.yaml'
    path = pathlib.Path(name)
    if not path.is_file() and path.suffix not in ('.yaml', '.yml'):
        raise ProfileError(
            f'unknown profile {name}; give a file name or one of '
            f'{", ".join(shipped())}')
    return path.stem, path


def _set(document: dict[str, Any], key: str, text: str, source: str) -> None:
    section, _, name = key.partition('.')
    where = document.setdefault(section, {})
    if not name or not isinstance(where, dict):
        raise ProfileError(f'{source}: {key} is not a key with its section, '
                           f'such as run.mode')
    where[name] = _read(text, source)


def _of_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The keys that are set by variables."""
    names = {PREFIX + key.replace('.', '_').upper(): key
             for key in schema.names()}
    return {names.get(variable, variable): variable
            for variable in environment if variable.startswith(PREFIX)}


def load(name: str | None, settings: Sequence[str] = (),
         environment: Mapping[str, str] | None = None) -> Profile:
    """Read a profile, and put over it what is said elsewhere.

    :param name: a file, or the name of a profile that is shipped; without
        one there is only what is said elsewhere
    :raises ProfileError: with one line that names the first mistake and,
        where it can be told, the remedy
    """
    environment = os.environ if environment is None else environment
    document: Any = {}
    title = 'the profile'
    if name is not None:
        title, path = _find(name)
        try:
            text = path.read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise ProfileError(
                f'the profile {path} cannot be read: '
                f'{getattr(error, "strerror", error)}') from None
        document = _read(text, str(path)) or {}
        _check(document, str(path))
        # An empty section says nothing.
        document = {key: value or {} for key, value in document.items()}
    for key, variable in _of_environment(environment).items():
        if '.' not in key:
            raise ProfileError(_unknown_variable(variable))
        _set(document, key, environment[variable], variable)
    _check(document, 'the environment')
    for setting in settings:
        key, equals, text = setting.partition('=')
        if not equals:
            raise ProfileError(f'--set {setting}: section.key=value is '
                               f'expected')
        _set(document, key, text, f'--set {key}')
    _check(document, 'the command line')
    # A driver without a profile of its own is told by its class.
    driver = document.get('driver', {})
    if name is None:
        title = driver.get('class', title)
    return Profile(driver.get('name', title), document,
                   (setting.partition('=')[0] for setting in settings))


def _unknown_variable(variable: str) -> str:
    words = variable.removeprefix(PREFIX).lower().partition('_')
    line = next(iter(schema.problems({words[0]: {words[2]: ''}})))
    *_, near = line.rpartition('do you mean ')
    return f'the variable {variable} sets no key' + (
        f'; do you mean {PREFIX}{near.rstrip("?").replace(".", "_").upper()}?'
        if 'do you mean' in line else '')


def _check(document: Any, source: str) -> None:
    if not isinstance(document, dict):
        raise ProfileError(f'{source}: the profile must be a mapping')
    for problem in schema.problems(
            {key: {} if value is None else value
             for key, value in document.items()}):
        raise ProfileError(f'{source}: {problem}')
    url = (document.get('connect') or {}).get('database_url')
    try:
        password = urllib.parse.urlsplit(url or '').password
    except ValueError:
        raise ProfileError(f'{source}: connect.database_url is not a valid '
                           f'URL') from None
    if password:
        raise ProfileError(
            f'{source}: connect.database_url has a password in it: a secret '
            f'is not written into a profile, name it in '
            f'connect.database_password as {{env: NAME}} or {{file: PATH}}')
