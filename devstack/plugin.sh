#!/bin/bash
#
# SPDX-License-Identifier: Apache-2.0
#
# What DevStack calls: plugin.sh MODE PHASE. The configuration of Cinder is
# not here: lib/cinder calls the functions of lib/cinder_backups for it.

if [[ "$1" == stack && "$2" == pre-install ]]; then
    check_backup_recovery_settings
    if [[ "$BACKUP_RECOVERY_DRIVER" == nfs ]] && is_service_enabled c-bak; then
        echo_summary "Preparing NFS for backups"
        install_backup_recovery_nfs
    fi
elif [[ "$1" == stack && "$2" == install ]]; then
    if [[ "$BACKUP_RECOVERY_DRIVER" != in-tree ]] && is_service_enabled c-bak; then
        echo_summary "Installing the reference backup drivers"
        install_backup_recovery_drivers
    fi
elif [[ "$1" == stack && "$2" == test-config ]]; then
    if is_service_enabled tempest; then
        echo_summary "Configuring the backup recovery tests"
        configure_backup_recovery_tempest
    fi
elif [[ "$1" == unstack ]]; then
    # What is mounted is in use until Cinder is stopped; DevStack calls
    # cleanup_cinder_backup_recovery_* after that.
    :
elif [[ "$1" == clean ]]; then
    if [[ "$BACKUP_RECOVERY_DRIVER" == nfs ]]; then
        cleanup_cinder_backup_recovery_nfs
    fi
    clean_backup_recovery
fi
