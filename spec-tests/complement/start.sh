#!/bin/sh
# Starts Runnel in Complement's image. Runs at every start of the container: what it makes once, it keeps.
set -eu
data=/data
mkdir -p "$data"
export RUNNEL_SERVER_NAME="$SERVER_NAME" RUNNEL_DATA="$data" RUNNEL_LISTEN=0.0.0.0:8008
# Federation's port has a certificate signed by Complement's authority, made at the first start.
if [ ! -e "$data/tls.crt" ]; then
  openssl req -newkey rsa:2048 -nodes -subj "/CN=$SERVER_NAME" -keyout "$data/tls.key" -out "$data/tls.csr" 2>/dev/null
  printf 'subjectAltName=DNS:%s\n' "$SERVER_NAME" >"$data/tls.ext"
  openssl x509 -req -in "$data/tls.csr" -CA /complement/ca/ca.crt -CAkey /complement/ca/ca.key -set_serial 1 -days 30 \
    -extfile "$data/tls.ext" -out "$data/tls.crt" 2>/dev/null
fi
export RUNNEL_TLS_LISTEN=0.0.0.0:8448 RUNNEL_TLS_CERTIFICATE="$data/tls.crt" RUNNEL_TLS_KEY="$data/tls.key"
# The other servers are in networks of Docker, with certificates by Complement's authority.
export RUNNEL_FEDERATION=on RUNNEL_FEDERATION_CA=/complement/ca/ca.crt
export RUNNEL_FEDERATION_ALLOW=10.0.0.0/8,172.16.0.0/12,192.168.0.0/16
# Complement registers users without tokens, and makes administrators by the shared secret "complement".
export RUNNEL_REGISTRATION=open RUNNEL_REGISTRATION_SHARED_SECRET=complement RUNNEL_GUESTS=on
# Its tests send faster than people do.
export RUNNEL_RATE_LIMITS=off
# Six of its groups name the creator in `users` of the power levels, which version 12 forbids.
export RUNNEL_DEFAULT_ROOM_VERSION=11
# Its media tests read the paths without authentication, which are frozen by default.
export RUNNEL_LEGACY_MEDIA=on
# Its preview test serves a page from the machine that runs it, which has an address of a private network.
export RUNNEL_URL_PREVIEWS=on RUNNEL_URL_PREVIEW_ALLOW=10.0.0.0/8,172.16.0.0/12,192.168.0.0/16
export RUNNEL_LOG=info
exec runnel serve
