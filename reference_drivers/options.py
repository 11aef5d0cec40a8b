# SPDX-License-Identifier: Apache-2.0

"""Options of the reference drivers, in cinder.conf."""

from oslo_config import cfg

GROUP = 'backup_import_verify'

verify_opts = [
    cfg.StrOpt('level',
               default='presence',
               choices=[
                   ('record', 'Only whether the record agrees with itself; '
                    'asks nothing of the storage'),
                   ('presence', 'Also whether everything that a restore '
                    'needs is on the storage, with its parents'),
                   ('content', 'Also whether every byte reads back with its '
                    'checksum; reads the whole backup')],
               help='How far a backup is verified before its import '
                    'succeeds. An import that fails leaves the backup in '
                    'status error with the reason.'),
    cfg.IntOpt('readers',
               default=2, min=1, max=64,
               help='How many chunks are read at the same time at level '
                    'content and by a restore. Each needs memory for one '
                    'chunk where the storage cannot be read in pieces, or '
                    'where the chunk is compressed with zstd and neither '
                    'Python 3.14 nor backports.zstd is there. In Ceph each '
                    'has a block of 4 MiB, and 64 MiB where libipsec-mb '
                    'hashes 16 of these at once.'),
    cfg.FloatOpt('timeout',
                 default=60, min=0.001,
                 help='Seconds that the storage may take for an answer. An '
                      'import then ends in an error; without this limit it '
                      'would wait as long as the storage hangs. What '
                      'cinder-backup stands still itself is not counted.'),
    cfg.IntOpt('part',
               default=1, min=1,
               help='Which of "parts" parts of the chunks is read at level '
                    'content.'),
    cfg.IntOpt('parts',
               default=1, min=1,
               help='Into how many parts the chunks are divided at level '
                    'content. With 1 all are read. With more, imports that '
                    'use each part once read everything once.'),
    cfg.IntOpt('budget',
               min=0,
               help='How many bytes of the volume are read at most at level '
                    'content, spread over the whole. Unset reads all.'),
    cfg.StrOpt('without_driver_info',
               default='refuse',
               choices=[
                   ('refuse', 'End the import in an error'),
                   ('accept', 'Find the backup by its id and verify it, '
                    'where the storage can do that; import it unverified, '
                    'with a warning in the log, where it cannot')],
               help='What to do with a record that says nothing about the '
                    'storage, as those that Cinder\'s own drivers export.'),
    cfg.BoolOpt('verify_on_restore',
                default=True,
                help='Compare what a restore writes with the checksums of '
                     'the backup, and end the restore in an error when they '
                     'differ. Without it wrong bytes may be restored '
                     'unnoticed. It costs no second read.'),
]

backup_opts = [
    cfg.IntOpt('backup_threads',
               default=2, min=1, max=64,
               help='How many chunks of a volume are compressed and hashed '
                    'at the same time when it is backed up. Each needs '
                    'memory for a chunk, twice. On eventlet it is always '
                    'one. Drivers of Ceph have nothing to do with it.'),
    cfg.BoolOpt('read_holes',
                default=False,
                help='Read also the holes of volumes in sparse files and in '
                     'images of RBD when they are backed up. Without it the '
                     'file system or Ceph is believed, which takes a '
                     'fraction of the time. Drivers of Ceph have nothing to '
                     'do with it.'),
    cfg.BoolOpt('store_record',
                default=False,
                help='Write the record of a backup into its metadata on the '
                     'storage, as it is when the backup is made: with its '
                     'owner, its properties and, of an encrypted volume, the '
                     'id of its key. Where database and records are lost, a '
                     'scan finds it. Drivers of Ceph have no such metadata.'),
]

key_opts = [
    cfg.ListOpt('recovery_recipients',
                default=[],
                help='Files with public keys: EC on P-256, P-384 or P-521, in '
                     'PEM. The record of an encrypted volume then has the '
                     'key of the backup, wrapped for each of them, and who '
                     'has one of the private keys can restore it where its '
                     'key manager is lost. They have to be readable by '
                     'cinder-backup, or it exports no record of an encrypted '
                     'volume. Four on P-256 have room in a record. Without '
                     'any, no record has a key.'),
]

ceph_opts = [
    cfg.IntOpt('ceph_digest_limit',
               default=8, min=0,
               help='GiB of data, holes not counted, up to which the export '
                    'of a record from Ceph computes a digest of the '
                    'content. It reads all of it, while the request that '
                    'exports waits (rpc_response_timeout). Nothing is read '
                    'where the row has the digest already: after a full '
                    'copy from a volume outside of Ceph, and after an '
                    'import of a record that had one.'),
    cfg.StrOpt('ceph_without_digest',
               default='accept',
               choices=[
                   ('accept', 'Verify it at level presence, with a warning '
                    'in the log'),
                   ('refuse', 'End the import in an error')],
               help='What to do at level content with a backup in Ceph of '
                    'which neither record nor row has a digest of the '
                    'content. It can be good, and nothing can prove it.'),
]

s3_opts = [
    cfg.StrOpt('s3_request_checksums',
               default='when_required',
               choices=[
                   ('when_required', 'Only with requests that the API wants '
                    'one of'),
                   ('when_supported', 'With every request that may have '
                    'one, as boto3 does by default since 1.36')],
               help='When the S3 driver sends a checksum of boto3\'s choice '
                    'with a request. Many servers of S3 other than Amazon\'s '
                    'refuse it. Cinder\'s own, backup_s3_md5_validation, is '
                    'sent in any case.'),
]


def _all() -> list[cfg.Opt]:
    return verify_opts + backup_opts + key_opts + ceph_opts + s3_opts


def register(conf: cfg.ConfigOpts) -> None:
    """Register the options."""
    conf.register_opts(_all(), group=GROUP)


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """The options, for oslo-config-generator."""
    return [(GROUP, _all())]
