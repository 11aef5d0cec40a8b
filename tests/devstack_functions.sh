#!/bin/bash
#
# SPDX-License-Identifier: Apache-2.0
#
# DevStack's scripts as far as a plugin sees them, in a directory of a test:
# devstack_functions.sh stack|unstack|clean. With DEVSTACK_DIR its real
# functions and its real lib/cinder are used, and only what would touch the
# machine is replaced. Without it there are stand-ins for all.
#
# DevStack reads most of these variables, and its files are elsewhere.
# shellcheck disable=SC1090,SC1091,SC2034

set -o errexit -o pipefail

: "${SANDBOX:?}" "${PLUGIN_DIR:?}"

# What has happened to the machine, a line each.
function note {
    echo "$*" >> "$SANDBOX/actions"
}

declare -A -g PROJECT_VENV
DEST=$SANDBOX
DATA_DIR=$SANDBOX/data
STACK_USER=$(id -un)
HOST_IP=127.0.0.1
SERVICE_HOST=127.0.0.1
REGION_NAME=RegionOne
REQUIREMENTS_DIR=$SANDBOX/requirements
ENABLED_SERVICES=${ENABLED_SERVICES:-c-api,c-sch,c-vol,c-bak,s-proxy,tempest,mysql,key}
DEVSTACK_PLUGINS=${DEVSTACK_PLUGINS:-cinder-backup-recovery-tests}
DATABASE_TYPE=mysql
CINDER_BRANCH=${CINDER_BRANCH:-master}
SWIFT_DEFAULT_BIND_PORT=${SWIFT_DEFAULT_BIND_PORT:-8080}
TEMPEST_DIR=$SANDBOX/tempest
TEMPEST_CONFIG=$SANDBOX/tempest/etc/tempest.conf

if [[ -n "${DEVSTACK_DIR:-}" ]]; then
    set +o errexit
    TOP_DIR=$DEVSTACK_DIR
    declare -A -g GITREPO GITBRANCH GITDIR
    source "$TOP_DIR/functions-common"
    source "$TOP_DIR/inc/ini-config"
    source "$TOP_DIR/inc/python"
    GLOBAL_VENV=True
    DEVSTACK_VENV=$DATA_DIR/venv
    CINDER_ENABLED_BACKENDS=${CINDER_ENABLED_BACKENDS:-fake:fake}
    SERVICE_PROTOCOL=http
    SERVICE_LISTEN_ADDRESS=127.0.0.1
    SYSLOG=False
    ENABLE_DEBUG_LOG_LEVEL=False
    SERVICE_GRACEFUL_SHUTDOWN_TIMEOUT=5
    source "$TOP_DIR/lib/database" || true
    source "$TOP_DIR/lib/databases/mysql"
    BASE_SQL_CONN=mysql+pymysql://root:secret@127.0.0.1
    MYSQL_GATHER_PERFORMANCE=True
    SWIFT_SERVICE_PROTOCOL=http
    source "$TOP_DIR/lib/cinder"
    CINDER_CONF_DIR=$SANDBOX/etc-cinder
    CINDER_CONF=$CINDER_CONF_DIR/cinder.conf
    CINDER_API_PASTE_INI=$CINDER_CONF_DIR/api-paste.ini
    CINDER_UWSGI_CONF=$CINDER_CONF_DIR/uwsgi.ini
    CINDER_BIN_DIR=$SANDBOX/bin
    mkdir -p "$CINDER_DIR/etc/cinder"
    touch "$CINDER_DIR/etc/cinder/api-paste.ini"
    for name in configure_rootwrap configure_keystone_authtoken_middleware \
        iniset_rpc_backend setup_logging write_uwsgi_config \
        configure_keystoneauth recreate_database stop_process \
        remove_uwsgi_config time_start time_stop; do
        eval "function $name { :; }"
    done
    function openssl { echo 0123456789abcdef0123456789abcdef; }
    set -o errexit
else
    CINDER_BACKUPS=$SANDBOX/lib/cinder_backups
    CINDER_CONF=$SANDBOX/etc-cinder/cinder.conf

    function die {
        local line=$1
        shift
        echo "[ERROR] ${BASH_SOURCE[1]}:$line $*" >&2
        exit 1
    }

    function define_plugin { :; }

    function is_plugin_enabled {
        [[ ",$DEVSTACK_PLUGINS," == *",$1,"* ]]
    }

    function is_service_enabled {
        local one
        for one in "$@"; do
            [[ ",$ENABLED_SERVICES," == *",$one,"* ]] && return 0
        done
        return 1
    }

    # iniset FILE SECTION OPTION VALUE
    function iniset {
        touch "$1"
        RECOVERY_VALUE=$4 awk -v section="[$2]" -v option="$3" '
            function put() { print option " = " ENVIRON["RECOVERY_VALUE"]; done = 1 }
            /^\[/ { if (inside && !done) put(); inside = ($0 == section) }
            inside && !done && $1 == option { put(); next }
            { print }
            END { if (!done) { if (!inside) print section; put() } }
        ' "$1" > "$1.new"
        mv "$1.new" "$1"
    }

    function database_connection_url {
        echo "mysql+pymysql://root:secret@127.0.0.1/$1?charset=utf8&plugin=dbcounter"
    }

    function get_python_exec_prefix { echo "$DATA_DIR/venv/bin"; }

    function configure_cinder {
        mkdir -p "$(dirname "$CINDER_CONF")"
        rm -f "$CINDER_CONF"
        iniset "$CINDER_CONF" database connection "$(database_connection_url cinder)"
        if is_service_enabled c-bak; then
            if type "configure_cinder_backup_$CINDER_BACKUP_DRIVER" >/dev/null 2>&1; then
                "configure_cinder_backup_$CINDER_BACKUP_DRIVER"
            else
                die $LINENO "there is no configure_cinder_backup_$CINDER_BACKUP_DRIVER"
            fi
        fi
    }

    function init_cinder {
        if is_service_enabled c-bak && type "init_cinder_backup_$CINDER_BACKUP_DRIVER" >/dev/null 2>&1; then
            "init_cinder_backup_$CINDER_BACKUP_DRIVER"
        fi
    }

    function cleanup_cinder {
        if is_service_enabled c-bak && type "cleanup_cinder_backup_$CINDER_BACKUP_DRIVER" >/dev/null 2>&1; then
            "cleanup_cinder_backup_$CINDER_BACKUP_DRIVER"
        fi
    }

    # As lib/cinder does, before any plugin is asked.
    if [[ -z "${CINDER_BACKUP_DRIVER:-}" && "${CINDER_ENABLED_BACKENDS:-}" == *ceph* ]]; then
        CINDER_BACKUP_DRIVER=ceph
    fi
    CINDER_BACKUP_DRIVER=${CINDER_BACKUP_DRIVER:-swift}
    if is_service_enabled c-bak; then
        if [[ -r "$CINDER_BACKUPS/$CINDER_BACKUP_DRIVER" ]]; then
            source "$CINDER_BACKUPS/$CINDER_BACKUP_DRIVER"
        else
            die $LINENO "there is no library of the backup driver $CINDER_BACKUP_DRIVER"
        fi
    fi
fi

# What would change the machine.
function is_ubuntu {
    [[ "${DISTRIBUTION:-ubuntu}" == ubuntu ]]
}

function install_package {
    note install_package "$@"
}

function start_service {
    note start_service "$@"
}

function pip_install {
    note pip_install "$@" "into ${PIP_VIRTUAL_ENV:-the global one}"
}

function echo_summary {
    echo "$*"
}

if [[ "$DEVSTACK_PLUGINS" == *devstack-plugin-ceph* ]]; then
    CEPH_CONF_DIR=$SANDBOX/ceph
    CEPH_CONF_FILE=$CEPH_CONF_DIR/ceph.conf
    CINDER_CEPH_USER=cinder
    CINDER_BAK_CEPH_USER=cinder-bak
    CINDER_BAK_CEPH_POOL=backups
fi

# As DevStack does it: settings, then the phases, each in this shell.
source "$PLUGIN_DIR/devstack/settings"

function phase {
    source "$PLUGIN_DIR/devstack/plugin.sh" "$@"
}

case "$1" in
    stack)
        phase stack pre-install
        configure_cinder
        phase stack install
        init_cinder
        phase stack post-config
        phase stack extra
        # It is made anew each time.
        mkdir -p "$(dirname "$TEMPEST_CONFIG")"
        rm -f "$TEMPEST_CONFIG"
        iniset "$TEMPEST_CONFIG" volume max_microversion latest
        note tempest plugins "$TEMPEST_PLUGINS"
        phase stack test-config
        ;;
    unstack)
        phase unstack
        cleanup_cinder || true
        ;;
    clean)
        phase unstack
        cleanup_cinder || true
        phase clean
        cleanup_cinder || true
        ;;
esac
