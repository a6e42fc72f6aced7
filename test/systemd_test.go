package test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// unitFiles are the files of a machine that runs wsify by its unit.
func unitFiles() map[string]string {
	return map[string]string{
		"usr/bin/wsify":                    program,
		"etc/systemd/system/wsify.service": filepath.Join(root, "deploy/systemd/wsify.service"),
		"usr/lib/sysusers.d/wsify.conf":    filepath.Join(root, "deploy/systemd/wsify.sysusers"),
		"etc/wsify/wsify.conf":             "listen-addr unix:/run/wsify/wsify.sock\nlisten-mode 0666\n",
		"etc/wsify/wsify.env":              "WSIFY_BROADCASTING_KEY=k3y\n",
	}
}

func TestSystemdStartsReloadsAndStopsTheUnit(t *testing.T) {
	m := boot(t, unitFiles())
	m.do("systemctl start wsify") // it returns when the server has said READY
	m.do("wsify healthcheck")
	if user := m.do("ps -o user= -C wsify"); strings.TrimSpace(user) != "wsify" {
		t.Errorf("the server runs as %q", user)
	}
	publish := func(key string) string {
		return m.do("curl -sS -o /dev/null -w '%{http_code}' --unix-socket /run/wsify/wsify.sock \"http://localhost/broadcast?key=" + key +
			`" -H 'Content-Type: application/json' -d '{"channel":"a","content":1}'`)
	}
	if status := publish("k3y"); status != "201" {
		t.Errorf("a publication with the key of wsify.env: %s", status)
	}
	m.follow("docs/install.md", readme(t, "key file"), "/")
	if status := publish("$(cat /etc/wsify/key)"); status != "201" {
		t.Errorf("a publication with the key of the file: %s", status)
	}
	pid := m.show("MainPID")
	m.do("echo 0ther > /etc/wsify/key && systemctl reload wsify")
	m.await("the other key to be taken", func() bool { return publish("0ther") == "201" })
	if after := m.show("MainPID"); after != pid || m.show("ActiveState") != "active" {
		t.Errorf("after a reload process %s is %s, it was %s", after, m.show("ActiveState"), pid)
	}
	m.do("systemctl stop wsify")
	if result, code := m.show("Result"), m.show("ExecMainStatus"); result != "success" || code != "0" {
		t.Errorf("after stop: %s, exit code %s", result, code)
	}
	if log := m.do("journalctl --no-pager --unit wsify --output cat"); !strings.Contains(log, `"msg":"stopped"`) {
		t.Errorf("the server's log:\n%s", log)
	}
}

func TestSystemdRestartsAServerThatHangsOrCrashes(t *testing.T) {
	files := unitFiles()
	files["etc/systemd/system/wsify.service.d/soon.conf"] = "[Service]\nWatchdogSec=1\nTimeoutAbortSec=1\nRestartSec=0\n"
	m := boot(t, files)
	m.do("systemctl start wsify")
	for _, signal := range []string{
		"STOP", // no sign of life any more
		"ABRT", // as after a panic: stacks in the log, and an exit code that is not to be mistaken for that of a wrong command line
	} {
		pid := m.show("MainPID")
		m.do("kill -" + signal + " " + pid)
		m.await("a new process after SIG"+signal, func() bool {
			return m.show("MainPID") != pid && m.show("ActiveState") == "active"
		})
	}
	if restarts := m.show("NRestarts"); restarts != "2" {
		t.Errorf("%s restarts, want 2", restarts)
	}
}

func TestTheUnitIsInstalledAsThePageSays(t *testing.T) {
	m := boot(t, map[string]string{
		"src/bin/wsify":                      program,
		"src/deploy/systemd/wsify.service":   filepath.Join(root, "deploy/systemd/wsify.service"),
		"src/deploy/systemd/wsify.sysusers":  filepath.Join(root, "deploy/systemd/wsify.sysusers"),
		"src/deploy/sysctl/90-wsify.conf":    filepath.Join(root, "deploy/sysctl/90-wsify.conf"),
		"src/systemctl-edit/credential.conf": readme(t, "credential"),
		"src/systemctl-edit/low port.conf":   readme(t, "low port"),
		"etc/wsify/key":                      "cr3dential",
	})
	m.follow("docs/install.md", readme(t, "unit"), "/src")
	// Whether the server may read net.core.somaxconn.
	if queue := m.do("ss --no-header --listening --tcp --numeric 'sport = :3000' | awk '{print $3}'"); queue != m.do("cat /proc/sys/net/core/somaxconn") {
		t.Errorf("%s connections may wait to be accepted, less than the kernel allows", strings.TrimSpace(queue))
	}
	if mode := strings.TrimSpace(m.do("stat -c '%a %U' /etc/wsify/wsify.env")); mode != "600 root" {
		t.Errorf("the file with secrets is %s", mode)
	}
	// The kernel is not the machine's own: it may not be written to.
	m.follow("docs/install.md", strings.ReplaceAll(readme(t, "sysctl"), "--system", "--system --dry-run || true"), "/src")

	const publish = `curl -sS -o /dev/null -w '%{http_code}' http://localhost/broadcast?key=cr3dential -H 'Content-Type: application/json' -d '{"channel":"a","content":1}'`
	m.do("mkdir -p /etc/systemd/system/wsify.service.d && cp /src/systemctl-edit/*.conf /etc/systemd/system/wsify.service.d/")
	m.do("echo listen-addr :80 >> /etc/wsify/wsify.conf && : > /etc/wsify/wsify.env && systemctl daemon-reload && systemctl restart wsify")
	if status := m.do(publish); status != "201" {
		t.Errorf("a publication through port 80 with the key that is a credential: %s", status)
	}
}

// TestSystemdPassesItsSocketsToTheServer uses the socket unit of docs/operating.md.
func TestSystemdPassesItsSocketsToTheServer(t *testing.T) {
	files := unitFiles()
	files["etc/systemd/system/wsify.socket"] = readme(t, "socket")
	files["etc/wsify/wsify.conf"] = "listen-addr fd://wsify.socket\n"
	m := boot(t, files)
	m.do("systemctl enable --now wsify.socket")
	if state := m.show("ActiveState"); state != "inactive" {
		t.Errorf("the server is %s before there is a client", state)
	}
	publish := func(where string) {
		t.Helper()
		const rest = ` -sS -o /dev/null -w '%{http_code}' -H 'Content-Type: application/json' -d '{"channel":"a","content":1}'`
		if status := m.do("curl " + where + "/broadcast?key=k3y" + rest); status != "201" {
			t.Errorf("a publication to %s: %s", where, status)
		}
	}
	publish("http://localhost")
	publish("--unix-socket /run/wsify.sock http://localhost")
	pid := m.show("MainPID")
	m.do("systemctl stop wsify.service")
	publish("http://localhost") // starts the server again
	publish("--unix-socket /run/wsify.sock http://localhost")
	if after := m.show("MainPID"); after == pid || after == "0" {
		t.Errorf("process %s, before %s; want a new one", after, pid)
	}
}

// TestSystemdHasNoComplaintAboutTheUnit asks systemd's own tools.
func TestSystemdHasNoComplaintAboutTheUnit(t *testing.T) {
	need(t, "systemd-analyze", "systemd")
	unit := read(t, filepath.Join(root, "deploy/systemd/wsify.service"))
	file := writeFile(t, t.TempDir(), "wsify.service", strings.ReplaceAll(unit, "/usr/bin/wsify", program))
	if out, err := run(t, root, nil, "systemd-analyze", "verify", "--man=no", file); err != nil || strings.Contains(out, "wsify.service:") {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
	out, err := run(t, root, nil, "systemd-analyze", "security", "--offline=true", "--threshold=20", file) // in tenths
	if err != nil || !strings.Contains(out, "Overall exposure level") {
		t.Errorf("systemd-analyze security: %v\n%s", err, out)
	}
}

func TestTheUnitGivesTheServerTimeToDrain(t *testing.T) {
	endToEnd(t)
	unit := read(t, filepath.Join(root, "deploy/systemd/wsify.service"))
	stop := regexp.MustCompile(`(?m)^TimeoutStopSec=(\d+)$`).FindStringSubmatch(unit)
	out, err := run(t, scratch, nil, program, "-print-config")
	if err != nil || stop == nil {
		t.Fatalf("%v, TimeoutStopSec %v", err, stop)
	}
	if within, drain := longer(t, stop[1]+"s"), stopTimeout(t, out); within <= drain {
		t.Errorf("systemd kills after %s, and the drain may take %s", within, drain)
	}
}

var sysctlLine = regexp.MustCompile(`(?m)^(-?)([a-z_.0-9]+) = (.+)$`)

func TestSysctlFileHasSettingsOfTheKernelAndOfThePage(t *testing.T) {
	page := docsPage(t, "tuning.md")
	lines := sysctlLine.FindAllStringSubmatch(read(t, filepath.Join(root, "deploy/sysctl/90-wsify.conf")), -1)
	if len(lines) == 0 {
		t.Fatal("the file sets nothing")
	}
	for _, line := range lines {
		optional, key, value := line[1] == "-", line[2], line[3]
		_, err := os.Stat(filepath.Join("/proc/sys", strings.ReplaceAll(key, ".", "/")))
		if err != nil && !optional {
			t.Errorf("this kernel has no %s: %v", key, err)
		}
		if row := regexp.MustCompile("(?m)^\\| `" + regexp.QuoteMeta(key) + "` \\|.*\\| " + value + " \\|$"); !row.MatchString(page) {
			t.Errorf("docs/tuning.md does not say %s = %s", key, value)
		}
	}
}
