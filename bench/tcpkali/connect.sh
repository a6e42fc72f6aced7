#!/bin/sh
# Connections that upgrade, live for LIFETIME and are replaced, CONNECT_RATE a second at most.
# CONNECTIONS has to be below CONNECT_RATE x LIFETIME, or there are never so many at once,
# which tcpkali calls a failure. Handshakes a second: CONNECTIONS / LIFETIME.
set -eu
exec tcpkali --ws -c "${CONNECTIONS:-150}" --connect-rate "${CONNECT_RATE:-200}" \
  --channel-lifetime "${LIFETIME:-1s}" -T "${DURATION:-10s}" \
  --latency-connect --latency-first-byte --latency-percentiles 50,99,99.9,100 \
  "${ADDR:-127.0.0.1:3000}/ws"
