//go:build linux

package process

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

func TestTheTimesOfAProcessAreRead(t *testing.T) {
	all, err := SchedTime(os.Getpid())
	if err != nil || all <= 0 {
		t.Errorf("SchedTime of this process = %v, %v", all, err)
	}
	if one, err := ThreadSchedTime(os.Getpid(), os.Getpid()); err != nil || one <= 0 {
		t.Errorf("ThreadSchedTime of the main thread = %v, %v", one, err)
	}
	f := family(t)
	c := start(t, f, shell("exec sleep 60"))
	c.Kill()
	if _, err := SchedTime(c.PID()); err == nil {
		t.Error("SchedTime of a process that ended gives no error")
	}
	if err := c.Signal(syscall.SIGTERM); err == nil {
		t.Error("a signal to a process that ended gives no error")
	}
}

func TestSizesAreReadInBytes(t *testing.T) {
	file := filepath.Join(t.TempDir(), "status")
	text := "Name:\twsify\nVmHWM:\t    2000 kB\nVmRSS:\t    1976 kB\nThreads:\t9\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var rss, peak int64
	missing := int64(-1)
	err := ReadSizes(file, map[string]*int64{"VmRSS": &rss, "VmHWM": &peak, "RssAnon": &missing})
	if err != nil || rss != 1976<<10 || peak != 2000<<10 || missing != -1 {
		t.Errorf("ReadSizes: VmRSS %d, VmHWM %d, RssAnon %d, %v", rss, peak, missing, err)
	}
	if err := ReadSizes(file+" of nobody", nil); err == nil {
		t.Error("ReadSizes of no file gives no error")
	}
}

func TestAFreePortCanBeListenedOn(t *testing.T) {
	port, err := FreePort()
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp4", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
}
