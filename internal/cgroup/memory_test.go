package cgroup

import (
	"testing"
	"testing/fstest"
)

func TestTheMemoryOfACgroupIsTheLeastAboveIt(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string
		want  Memory
	}{
		"nothing is known": {nil, Memory{}},
		"version 2, in a container": {map[string]string{
			"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "1073741824\n", "sys/fs/cgroup/memory.current": "5000\n",
			"sys/fs/cgroup/memory.stat": "anon 1\ninactive_file 2000\nactive_file 7\n",
		}, Memory{2, "/", 1 << 30, 3000}},
		"version 2, no limit": {map[string]string{
			"proc/self/cgroup": "0::/system.slice/wsify.service\n", "sys/fs/cgroup/system.slice/wsify.service/memory.max": "max\n",
		}, Memory{}},
		"version 2, the slice has less": {map[string]string{
			"proc/self/cgroup": "0::/a.slice/b.service\n", "sys/fs/cgroup/a.slice/b.service/memory.max": "2000000\n", "sys/fs/cgroup/a.slice/memory.max": "1000000\n",
			"sys/fs/cgroup/a.slice/memory.current": "800000\n", "sys/fs/cgroup/a.slice/b.service/memory.current": "1\n",
		}, Memory{2, "/a.slice", 1000000, 800000}},
		"version 1": {map[string]string{
			"proc/self/cgroup":                           "12:cpu,cpuacct:/x\n5:memory:/docker/abc\n0::/docker/abc\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n", "sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes": "3000000\n",
			"sys/fs/cgroup/memory/docker/abc/memory.usage_in_bytes": "100\n", "sys/fs/cgroup/memory/docker/abc/memory.stat": "inactive_file 9\ntotal_inactive_file 120\n",
		}, Memory{1, "/docker/abc", 3000000, 0}},
		"version 1, the host's path in a container": {map[string]string{
			"proc/self/cgroup": "5:memory:/docker/abc\n", "sys/fs/cgroup/memory/memory.limit_in_bytes": "4000000\n",
		}, Memory{1, "/", 4000000, 0}},
		"version 1, no limit": {map[string]string{
			"proc/self/cgroup": "5:memory:/\n", "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
		}, Memory{}},
	} {
		root := fstest.MapFS{}
		for path, text := range c.files {
			root[path] = &fstest.MapFile{Data: []byte(text)}
		}
		if got := ReadMemory(root); got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}

// A sibling may fill the group around this one. Its own limit, though lower, is far away then.
func TestTheFullestGroupIsTheNearestToItsLimit(t *testing.T) {
	group := func(root fstest.MapFS, dir, limit, used string) {
		root["sys/fs/cgroup"+dir+"/memory.max"] = &fstest.MapFile{Data: []byte(limit + "\n")}
		root["sys/fs/cgroup"+dir+"/memory.current"] = &fstest.MapFile{Data: []byte(used + "\n")}
	}
	root := fstest.MapFS{"proc/self/cgroup": {Data: []byte("0::/pod/own\n")}}
	group(root, "/pod", "200", "188")
	group(root, "/pod/own", "190", "5")
	if got, want := FullestMemory(root), (Memory{2, "/pod", 200, 188}); got != want {
		t.Errorf("a sibling fills the group: %+v, want %+v", got, want)
	}
	group(root, "/pod/own", "190", "180")
	if got, want := FullestMemory(root), (Memory{2, "/pod/own", 190, 180}); got != want {
		t.Errorf("the process fills its own: %+v, want %+v", got, want)
	}
	group(root, "/pod", "max", "500")
	group(root, "/pod/own", "max", "500")
	if got := FullestMemory(root); got != (Memory{}) {
		t.Errorf("no group has a limit: %+v", got)
	}
}
