package doctor

import (
	"fmt"
	"maps"
	"strings"
	"testing"
)

// The machine with all the lines of a report holds what was asked.
func TestWhatIsAdvisedIsEnough(t *testing.T) {
	for _, n := range []int64{30_000, 100_000, 777_777, 1_000_000, 3_000_000} {
		changed := maps.Clone(neglected)
		changed["etc/systemd/system/wsify.service"] = "LimitNOFILE=4096"
		first := Examine(facts(t, changed), n)
		if first.Status() != Problem {
			t.Fatalf("%d: the machine holds that as it is", n)
		}
		for _, p := range first.places() {
			for _, line := range p.lines {
				if name, value, ok := strings.Cut(line, " = "); ok {
					changed["proc/sys/"+strings.ReplaceAll(name, ".", "/")] = value
				} else if strings.HasPrefix(line, "LimitNOFILE=") {
					changed["etc/systemd/system/wsify.service.d/limits.conf"] = line
				} else if strings.HasSuffix(line, "of memory, free for wsify") {
					changed["proc/meminfo"] = fmt.Sprintf("MemTotal: 99999999 kB\nMemAvailable: %d kB\n", ((n*4420+processBase)*4/3)>>10+1)
				} else if line != "[Service]" {
					t.Errorf("%d: %s: %s: what is that?", n, p.where, line)
				}
			}
		}
		second := Examine(facts(t, changed), n)
		for _, f := range second.Findings {
			if f.Status == Problem || f.Status == Warning && f.Check != "memory" || len(f.Change) > 0 {
				t.Errorf("%d, changed: %+v", n, f)
			}
		}
	}
}
