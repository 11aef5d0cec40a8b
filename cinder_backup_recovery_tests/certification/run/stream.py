# SPDX-License-Identifier: Apache-2.0

"""The stream of a run, as it is kept in the report."""

from collections.abc import Callable
import json
import pathlib
from typing import Any

import subunit
import testtools

from cinder_backup_recovery_tests.certification.verdict import results

_OPEN = (None, 'exists', 'inprogress')
# A packet of subunit is at most 4 MiB.
_PIECE = 1 << 20


class Recorder(testtools.StreamResult):
    """Write what the workers say to a file, without secrets.

    An attachment comes in pieces, and a secret may be cut by them: each is
    written when it is whole.

    :raises OSError: if it cannot be written
    """

    def __init__(self, path: pathlib.Path, clean: Callable[[str], str]):
        super().__init__()
        self._clean = clean
        self._file = open(path, 'wb')  # noqa: SIM115
        self._out = subunit.StreamResultToBytes(self._file)
        self._open: dict[tuple[str | None, str, str | None],
                         tuple[str | None, bytearray]] = {}

    def status(self, test_id: str | None = None,
               test_status: str | None = None, *args: Any,
               file_name: str | None = None,
               file_bytes: bytes | None = None, eof: bool = False,
               mime_type: str | None = None, route_code: str | None = None,
               **kwargs: Any) -> None:
        """Take an event of the stream; see testtools."""
        if file_name is not None:
            key = (test_id, file_name, route_code)
            self._open.setdefault(key, (mime_type, bytearray()))[1].extend(
                file_bytes or b'')
            if eof:
                self._write(key)
            if test_status is None:
                return
        if test_status not in _OPEN:
            for key in [one for one in self._open if one[0] == test_id]:
                self._write(key)
        self._out.status(test_id, test_status, *args, route_code=route_code,
                         **kwargs)

    def _write(self, key: tuple[str | None, str, str | None]) -> None:
        mime_type, content = self._open.pop(key)
        test_id, name, route_code = key
        clean = self._without_secrets(
            content.decode(errors='surrogateescape'), mime_type or '').encode(
                errors='surrogateescape')
        for start in range(0, max(len(clean), 1), _PIECE):
            self._out.status(
                test_id=test_id, file_name=name, mime_type=mime_type,
                file_bytes=clean[start:start + _PIECE],
                eof=start + _PIECE >= len(clean), route_code=route_code)

    def _without_secrets(self, text: str, mime_type: str) -> str:
        # Also in what is not text: nothing that can be read may stay.
        if mime_type.partition(';')[0] != 'application/json':
            return self._clean(text)
        try:
            document = json.loads(text)
        except ValueError:
            # Cut off.
            return self._clean(text)
        return json.dumps(_clean_texts(document, self._clean),
                          ensure_ascii=False)

    def close(self) -> None:
        """Write what has not ended, and close the file."""
        if self._file.closed:
            return
        for key in list(self._open):
            self._write(key)
        self._file.close()

    def result(self, result: results.Result) -> results.Result:
        """The same result without secrets."""
        return clean_result(result, self._clean)


def clean_result(result: results.Result, clean: Callable[[str], str]
                 ) -> results.Result:
    """Take the secrets out of a result."""
    return results.Result.of(_clean_texts(result.as_document(), clean))


def _clean_texts(value: Any, clean: Callable[[str], str]) -> Any:
    """Take the secrets out of all texts of a JSON document.

    One by one: in JSON a secret may be escaped, and a pattern must not take
    the document's own marks for a part of one.
    """
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, list):
        return [_clean_texts(one, clean) for one in value]
    if isinstance(value, dict):
        return {key: _clean_texts(one, clean) for key, one in value.items()}
    return value
