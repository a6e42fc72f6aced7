#!/bin/sh
# Boots systemd in namespaces of its own, on an overlay of this machine's files: nothing that it
# or its services write is seen outside. It runs as the first process of
#     unshare --mount --pid --net --cgroup --ipc --uts --fork --kill-child boot.sh DIR
# The files below DIR/add come on top of the machine's.
set -e
dir=$1
mount --make-rprivate /
mkdir "$dir/layers"
mount -t tmpfs tmpfs "$dir/layers"
cd "$dir/layers"
mkdir above work root
mount -t overlay -o lowerdir=/,upperdir=above,workdir=work overlay root
cp -a "$dir/add/." root/
cd root

mount -t proc proc proc
mount --bind proc/sys proc/sys
mount -o remount,bind,ro proc/sys # systemd-sysctl.service has no business with this kernel
mount -t sysfs -o ro sysfs sys
mount -t tmpfs tmpfs sys/fs/cgroup
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=755 tmpfs dev
for device in null zero full random urandom tty; do
	: >"dev/$device"
	mount --bind "/dev/$device" "dev/$device"
done
mkdir dev/shm dev/pts
mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd

mkdir -p old
pivot_root . old
umount -l /old
mount --make-rshared / # as systemd has it: what it mounts for a service is to be seen by that
ip link set lo up
exec setpriv --bounding-set=-sys_module,-sys_time,-sys_rawio env -i container=test PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --system --unit=test.target --show-status=0 --log-target=journal-or-kmsg </dev/null
