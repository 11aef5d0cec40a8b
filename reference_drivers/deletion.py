# SPDX-License-Identifier: Apache-2.0

"""Deletes of a chunked driver that take nothing from another backup."""

from collections.abc import Callable
from typing import Any

from oslo_config import cfg
from oslo_log import log as logging

from reference_drivers import children
from reference_drivers import keys
from reference_drivers import options
from reference_drivers.verification import errors
from reference_drivers.verification import layout
from reference_drivers.verification import presence
from reference_drivers.verification import running
from reference_drivers.verification import store as stores

LOG = logging.getLogger(__name__)
CONF = cfg.CONF


class DeletionMixin:
    """In front of a ``ChunkedBackupDriver``."""

    context: Any
    check_access: Callable[[Any], None]
    delete_object: Callable[[str, str], None]
    get_store: Callable[[], stores.Store]

    def delete_backup(self, backup: Any) -> None:
        """Delete a backup's own objects, and nothing else.

        A row that names what cannot be this backup's has nothing to delete
        on the storage: it may go, or it could never be removed.

        :raises Problem: the storage or the key manager does not answer, or
            an incremental backup needs this one; the row stays then, so that
            its objects are not forgotten
        :raises InvalidBackup: its objects are where this request finds none
        """
        self.check_access(backup)
        keys.check_delete(self.context, backup)
        self._delete_objects(backup)
        keys.spare(self.context, backup)

    def _delete_objects(self, backup: Any) -> None:
        container, prefix = backup.container, backup.service_metadata
        if container is None or prefix is None:
            return
        store = self.get_store()
        try:
            names = running.watched(
                CONF[options.GROUP].timeout, f'objects of {backup.id}',
                self._own_objects, store, backup.id, container, prefix)
        except (errors.BadLocation, errors.Foreign) as err:
            LOG.error('Nothing is deleted from the storage for backup '
                      '%(id)s: %(reason)s', {'id': backup.id, 'reason': err})
            return
        if names:
            self._refuse_parent(store, backup, container)
        for name in names:
            running.within(CONF[options.GROUP].timeout, f'object {name}',
                           self.delete_object, container, name)

    @staticmethod
    def _own_objects(watch: running.Watch, store: stores.Store,
                     backup_id: str, container: str, prefix: str
                     ) -> list[str]:
        with watch.asked():
            store.check_available()
            store.check_location(container, prefix, backup_id)
        try:
            names = [one.name for one in
                     watch.answers(store.entries, container, prefix)]
        except errors.Problem:
            raise
        except Exception as err:
            if store.is_missing(err):
                return []
            raise errors.Unreadable(
                f'container {container} cannot be listed: {err}', container,
                backup_id) from err
        metadata = f'{prefix}_metadata'
        # A name that other backups may have, too, proves nothing.
        shared = (prefix == stores.OLD_PREFIX and
                  not container.endswith(f'/{backup_id}'))
        if shared and names and metadata not in names:
            raise errors.Foreign(
                f'object {metadata} is missing, and no other tells whose '
                f'{prefix} in {container} is', metadata, backup_id)
        if metadata in names:
            try:
                with watch.asked():
                    raw = store.read(container, metadata)
                layout.parse_metadata(
                    layout.as_text(raw, metadata, backup_id), prefix,
                    backup_id)
            except errors.WrongContent:
                # Damaged, and else still named by the backup's own id.
                if shared:
                    raise errors.Foreign(
                        f'object {metadata} does not tell whose it is',
                        metadata, backup_id) from None
            except errors.Problem:
                raise
            except Exception as err:
                raise presence.read_error(store, err, metadata,
                                          backup_id) from err
        # Chunks last, so that what was interrupted can be repeated, and the
        # metadata before them: half a backup is no backup.
        return sorted((name for name in names
                       if name[len(prefix):len(prefix) + 1] in ('-', '_')
                       and (prefix != stores.OLD_PREFIX or
                            stores.SUFFIX.fullmatch(name, len(prefix)))),
                      key=lambda name: (not name.endswith('_metadata'), name))

    # Children

    def _refuse_parent(self, store: stores.Store, backup: Any,
                       container: str) -> None:
        """Refuse to delete what an incremental backup needs.

        :raises Needed: naming the child, which may have no row
        """
        rows = children.rows_of_volume(self.context, backup)
        children.refuse_in_rows(rows, backup)
        running.watched(
            CONF[options.GROUP].timeout, f'children of {backup.id}',
            children.refuse_in_store, store, backup.id, backup.volume_id,
            {container, *(row.container for row in rows if row.container and
                          row.service == backup.service)})
