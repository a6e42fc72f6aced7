#!/bin/busybox sh
# The first process of the guest: it lifts the kernel's limits, runs the command
# line in /command (an argument a line), sends the record to the second serial port,
# and switches the guest off.
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
exec </dev/null >/dev/console 2>&1
stty -F /dev/ttyS0 -onlcr

setting() { [ -w "/proc/sys/$1" ] && echo "$2" >"/proc/sys/$1"; }
setting fs/file-max 5000000
setting fs/nr_open 3100000
setting vm/overcommit_memory 1
setting kernel/hung_task_timeout_secs 0
setting net/core/somaxconn 65535
# The loopback drops what is beyond its queue, and a dropped segment costs seconds.
setting net/core/netdev_max_backlog 4000000
setting net/core/netdev_budget 3000
setting net/core/netdev_budget_usecs 50000
setting net/ipv4/tcp_max_syn_backlog 65535
setting net/ipv4/tcp_max_orphans 2000000
setting net/ipv4/tcp_mem "1500000 2000000 2500000"
ulimit -Hn 3000000
ulimit -n 3000000
ip link set lo up

echo "guest: Linux $(uname -r), $(nproc) processors, $(awk '/MemTotal/ {print int($2 / 1024)}' /proc/meminfo) MiB, up after $(cut -d' ' -f1 /proc/uptime) s," \
	"clock $(cat /sys/devices/system/clocksource/clocksource0/current_clocksource)"
set --
while read -r argument; do set -- "$@" "$argument"; done </command
set -o pipefail
"$@" 2>&1 | cat # no terminal: a line for each step
code=$?
if [ -s /record.json ]; then
	stty -F /dev/ttyS1 raw -echo
	cat /record.json >/dev/ttyS1
fi
echo "guest: exit $code"
poweroff -f
