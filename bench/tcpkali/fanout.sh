#!/bin/sh
# All connections join one channel and each broadcasts to it, RATE times a second:
# CONNECTIONS x CONNECTIONS x RATE deliveries a second. SIZE is the bytes of content.
# No --latency-marker: tcpkali pairs what one connection hears with what it sent itself,
# and ends with an error when it hears more.
set -eu
padding=$(printf '%*s' $((${SIZE:-128} - 2)) '' | tr ' ' x)
exec tcpkali --ws --nagle=off -c "${CONNECTIONS:-50}" --connect-rate "${CONNECT_RATE:-500}" \
  -T "${DURATION:-10s}" -r "${RATE:-1}" \
  -1 '{"command":"join","args":{"channel":"kali-fanout"}}' \
  -m "{\"command\":\"broadcast\",\"args\":{\"channel\":\"kali-fanout\",\"content\":\"$padding\"}}" \
  "${ADDR:-127.0.0.1:3000}/ws"
