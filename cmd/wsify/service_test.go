//go:build linux

package main

import (
	"testing"
	"testing/fstest"
)

// The settings of a packaged service are in two files, of which a command is given one or none.
func TestACommandWithoutTheSettingsOfTheServiceSaysHowToHaveThem(t *testing.T) {
	const (
		run  = "systemd-run --quiet --pipe --wait --property=EnvironmentFile=/etc/wsify/wsify.env wsify "
		lack = "wsify.service also reads /etc/wsify/wsify.env, this command did not. As root: " + run
		both = "wsify.service also reads /etc/wsify/wsify.env and /etc/wsify/wsify.conf, this command did not. As root: " + run
		conf = " -config /etc/wsify/wsify.conf"
	)
	root := fstest.MapFS{
		"run/systemd/system": {},
		"usr/lib/systemd/system/wsify.service": {Data: []byte(
			"[Service]\nExecStart=/usr/bin/wsify -config /etc/wsify/wsify.conf\nEnvironmentFile=-/etc/wsify/wsify.env\n")},
		"etc/wsify/wsify.env": {Data: []byte("WSIFY_AUTHORIZER_URL=http://localhost/hook\n")},
	}
	for name, tc := range map[string]struct {
		command string
		config  string
		env     string
		loops   string
		root    fstest.MapFS
		want    string
	}{
		"doctor with the file":       {command: "doctor", config: "/etc/wsify/wsify.conf", root: root, want: lack + "doctor" + conf},
		"doctor with nothing":        {command: "doctor", root: root, want: both + "doctor" + conf},
		"-check-config":              {config: "/etc/wsify/wsify.conf", root: root, want: lack + "-check-config" + conf},
		"healthcheck":                {command: "healthcheck", root: root, want: both + "healthcheck" + conf},
		"with both":                  {command: "doctor", config: "/etc/wsify/wsify.conf", env: "http://localhost/hook", root: root},
		"another file":               {command: "doctor", config: "/etc/other.conf", root: root},
		"settings of its own":        {command: "doctor", loops: "2", root: root},
		"a machine without the unit": {command: "doctor", root: fstest.MapFS{"run/systemd/system": {}}},
		"secrets that are comments": {command: "doctor", root: fstest.MapFS{
			"run/systemd/system": {}, "usr/lib/systemd/system/wsify.service": root["usr/lib/systemd/system/wsify.service"],
			"etc/wsify/wsify.env": {Data: []byte("#WSIFY_ADMIN_KEY=SECRET\n")},
		}, want: "wsify.service also reads /etc/wsify/wsify.conf, this command did not. Run: wsify doctor" + conf},
	} {
		c := newCommandLine()
		c.command, c.configFile, c.env = tc.command, tc.config, map[string]string{"WSIFY_AUTHORIZER_URL": tc.env}
		if tc.loops != "" {
			if err := c.byName["loops"].set(tc.loops, "-loops", sourceFlag); err != nil {
				t.Fatal(err)
			}
		}
		if got := c.unlikeService(tc.root); got != tc.want {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
	}
}
