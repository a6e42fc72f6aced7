// Package testtool finds the programs that tests run, and installs them from Debian where that is
// allowed. It also runs tests in separate processes, waits for conditions, and finds what tests leave
// behind. Only tests may import it.
package testtool

import (
	"flag"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"
)

// Patience is how long a test waits for something that has to happen. It says nothing about speed.
const Patience = 30 * time.Second

// Update makes tests that compare with a generated file write the file instead. All such tests
// share this flag; make update sets it.
var Update = flag.Bool("update", false, "write what is generated: help.txt, the table of settings, the scripts' expected lines")

// Until waits until a condition holds that no event reports.
func Until(t testing.TB, what string, holds func() bool) {
	t.Helper()
	again := time.NewTicker(time.Millisecond)
	defer again.Stop()
	for end := time.Now().Add(Patience); !holds(); <-again.C {
		if time.Now().After(end) {
			t.Fatalf("after %s: still not that %s", Patience, what)
		}
	}
}

// MayInstall reports whether the tests may install programs.
func MayInstall() bool { return os.Getenv("CI") == "true" || os.Getenv("E2E") == "1" }

// Need returns the path of a program. If necessary it installs the Debian package, or skips the
// test with a reason. Several test binaries may need the same program at the same time.
func Need(t testing.TB, name, pkg string) string {
	t.Helper()
	return need(t, name, pkg, func() (string, error) { return exec.LookPath(name) })
}

// NeedPython returns the path of Debian's Python, which has a module. Like Need, it installs the
// package or skips the test.
func NeedPython(t testing.TB, module, pkg string) string {
	t.Helper()
	const python = "/usr/bin/python3"
	return need(t, "Python's "+module, pkg, func() (string, error) {
		return python, exec.Command(python, "-c", "import "+module).Run()
	})
}

// need is Need for what find finds.
func need(t testing.TB, name, pkg string, find func() (string, error)) string {
	t.Helper()
	path, err := find()
	if err == nil {
		return path
	}
	switch {
	case !MayInstall():
		t.Skipf("%s is not installed; with E2E=1 and as root this test installs Debian's %s", name, pkg)
	case os.Geteuid() != 0:
		t.Skipf("%s is not installed, and only root can install Debian's %s", name, pkg)
	}
	install(t, pkg, find)
	if path, err = find(); err != nil {
		t.Fatalf("%s is not in Debian's %s: %v", name, pkg, err)
	}
	return path
}

// installing makes the tests of one binary install one after another.
var installing sync.Mutex

// install installs a package. Other test binaries may do the same: apt-get waits for another
// installation, but not while another process fetches lists. So it retries, and accepts a package
// that another binary has installed.
func install(t testing.TB, pkg string, find func() (string, error)) {
	t.Helper()
	if _, err := exec.LookPath("apt-get"); err != nil {
		t.Skipf("%s is missing, and this is no Debian that could install it", pkg)
	}
	installing.Lock()
	defer installing.Unlock()
	for attempt := 1; ; attempt++ {
		out, err := fetch(pkg)
		if err == nil {
			return
		}
		if _, missing := find(); missing == nil {
			return
		}
		if attempt == 5 {
			t.Fatalf("apt-get install %s: %v\n%s", pkg, err, out)
		}
		time.Sleep(time.Duration(attempt) * time.Second) // apt-get cannot wait for its lists
	}
}

// fetch fetches the lists, unless this binary has done so, and the package.
func fetch(pkg string) (string, error) {
	if !listed {
		if out, err := apt("update"); err != nil {
			return out, err
		}
		listed = true
	}
	return apt("install", "--yes", "--no-install-recommends", pkg)
}

var listed bool // whether the lists were fetched; guarded by installing

// apt runs apt-get so that it waits for other users of it, and starts no service.
func apt(args ...string) (string, error) {
	options := []string{"300", "apt-get", "-qq", "-o", "DPkg::Lock::Timeout=120", "-o", "Acquire::Retries=3"}
	cmd := exec.Command("timeout", append(options, args...)...)
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive", "RUNLEVEL=1")
	out, err := cmd.CombinedOutput()
	return string(out), err
}
