# SPDX-License-Identifier: Apache-2.0

"""Take secrets out of what is published, and the paths of this machine.

Two ways, of which each finds what the other one does not: values that the
configuration says are secret are taken out wherever they show, and whatever
follows a name such as ``password`` is taken out whether it is known or not.

Directories of this machine become short names, which are the same on every
machine: ``<home>``, ``<checkout>``, ``site-packages``.
"""

import base64
from collections.abc import Mapping
import html
import json
import os
import pathlib
import re
import sys
import sysconfig
from typing import Any
from urllib import parse

#: What stands in the place of a secret.
MARK = '***'

# A record, in base64 as Cinder and Tempest log it, and what a wrapped key
# begins with there: the rest is left out.
_RECORD = re.compile(r'\bey[A-Za-z0-9+/]{200,}={0,2}')
_WRAPPED = b'"wrapped"'

# Of any virtualenv, for example that of the services, whose logs name it.
_PACKAGES = re.compile(
    r'(?<![\w+=.~-])/+(?:[^\s/:;,"\'<>|()]+/)+(?P<name>(?:site|dist)-packages)'
    r'(?![\w-])')

# Shorter ones would take half of the words out of a report. They are still
# taken out where a name or a URL says what they are.
_SHORTEST = 4
# Whole words only: what is longer is hardly part of anything else.
_SHORT = 8
_NO_SECRETS = {'true', 'false', 'none', 'null'}

_WORDS = (r'pass(?:word|wd|phrase)?|pw|secret|token|credentials?|psk|'
          # Of a wrapped key.
          r'ciphertext|encrypted_key|'
          r'(?:secret|access|private|api|account|encryption|hmac|auth|user|'
          r'admin|fixed|shared|storage|s3)[_.-]?keys?(?:[_.-]?id)?|apikey')
# The end of an option's name. A secret that is named after a file is a path.
_NAME = re.compile(
    rf'(?:^|[^a-z0-9])(?:{_WORDS}|key|hash_path_(?:prefix|suffix))$|'
    r'(?-i:[a-z](?:Pass|Password|Secret|Token|Key))$', re.I)
# All of these begin with something that is rare in a text, and look back at
# what is before it: a record of a mebibyte is one word.
_URL = re.compile(r'(?P<before>://[^\s:/@?#]*:)(?P<secret>[^\s/]+)(?=@)')
_IN_TEXT = (
    (_URL, rf'\g<before>{MARK}'),
    (re.compile(
        rf'(?P<before>(?<![a-z0-9])(?:{_WORDS})'
        r'[\'"]?[ \t]*[=:][ \t]*[bu]?)'
        r'(?:"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'|[^\s"\',;&}\])]+)',
        re.I), rf'\g<before>{MARK}'),
    (re.compile(r'(?P<before>authorization[\'"]?[ \t]*[:=][ \t]*[\'"]?)'
                r'[^\'"\n]+', re.I), rf'\g<before>{MARK}'),
    # A token of Keystone's, wherever it may have got to.
    (re.compile(r'\bgAAAA[\w-]{40,}=*'), MARK),
    (re.compile(r'-----BEGIN [A-Z ]*PRIVATE KEY-----.*?'
                r'(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)', re.S), MARK),
)


def is_secret(name: str) -> bool:
    """Return True if an option of this name holds a secret."""
    return bool(_NAME.search(name))


def _without_wrap(found: re.Match[str]) -> str:
    """A record without the rest from a wrapped key on, which may be cut."""
    text = found[0].rstrip('=')
    decoded = base64.b64decode(text[:len(text) // 4 * 4])
    at = decoded.find(_WRAPPED)
    return found[0] if at < 0 else f'{text[:at // 3 * 4]}{MARK}'


class Redactor:
    """Take secrets out of texts, and learn which ones there are."""

    def __init__(self) -> None:
        self._values: set[str] = set()
        self._pattern: re.Pattern | None = None
        self._names: dict[str, str] = {}
        self._paths: re.Pattern | None = None

    def learn(self, value: Any) -> None:
        """Take a value out of all that follows.

        :param value: the secret; what is too short to be taken for one
            everywhere is left alone
        """
        text = str(value).strip()
        if (len(text) < _SHORTEST or text.lower() in _NO_SECRETS or
                set(text) <= set(MARK)):
            return
        # As it looks where others have quoted it.
        self._values.update({
            text, parse.quote(text), parse.quote(text, safe=''),
            parse.quote_plus(text), json.dumps(text)[1:-1],
            repr(text)[1:-1], html.escape(text),
            html.escape(text, quote=False)})
        self._pattern = None

    def learn_variables(self, variables: Mapping[str, str]) -> None:
        """Learn the secrets of an environment or of a section of options."""
        for name, value in variables.items():
            if is_secret(name):
                self.learn(value)
            for found in _URL.finditer(str(value)):
                self.learn(found['secret'])
                self.learn(parse.unquote(found['secret']))

    def shorten(self, names: Mapping[str | os.PathLike[str], str]) -> None:
        """Give directories short names in all that follows.

        :param names: by the directories' paths; of two names of one path the
            first one stays
        """
        for directory, name in names.items():
            path = os.path.abspath(directory)
            for one in (path, os.path.realpath(path)):
                if one != os.sep:
                    self._names.setdefault(one, name)
                    self._names.setdefault(parse.quote(one, safe=''), name)
        self._paths = re.compile('|'.join(
            # What is short may be the end of another path.
            (r'(?<![\w.~-])' if path.count(os.sep) == 1 else '') +
            re.escape(path) + r'(?![\w-]|\.\w)'
            for path in sorted(self._names, key=len, reverse=True)))

    def __call__(self, text: str) -> str:
        """The same text without secrets and without paths of this machine."""
        text = self.secrets(text)
        # Most lines of a log have no path; a pattern is slow to find that out.
        if self._paths and any(map(text.__contains__, self._names)):
            text = self._paths.sub(lambda found: self._names[found[0]], text)
        if self._paths and '-packages' in text:
            text = _PACKAGES.sub(r'\g<name>', text)
        return text

    def secrets(self, text: str) -> str:
        """The same text without secrets, for people at this machine."""
        if self._values:
            if self._pattern is None:
                self._pattern = re.compile('|'.join(
                    rf'(?<!\w){re.escape(value)}(?!\w)'
                    if len(value) < _SHORT else re.escape(value)
                    for value in sorted(self._values, key=len,
                                        reverse=True)))
            text = self._pattern.sub(MARK, text)
        text = _RECORD.sub(_without_wrap, text)
        for pattern, instead in _IN_TEXT:
            text = pattern.sub(instead, text)
        return text

    def mapping(self, document: Any, name: str = '') -> Any:
        """Learn the secrets of nested options, and leave them out.

        :param document: mappings, lists and values, as YAML or JSON has them
        :param name: the name of the option whose value it is
        """
        if isinstance(document, Mapping):
            return {str(key): self.mapping(value, str(key))
                    for key, value in document.items()}
        if isinstance(document, list | tuple):
            return [self.mapping(value, name) for value in document]
        if document is None or isinstance(document, bool):
            return document
        self.learn_variables({name: str(document)})
        shown = self._shown(name, str(document))
        return shown if shown != str(document) else document

    def ini(self, text: str) -> dict[str, dict[str, str]]:
        """The same for a file of oslo.config's.

        :returns: values by section and option; those of an option that is
            there twice are on lines of their own
        """
        sections: dict[str, dict[str, str]] = {}
        current: dict[str, str] = sections.setdefault('DEFAULT', {})
        option = ''
        for line in text.splitlines():
            if not line.strip() or line.lstrip()[0] in '#;':
                continue
            if line[0].isspace() and option:
                current[option] += '\n' + line.strip()
            elif line.strip().startswith('['):
                current = sections.setdefault(line.strip().strip('[]'), {})
                option = ''
            else:
                option, _, value = (word.strip() for word in
                                    re.split('([=:])', line, maxsplit=1)
                                    ) if re.search('[=:]', line) else (
                    line.strip(), '', '')
                current[option] = (f'{current[option]}\n{value}'
                                   if option in current else value)
        # First all of them: one section's secret may show in another one.
        for options in sections.values():
            self.learn_variables(options)
            for name, value in options.items():
                if is_secret(name):
                    for one in value.splitlines():
                        self.learn(one)
        return {section: {name: self._shown(name, value)
                          for name, value in options.items()}
                for section, options in sections.items() if options}

    def _shown(self, name: str, value: str) -> str:
        # A switch is none, whatever its name is.
        if is_secret(name) and value.lower() not in _NO_SECRETS | {''}:
            return MARK
        return self(value)


def places() -> dict[str | os.PathLike[str], str]:
    """Name the directories that paths on this machine begin with."""
    names: dict[str | os.PathLike[str], str] = {
        sysconfig.get_path(kind): 'site-packages'
        for kind in ('purelib', 'platlib')}
    if sys.prefix != sys.base_prefix:
        names[sys.prefix] = '<virtualenv>'
    # Installed, it is in site-packages.
    names.setdefault(pathlib.Path(__file__).parents[3], '<checkout>')
    names.setdefault(pathlib.Path.cwd(), '<cwd>')
    names.setdefault(pathlib.Path.home(), '<home>')
    return names


def of_environment() -> Redactor:
    """Make a redactor of the secrets in this process's environment."""
    redactor = Redactor()
    redactor.learn_variables(os.environ)
    return redactor
