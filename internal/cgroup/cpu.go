package cgroup

import (
	"io/fs"
	"path"
	"strconv"
	"strings"
)

// ReadCPU returns how many processors' time the cgroups of this process may use, the
// least of all: 1.5 is three seconds of CPU in two. It is 0 when no quota is known.
func ReadCPU(root fs.FS) (processors float64) {
	eachGroup(root, "cpu", func(version int, group string) {
		got := legacyQuota(root, path.Join("sys/fs/cgroup/cpu", group))
		if version == 2 {
			got = quota(root, path.Join("sys/fs/cgroup", group))
		}
		if got > 0 && (processors == 0 || got < processors) {
			processors = got
		}
	})
	return processors
}

// quota reads cpu.max: "max 100000" without a quota, else a quota and its period.
func quota(root fs.FS, dir string) float64 {
	text, _ := fs.ReadFile(root, path.Join(dir, "cpu.max"))
	words := strings.Fields(string(text))
	if len(words) != 2 {
		return 0
	}
	most, _ := strconv.Atoi(words[0])
	period, _ := strconv.Atoi(words[1])
	return share(most, period)
}

// legacyQuota reads the same in version 1, where -1 is no quota.
func legacyQuota(root fs.FS, dir string) float64 {
	return share(number(root, path.Join(dir, "cpu.cfs_quota_us")), number(root, path.Join(dir, "cpu.cfs_period_us")))
}

func share(most, period int) float64 {
	if most <= 0 || period <= 0 {
		return 0
	}
	return float64(most) / float64(period)
}
