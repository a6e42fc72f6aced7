package test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// machine is a systemd that runs in namespaces of its own, with the files of this machine and
// changes that end with the test.
type machine struct {
	*process
	pid string // of the systemd, as seen from here
}

// testTarget is what systemd starts: enough for services, and a journal.
const testTarget = "[Unit]\nAllowIsolate=yes\nWants=systemd-journald.service systemd-sysusers.service\nAfter=systemd-journald.service systemd-sysusers.service\n"

// boot starts systemd with these files on top of those of this machine; a name that begins with /
// is that of a file to copy. It skips the test where namespaces are not allowed.
func boot(t *testing.T, files map[string]string) *machine {
	t.Helper()
	endToEnd(t)
	need(t, "systemd-analyze", "systemd")
	for program, pkg := range map[string]string{"ip": "iproute2", "ps": "procps", "curl": "curl", "openssl": "openssl"} {
		need(t, program, pkg)
	}
	if out, err := exec.Command("unshare", "--mount", "--cgroup", "--pid", "--net", "--fork", "true").CombinedOutput(); err != nil {
		t.Skipf("systemd needs namespaces, and this machine allows none: %s", out)
	}
	dir := t.TempDir()
	add(t, filepath.Join(dir, "add"), "etc/systemd/system/test.target", testTarget)
	for name, content := range files {
		add(t, filepath.Join(dir, "add"), name, content)
	}
	script := filepath.Join(root, "test", "testdata", "systemd", "boot.sh")
	p := start(t, dir, nil, "unshare", "--mount", "--pid", "--net", "--cgroup", "--ipc", "--uts", "--fork", "--kill-child", script, dir)
	m := &machine{process: p}
	p.await("systemd's child process", func() bool {
		children, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", p.cmd.Process.Pid))
		m.pid = strings.TrimSpace(string(children))
		return m.pid != ""
	})
	p.await("systemd to have booted", func() bool {
		state, _ := m.try("systemctl is-system-running")
		return regexp.MustCompile(`(?m)^(running|degraded)$`).MatchString(state)
	})
	return m
}

// add writes a file below dir. Content that begins with / is the path of a file, which is copied.
func add(t *testing.T, dir, name, content string) {
	t.Helper()
	path := filepath.Join(dir, name)
	mode := os.FileMode(0o644)
	if strings.HasPrefix(content, "/") {
		info, err := os.Stat(content)
		if err != nil {
			t.Fatal(err)
		}
		content, mode = read(t, content), info.Mode()
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
}

// try runs a line of shell on the machine.
func (m *machine) try(line string) (string, error) {
	return run(m.t, "/", nil, "nsenter", "--target", m.pid, "--all", "--root", "--wd",
		"env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND=noninteractive", "bash", "-c", line)
}

// do runs a line of shell on the machine, which must succeed.
func (m *machine) do(line string) string {
	m.t.Helper()
	out, err := m.try(line)
	if err != nil {
		journal, _ := m.try("journalctl --no-pager --lines 40")
		m.t.Fatalf("%s: %v\n%s\n%s", line, err, out, journal)
	}
	return out
}

// show returns a property of the service.
func (m *machine) show(property string) string {
	m.t.Helper()
	return strings.TrimSpace(m.do("systemctl show wsify --value --property " + property))
}

// follow types a block of commands on the machine, and compares what they print with the page.
func (m *machine) follow(page, block, dir string) {
	m.t.Helper()
	for _, c := range console(block, "") {
		got, err := m.try("cd " + dir + " && " + c.line)
		want := strings.Join(c.want, "\n")
		shown := regexp.MustCompile("(?s)^" + strings.ReplaceAll(regexp.QuoteMeta(want), "…", ".*") + "$")
		if err != nil || want != "" && !shown.MatchString(strings.TrimSpace(got)) {
			m.t.Errorf("%s: %v\nprinted\n%s\n%s shows\n%s", c.line, err, got, page, want)
		}
	}
}
