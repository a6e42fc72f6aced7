//go:build linux

package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestWrongUseIsToldBeforeAnythingStarts(t *testing.T) {
	there := filepath.Join(t.TempDir(), "there.json")
	if err := os.WriteFile(there, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	ok := "-server=/bin/true "
	for line, want := range map[string]string{
		"":                                    "wsbench run [flags]",
		"runs":                                `no command "runs"`,
		"run -server /nowhere":                "-server /nowhere: it is not there; make build",
		"run " + ok + "-rounds 0":             "-rounds: it has to be above zero",
		"run " + ok + "-duration -1s":         "-duration: it has to be above zero",
		"run " + ok + "-connections 5":        "at least 100",
		"run " + ok + "-content 3":            "-content 3: at least",
		"run " + ok + "-run fanoutt":          `no scenario "fanoutt"`,
		"run " + ok + "-run=":                 `no scenario ""`,
		"run " + ok + "-run fanout,":          `no scenario ""`,
		"run " + ok + "-vary content=":        "-vary content=: it has to be like",
		"run " + ok + "-vary loops=1":         "-vary loops=1: it has to be like",
		"run " + ok + "-workers=":             `"" is not HOST:PORT`,
		"run " + ok + "-against x":            "NAME=COMMAND",
		"run " + ok + "-key k":                "-key: it is for a -target",
		"run " + ok + "-ramp size":            "-ramp size: it is connections or rate",
		"run " + ok + "-ramp rate":            "name one scenario",
		"run " + ok + "-out " + there:         "records are added, never edited",
		"run " + ok + "extra":                 `unexpected argument "extra"`,
		"run -target http://h/ws":             "ws://host/ws or wss://host/ws",
		"run -target ws://h/ws -run idle":     "cannot be run against a -target",
		"compare a":                           "name the old and the new",
		"compare -server=/bin/true /no /none": "no such file",
		"report":                              "name one record or more",
		"report " + there:                     "there.json",
	} {
		var out, errs strings.Builder
		if code := run(context.Background(), strings.Fields(line), &out, &errs); code != exitUsage || !strings.Contains(errs.String(), want) {
			t.Errorf("wsbench %s: exit %d, %q; want %q", line, code, errs.String(), want)
		}
	}
}

func TestHelpIsNoError(t *testing.T) {
	for _, line := range []string{"help", "-h", "run -help", "compare -h", "report -h", "list"} {
		var out, errs strings.Builder
		if code := run(context.Background(), strings.Fields(line), &out, &errs); code != exitMeasured || out.Len() == 0 {
			t.Errorf("wsbench %s: exit %d, %q, %q", line, code, out.String(), errs.String())
		}
	}
}
