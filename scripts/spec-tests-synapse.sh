#!/bin/sh
# Runs the black-box tests against Synapse on loopback. Synapse comes from PyPI into .venv/synapse (needs python3 with
# venv), or is used from $SYNAPSE_VENV. What Synapse is known to do otherwise than the specification says is in
# docs/interop.md; the tests of that may fail, and any other failure ends this with 1. `--serve` only starts it, prints
# the variables that the tests need, and waits.
set -eu
cd "$(dirname "$0")/.."
. scripts/install.sh

version=${SYNAPSE_VERSION:-1.163.2}
venv=${SYNAPSE_VENV:-.venv/synapse}
free_port='const probe = net.createServer().listen(0, "127.0.0.1", () => probe.close(console.log(probe.address().port)))'
port=${SYNAPSE_PORT:-$(node -e "$free_port")}
secret=spec-tests

installed() {
  "$venv/bin/python" -c 'import importlib.metadata as m; print(m.version("matrix-synapse"))' 2>/dev/null || :
}
if [ -z "${SYNAPSE_VENV-}" ] && [ "$(installed)" != "$version" ]; then
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet "matrix-synapse==$version"
fi

data=$(mktemp -d)
pid=
end() {
  [ -z "$pid" ] || kill "$pid" 2>/dev/null || :
  [ -z "$pid" ] || wait "$pid" 2>/dev/null || :
  rm -rf "$data"
}
trap end EXIT
trap 'exit 130' INT TERM

cat > "$data/homeserver.yaml" <<YAML
server_name: localhost
public_baseurl: http://127.0.0.1:$port/
serve_server_wellknown: true
report_stats: false
pid_file: $data/pid
signing_key_path: $data/signing.key
media_store_path: $data/media
log_config: $data/log.yaml
listeners:
  - { port: $port, bind_addresses: [127.0.0.1], type: http, tls: false, resources: [{ names: [client, federation, keys] }] }
database: { name: sqlite3, args: { database: $data/homeserver.db } }
registration_shared_secret: $secret
enable_registration: true
enable_registration_without_verification: true
allow_guest_access: true
allow_public_rooms_without_auth: true
room_list_publication_rules: [{ action: allow }]
enable_set_displayname: true
macaroon_secret_key: $secret
trusted_key_servers: []
suppress_key_server_warning: true
presence: { enabled: true }
experimental_features: { msc3814_enabled: true, msc4155_enabled: true, msc4222_enabled: true, msc4306_enabled: true }
max_event_delay_duration: 24h
server_notices: { system_mxid_localpart: notices, system_mxid_display_name: Notices, room_name: Notices, auto_join: false }
# Counts are read by repeated first syncs, which Synapse would otherwise answer from a cache for two minutes.
caches: { sync_response_cache_duration: 0s }
login_via_existing_session: { enabled: true, require_ui_auth: true, token_timeout: 2m }
refreshable_access_token_lifetime: 10m
url_preview_enabled: false
rc_message: &off { per_second: 100000, burst_count: 100000 }
rc_registration: *off
rc_registration_token_validity: *off
rc_login: { address: *off, account: *off, failed_attempts: *off }
rc_admin_redaction: *off
rc_joins: { local: *off, remote: *off }
rc_joins_per_room: *off
rc_3pid_validation: *off
rc_invites: { per_room: *off, per_user: *off, per_issuer: *off }
rc_room_creation: *off
rc_presence: { per_user: *off }
rc_reports: *off
rc_delayed_event_mgmt: *off
rc_user_directory: *off
YAML
cat > "$data/log.yaml" <<YAML
version: 1
formatters: { plain: { format: '%(asctime)s %(levelname)s %(name)s %(message)s' } }
handlers: { file: { class: logging.FileHandler, filename: $data/log, formatter: plain } }
root: { level: WARNING, handlers: [file] }
YAML

"$venv/bin/python" -m synapse.app.homeserver --config-path "$data/homeserver.yaml" --generate-keys
"$venv/bin/python" -m synapse.app.homeserver --config-path "$data/homeserver.yaml" >"$data/out" 2>&1 &
pid=$!
url=http://127.0.0.1:$port
tries=0
until node -e "fetch('$url/health').then((a) => process.exit(a.ok ? 0 : 1), () => process.exit(1))"; do
  tries=$((tries + 1))
  if [ "$tries" -gt 120 ] || ! kill -0 "$pid" 2>/dev/null; then
    echo 'Synapse did not become ready:' >&2
    cat "$data/out" "$data/log" >&2
    exit 1
  fi
  sleep 0.5
done

export HS_URL="$url" HS_SERVER_NAME=localhost HS_SHARED_SECRET="$secret" HS_IMPLEMENTATION=synapse
if [ "${1-}" = --serve ]; then
  echo "HS_URL=$url HS_SERVER_NAME=localhost HS_SHARED_SECRET=$secret HS_IMPLEMENTATION=synapse"
  wait "$pid"
  exit
fi
echo "matrix-synapse $(installed)"
node scripts/test.mjs types black-box
