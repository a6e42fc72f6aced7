package server

import (
	"testing"
	"testing/fstest"
)

func TestTheLimitOfACgroupIsTheLeastAboveIt(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string
		want  int
	}{
		"nothing is known": {nil, 0},
		"version 2, in a container": {map[string]string{
			"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "1073741824\n",
		}, 1 << 30},
		"version 2, no limit": {map[string]string{
			"proc/self/cgroup": "0::/system.slice/wsify.service\n", "sys/fs/cgroup/system.slice/wsify.service/memory.max": "max\n",
		}, 0},
		"version 2, the slice has less": {map[string]string{
			"proc/self/cgroup": "0::/a.slice/b.service\n", "sys/fs/cgroup/a.slice/b.service/memory.max": "2000000\n", "sys/fs/cgroup/a.slice/memory.max": "1000000\n",
		}, 1000000},
		"version 1": {map[string]string{
			"proc/self/cgroup":                           "12:cpu,cpuacct:/x\n5:memory:/docker/abc\n0::/docker/abc\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n", "sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes": "3000000\n",
		}, 3000000},
		"version 1, the host's path in a container": {map[string]string{
			"proc/self/cgroup": "5:memory:/docker/abc\n", "sys/fs/cgroup/memory/memory.limit_in_bytes": "4000000\n",
		}, 4000000},
		"version 1, no limit": {map[string]string{
			"proc/self/cgroup": "5:memory:/\n", "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
		}, 0},
	} {
		root := fstest.MapFS{}
		for path, text := range c.files {
			root[path] = &fstest.MapFile{Data: []byte(text)}
		}
		if got := cgroupLimit(root); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}
