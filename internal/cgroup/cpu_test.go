package cgroup

import (
	"testing"
	"testing/fstest"
)

func TestTheProcessorsOfACgroupAreTheLeastAboveIt(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string
		want  float64
	}{
		"nothing is known":          {nil, 0},
		"version 2, in a container": {map[string]string{"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "150000 100000\n"}, 1.5},
		"version 2, no quota":       {map[string]string{"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "max 100000\n"}, 0},
		"version 2, the slice has less": {map[string]string{
			"proc/self/cgroup": "0::/a.slice/b.service\n", "sys/fs/cgroup/a.slice/b.service/cpu.max": "400000 100000\n", "sys/fs/cgroup/a.slice/cpu.max": "50000 100000\n",
		}, 0.5},
		"version 2, not in a form that is known": {map[string]string{"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "100000\n"}, 0},
		"version 1": {map[string]string{
			"proc/self/cgroup": "5:cpu,cpuacct:/docker/abc\n0::/docker/abc\n",
			"sys/fs/cgroup/cpu/docker/abc/cpu.cfs_quota_us":    "200000\n",
			"sys/fs/cgroup/cpu/docker/abc/cpu.cfs_period_us":   "100000\n",
			"sys/fs/cgroup/cpuset/docker/abc/cpu.cfs_quota_us": "1\n",
		}, 2},
		"version 1, no quota": {map[string]string{
			"proc/self/cgroup": "5:cpu:/\n4:cpuset:/\n", "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n", "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
		}, 0},
		"version 1, no period": {map[string]string{"proc/self/cgroup": "5:cpu:/\n", "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "1000\n"}, 0},
	} {
		root := fstest.MapFS{}
		for path, text := range c.files {
			root[path] = &fstest.MapFile{Data: []byte(text)}
		}
		if got := ReadCPU(root); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}
