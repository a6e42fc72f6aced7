#!/bin/sh
# Connections that join one channel and are silent. tcpkali answers no pings, so
# DURATION has to be below -ping-interval + -pong-timeout of the server (35s), less
# the time it takes to connect.
set -eu
exec tcpkali --ws -c "${CONNECTIONS:-1000}" --connect-rate "${CONNECT_RATE:-2000}" \
  -T "${DURATION:-10s}" -1 '{"command":"join","args":{"channel":"kali-idle"}}' \
  "${ADDR:-127.0.0.1:3000}/ws"
