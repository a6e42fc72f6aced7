#!/bin/sh
# wsify under tcpkali: CONNECTIONS join one channel, and each broadcasts to it RATE times a
# second. It fails when nothing was delivered: tcpkali itself ends with 0 then, as it reads no
# frames and only counts bytes.
#
# tcpkali is not in Debian 12, and its last release, 1.2.0, does not build there as it is.
# This script is for those who have one: https://github.com/machinezone/tcpkali
set -eu
command -v tcpkali >/dev/null || { echo "fanout.sh: there is no tcpkali on the PATH; Debian 12 has none" >&2; exit 3; }
size=${SIZE:-128}
padding=$(printf '%*s' $((size - 2)) '' | tr ' ' x)
report=$(tcpkali --ws --nagle=off -c "${CONNECTIONS:-50}" --connect-rate "${CONNECT_RATE:-500}" -T "${DURATION:-10s}" -r "${RATE:-1}" \
	-1 '{"command":"join","args":{"channel":"kali"}}' \
	-m "{\"command\":\"broadcast\",\"args\":{\"channel\":\"kali\",\"content\":\"$padding\"}}" \
	"${ADDR:-127.0.0.1:3000}/ws" 2>&1) || { echo "$report"; exit 1; }
echo "$report"
received=$(echo "$report" | sed -n 's/.*Total data received:.*(\([0-9][0-9]*\) bytes).*/\1/p')
deliveries=$((${received:-0} / (size + 2)))
echo "about $deliveries deliveries"
[ "$deliveries" -ge "${CONNECTIONS:-50}" ] || { echo "fanout.sh: nothing was delivered" >&2; exit 1; }
