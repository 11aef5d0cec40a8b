# shellcheck shell=bash
#
# SPDX-License-Identifier: Apache-2.0

# Export and import the records of backups with the cinder client, in bash.
# Each line of a file of records is one backup:
#     id, id of its project, driver, record

# field NAME: the value of that name in a table of the client's
field() {
    awk -F'|' -v name="$1" '
        { gsub(/^ +| +$/, "", $2); gsub(/^ +| +$/, "", $3) }
        $2 == name { print $3 }'
}

# wait_for COMMAND ID: until it is available, half an hour at most
wait_for() {
    local status end
    end=$((SECONDS + 1800))
    while [ "$SECONDS" -lt "$end" ]; do
        status=$(cinder "$1" "$2" | field status)
        case $status in
            available) return 0 ;;
            error*|'')
                echo "$2: $(cinder "$1" "$2" | field fail_reason)" >&2
                return 1 ;;
        esac
        sleep 1
    done
    echo "$2 is $status for half an hour" >&2
    return 1
}

# export_records FILE: the backups of all projects, a parent before its
# children. FILE is there only if every record is in it.
export_records() (
    set -o pipefail
    umask 077
    if [ -e "$1" ]; then
        echo "$1 is there, and would be lost" >&2
        exit 1
    fi
    cinder backup-list --all-tenants --sort created_at:asc |
        awk -F'|' '$2 ~ /-/ { print $2, $4 }' |
        while read -r id status; do
            if [ "$status" != available ]; then
                echo "$id is $status, and left out" >&2
                continue
            fi
            table=$(cinder backup-export "$id") || exit 1
            record=$(field backup_url <<< "$table")
            # All of it is JSON in base64; a quote in a name has a \ there.
            project=$(base64 -d <<< "$record" |
                grep -o '"project_id": "[^"]*"' | cut -d '"' -f 4) || exit 1
            echo "$id $project $(field backup_service <<< "$table") $record"
        done > "$1.new" &&
        sync "$1.new" && mv "$1.new" "$1" &&
        echo "$(wc -l < "$1") records are in $1"
)

# import_records FILE: each into the project that it was made in
import_records() {
    local id project driver record result=0
    while read -r id project driver record; do
        if cinder backup-show "$id" > /dev/null 2>&1; then
            echo "$id is there already"
        elif cinder --os-project-id "$project" \
                backup-import "$driver" "$record" > /dev/null &&
                wait_for backup-show "$id"; then
            echo "$id is imported"
        else
            echo "$id is not imported" >&2
            result=1
        fi
    done < "$1"
    return "$result"
}
