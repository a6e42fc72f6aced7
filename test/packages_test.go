package test

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// packagedFiles are the files in both packages, with their modes.
var packagedFiles = map[string]string{
	"/usr/bin/wsify":                        "-rwxr-xr-x",
	"/usr/lib/systemd/system/wsify.service": "-rw-r--r--",
	"/usr/lib/sysusers.d/wsify.conf":        "-rw-r--r--",
	"/etc/wsify/wsify.conf":                 "-rw-r--r--",
	"/etc/wsify/wsify.env":                  "-rw-------",
	"/usr/share/doc/wsify/copyright":        "-rw-r--r--",
	"/usr/share/doc/wsify/CHANGELOG.md":     "-rw-r--r--",
	"/usr/share/doc/wsify/90-wsify.conf":    "-rw-r--r--",
}

func TestPackagesHaveTheirFilesWithOwnersAndModes(t *testing.T) {
	dir := release(t)
	need(t, "dpkg-deb", "dpkg")
	need(t, "rpm", "rpm")
	for _, listing := range [][]string{
		{"dpkg-deb", "--contents", filepath.Join(dir, releaseName+".deb")},
		{"rpm", "--query", "--list", "--verbose", "--package", filepath.Join(dir, releaseName+".rpm")},
	} {
		out, err := run(t, dir, nil, listing...)
		if err != nil {
			t.Fatalf("%q: %v\n%s", listing, err, out)
		}
		for file, mode := range packagedFiles {
			if !regexp.MustCompile(`(?m)^` + mode + ` .*\broot[ /]+root .* \.?` + regexp.QuoteMeta(file) + `$`).MatchString(out) {
				t.Errorf("%s has no %s %s of root:\n%s", listing[0], mode, file, out)
			}
		}
		if files := regexp.MustCompile(`(?m)^-`).FindAllString(out, -1); len(files) != len(packagedFiles) {
			t.Errorf("%s has %d files, want %d:\n%s", listing[0], len(files), len(packagedFiles), out)
		}
	}
}

func TestRPMHasTheScriptsAndKeepsChangedSettings(t *testing.T) {
	rpm := filepath.Join(release(t), releaseName+".rpm")
	need(t, "rpm", "rpm")
	out, err := run(t, scratch, nil, "rpm", "--query", "--scripts", "--configfiles", "--info", "--package", rpm)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{
		"postinstall scriptlet", "systemd-sysusers wsify.conf", "preuninstall scriptlet", "disable --now", "postuninstall scriptlet",
		"/etc/wsify/wsify.conf\n/etc/wsify/wsify.env", "License     : MIT", "Version     : 4.0.0",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("rpm shows no %q:\n%s", want, out)
		}
	}
}

// install installs a package as docs/install.md says.
func (m *machine) install(block string) {
	m.t.Helper()
	m.follow("docs/install.md", block, "/download")
}

func TestDebInstallsUpgradesAndRemoves(t *testing.T) {
	m := boot(t, map[string]string{"download/" + releaseName + ".deb": filepath.Join(release(t), releaseName+".deb")})
	const install = "dpkg --install /download/" + releaseName + ".deb"
	m.install(readme(t, "deb"))
	m.do("runuser -u nobody -- wsify -check-config -config /etc/wsify/wsify.conf")
	if out, err := m.try("runuser -u nobody -- cat /etc/wsify/wsify.env"); err == nil {
		t.Errorf("everybody can read the secrets: %s", out)
	}
	if version := m.do("dpkg-query --show --showformat '${Version} ${Architecture}' wsify"); version != "4.0.0 amd64" {
		t.Errorf("dpkg says %q", version)
	}

	pid, secrets := m.show("MainPID"), m.do("cat /etc/wsify/wsify.env")
	if out := m.do(install); !strings.Contains(out, "systemctl restart wsify") {
		t.Errorf("an upgrade does not say how to restart:\n%s", out)
	}
	if m.show("MainPID") != pid || m.do("cat /etc/wsify/wsify.env") != secrets {
		t.Error("an upgrade restarts the server, or changes its secrets")
	}

	doctorExaminesTheService(m)
	m.do("dpkg --remove wsify")
	if out := m.do("test ! -e /usr/bin/wsify && ps -o pid= -C wsify || cat /etc/wsify/wsify.env"); out != secrets {
		t.Errorf("after the removal: %s", out)
	}
	m.do("dpkg --purge wsify && test ! -e /etc/wsify")
}

func TestDebIsRemovedFromARootThatIsNotBooted(t *testing.T) {
	m := boot(t, map[string]string{"download/" + releaseName + ".deb": filepath.Join(release(t), releaseName+".deb")})
	m.do("dpkg --install /download/" + releaseName + ".deb && systemctl enable wsify && test -L /etc/systemd/system/multi-user.target.wants/wsify.service")
	m.do("unshare --mount sh -c 'mount -t tmpfs tmpfs /run && dpkg --purge wsify'")
	m.do("test ! -L /etc/systemd/system/multi-user.target.wants/wsify.service && test ! -e /etc/wsify")
}

// doctorExaminesTheService tries the line that has the secrets, and the warning without them.
func doctorExaminesTheService(m *machine) {
	m.t.Helper()
	need(m.t, "dbus-daemon", "dbus") // systemd-run talks through it
	m.do("systemctl start dbus && cp -p /etc/wsify/wsify.env /root/before && echo WSIFY_AUTHORIZER_URL=http://127.0.0.1:9/hook >> /etc/wsify/wsify.env")
	line := console(readme(m.t, "doctor of the service"), "")[0].line
	if out, _ := m.try(line); !strings.Contains(out, "http://127.0.0.1:9/hook cannot be reached") || strings.Contains(out, "warning: ") {
		m.t.Errorf("%s:\n%s", line, out)
	}
	if out, _ := m.try("wsify doctor -config /etc/wsify/wsify.conf 2>&1 >/dev/null"); !strings.Contains(out, "As root: "+line) {
		m.t.Errorf("without the secrets doctor warns %q", out)
	}
	m.do("mv /root/before /etc/wsify/wsify.env")
}

func TestDebStartsNothingByItself(t *testing.T) {
	m := boot(t, map[string]string{"download/" + releaseName + ".deb": filepath.Join(release(t), releaseName+".deb")})
	m.do("dpkg --install /download/" + releaseName + ".deb")
	if active, enabled := m.show("ActiveState"), m.show("UnitFileState"); active != "inactive" || enabled != "disabled" {
		t.Errorf("after the installation the service is %s and %s", active, enabled)
	}
}

func TestRPMInstallsAndRemoves(t *testing.T) {
	need(t, "rpm", "rpm")
	m := boot(t, map[string]string{"download/" + releaseName + ".rpm": filepath.Join(release(t), releaseName+".rpm")})
	// Debian's rpm knows no systemd, and warns that it is not for Debian.
	m.install(strings.ReplaceAll(readme(t, "rpm"), "--install", "--install --nodeps --force-debian"))
	m.do("systemctl start wsify && wsify healthcheck && wsify -check-config -config /etc/wsify/wsify.conf")
	m.do("echo '# changed' >> /etc/wsify/wsify.env")
	m.do("rpm --erase --force-debian wsify && test ! -e /usr/bin/wsify && test ! -e /etc/wsify/wsify.conf")
	if out := m.do("ps -o pid= -C wsify || ls /etc/wsify"); !strings.Contains(out, "wsify.env.rpmsave") {
		t.Errorf("after the removal: %s", out)
	}
}
