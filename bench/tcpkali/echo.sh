#!/bin/sh
# Each connection joins a channel of its own and broadcasts to it, RATE times a second.
# SIZE is the bytes of content, a JSON string; t0ka1i in it is what tcpkali times.
# \{connection.uid} is the number of the connection. Without --nagle=off, Nagle's
# algorithm holds messages back.
set -eu
padding=$(printf '%*s' $((${SIZE:-128} - 8)) '' | tr ' ' x)
channel='kali-\{connection.uid}'
exec tcpkali --ws --nagle=off -c "${CONNECTIONS:-50}" --connect-rate "${CONNECT_RATE:-500}" \
  -T "${DURATION:-10s}" -r "${RATE:-10}" \
  -1 "{\"command\":\"join\",\"args\":{\"channel\":\"$channel\"}}" \
  -m "{\"command\":\"broadcast\",\"args\":{\"channel\":\"$channel\",\"content\":\"t0ka1i$padding\"}}" \
  --latency-marker t0ka1i --latency-percentiles 50,99,99.9,100 \
  "${ADDR:-127.0.0.1:3000}/ws"
