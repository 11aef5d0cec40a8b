# SPDX-License-Identifier: Apache-2.0

"""Skip tests of missing capabilities, by configuration only."""

from collections.abc import Callable
from collections.abc import Iterable
import functools
from typing import Any
import unittest

from tempest import config

from cinder_backup_recovery_tests import connecting

CONF = config.CONF


def skip(capability: str, value: str = 'false') -> unittest.SkipTest:
    """Make the exception of a test that the configuration skips."""
    made = unittest.SkipTest(f'[cinder_backup_recovery_feature_enabled] '
                             f'{capability} is {value}')
    # No class of its own: testtools would add a traceback to such a skip.
    vars(made)['capability'] = capability
    return made


def lacking(exc: BaseException) -> str | None:
    """The capability for whose lack a test was skipped, None for others."""
    return vars(exc).get('capability')


def missing(conf: Any, features: Iterable[str],
            rewrites_content: bool = False) -> unittest.SkipTest | None:
    """Find a capability that tests need and that is missing.

    :param rewrites_content: whether the content of a volume is changed
        after its creation
    :returns: the skip, which names the option to set; None if none is missing
    """
    needed = list(features)
    if rewrites_content and (conf.cinder_backup_recovery.content_access ==
                             connecting.IMAGE):
        needed.append('reimage')
    if not conf.volume_feature_enabled.backup:
        return unittest.SkipTest('[volume_feature_enabled] backup is false')
    for feature in needed:
        if not getattr(conf.cinder_backup_recovery_feature_enabled, feature):
            return skip(feature)
    return None


def needs(*features: str) -> Callable[[Callable[..., Any]],
                                      Callable[..., Any]]:
    """Skip a test where a feature is missing."""
    def decorator(test: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(test)
        def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
            reason = missing(CONF, features)
            if reason:
                raise reason
            return test(self, *args, **kwargs)
        return wrapper
    return decorator
