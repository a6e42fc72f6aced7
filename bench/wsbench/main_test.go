package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"wsify/bench/internal/record"
)

func TestWrongUseIsToldBeforeAnythingStarts(t *testing.T) {
	there := filepath.Join(t.TempDir(), "there.json")
	if err := os.WriteFile(there, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	v1 := filepath.Join(t.TempDir(), "v1.json")
	if err := os.WriteFile(v1, []byte(`{"duration": "8m", "figures": 7}`), 0o600); err != nil {
		t.Fatal(err)
	}
	picky := filepath.Join(t.TempDir(), "picky") // a server that knows the setting -loops
	if err := os.WriteFile(picky, []byte("#!/bin/sh\nfor a; do case $a in -loops|1|2|-check-config) ;; *) echo \"picky: $a is no setting\"; exit 2;; esac; done"), 0o700); err != nil {
		t.Fatal(err)
	}
	good := filepath.Join(t.TempDir(), "good.json")
	if err := (&record.Record{Version: record.Version}).Write(good); err != nil {
		t.Fatal(err)
	}
	ok, ws := "-server=/bin/true ", "-target ws://h/ws "
	for line, want := range map[string]string{
		"":                                     "wsbench run [flags]",
		"runs":                                 `no command "runs"`,
		"run -server /nowhere":                 "no such file or directory; make build",
		"run -server " + there:                 "permission denied; make build",
		"run " + ok + "-against a=/nowhere":    `the server "a" is no program that can be run`,
		"run " + ok + "-against a@x=/bin/true": `no dialect "x"`,
		"run " + ok + "-against a=/bin/true -against a=/bin/true":    `-against: "a" is named twice`,
		"run " + ok + "-against wsify=/bin/true":                     `"wsify" is named twice`,
		"run " + ok + "-rounds 4":                                    "-rounds: it has to be from 5 to",
		"run " + ok + "-duration -1s":                                "-duration: it has to be from 1ms to",
		"run " + ok + "-duration 1e400":                              "-duration",
		"run " + ok + "-rate NaN":                                    "-rate: it has to be from 1 to",
		"run " + ok + "-rate Inf":                                    "-rate: it has to be from 1 to",
		"run " + ok + "-rate 1e400":                                  "-rate",
		"run " + ok + "-connections 99":                              "-connections: it has to be from 100 to",
		"run " + ok + "-content 3":                                   "-content: it has to be from 35 to",
		"run " + ok + "-run fanoutt":                                 `no scenario "fanoutt"`,
		"run " + ok + "-run=":                                        "-run: it is empty",
		"run " + ok + "-run fanout,":                                 `no scenario ""`,
		"run " + ok + "-run fanout,echo,fanout":                      `-run: "fanout" is named twice`,
		"run " + ok + "-vary content=":                               "-vary content=: it has to be like",
		"run " + ok + "-vary loops=1":                                "-vary loops=1: it has to be like",
		"run " + ok + "-vary server.=1":                              "-vary server.=1: it has to be like",
		"run " + ok + "-vary content=64,0":                           "-vary content=0: it has to be from 35",
		"run " + ok + "-vary content=64KiB":                          "-vary content=64KiB: ",
		"run " + ok + "-vary connections=50":                         "-vary connections=50: it has to be from 100",
		"run " + ok + "-vary rate=NaN":                               "-vary rate=NaN: it has to be from 1 to",
		"run " + ok + "-vary rate=-1":                                "-vary rate=-1: it has to be from 1 to",
		"run " + ok + "-vary rate=many":                              "-vary rate=many: ",
		"run " + ok + "-vary rate=1,1":                               `-vary: "1" is named twice`,
		"run " + ok + "-vary server.slow-policy=drop,close":          "-vary server.slow-policy=drop: it is no number, duration or size",
		"run " + ok + "-vary server.listen-addr=1":                   "-listen-addr is set by wsbench",
		"run -server " + picky + " -vary server.bogus=1":             "-vary server.bogus=1: wsify says: picky: -bogus is no setting",
		"run -server " + picky + " -vary server.loops=1,9":           "-vary server.loops=9: wsify says: picky: 9 is no setting",
		"run -server " + picky + " -server-args -bogus":              "-server-args: wsify says: picky: -bogus is no setting",
		"run " + ok + "-server-args -listen-addr=:1":                 "-listen-addr is set by wsbench",
		"run " + ok + "-workers=":                                    "-workers: it is empty",
		"run " + ok + "-workers a:1":                                 "-workers: it is for a -target: servers that wsbench starts listen on 127.0.0.1",
		"run " + ws + "-workers a:1,a:1":                             `-workers: "a:1" is named twice`,
		"run " + ws + "-workers a:0":                                 `"a:0" is not HOST:PORT`,
		"run " + ws + "-workers a:1 -local 2":                        "-local: with -workers no process",
		"run " + ok + "-against x":                                   "NAME=COMMAND",
		"run " + ok + "-key k":                                       "-key: it is for a -target",
		"run " + ok + "-key=":                                        "-key: it is empty",
		"run " + ok + "-p99 1s":                                      "-p99: it is for -ramp",
		"run " + ok + "-ramp=":                                       "-ramp: it is empty",
		"run " + ok + "-ramp size":                                   "-ramp size: it is connections or rate",
		"run " + ok + "-ramp rate":                                   "name one scenario",
		"run " + ok + "-ramp rate -run connect":                      "connect has no p99 that depends on it; fanout and mesh have",
		"run " + ok + "-ramp connections -run echo":                  "echo has no p99 that depends on it; fanout and mesh have",
		"run " + ok + "-ramp rate -run echo -rounds 7":               "-rounds: -ramp takes five",
		"run " + ok + "-ramp rate -run echo -p99 0s":                 "-p99: it has to be from 1ms",
		"run " + ok + "-ramp rate -run echo -vary rate=1":            "-vary: -ramp varies",
		"run " + ok + "-out " + there:                                "records are added, never edited",
		"run " + ok + "-out /nowhere/r.json":                         "the record could not be written: open /nowhere/r.json",
		"run " + ok + "-out=":                                        "-out: it is empty",
		"run " + ok + "extra":                                        `unexpected argument "extra": wsbench run [flags]`,
		"run -target=":                                               "-target: it is empty",
		"run -target http://h/ws":                                    "ws://host/ws or wss://host/ws",
		"run -target ws://:80/ws":                                    "ws://host/ws or wss://host/ws",
		"run -target ws://h:99999/ws":                                "a port from 1 to 65535",
		"run " + ws + "-run idle":                                    "cannot be run against a -target",
		"run " + ws + "-server x":                                    "-server: a -target is measured alone",
		"run " + ws + "-server-args -x":                              "-server-args: a -target is measured alone",
		"run " + ws + "-floor":                                       "-floor: a -target is measured alone",
		"run " + ws + "-against a=/bin/true":                         "-against: a -target is measured alone",
		"run " + ws + "-vary server.loops=1":                         "-vary server.loops: it starts servers",
		"compare a":                                                  "an argument is missing: wsbench compare [flags] OLD NEW",
		"compare a b c":                                              `unexpected argument "c"`,
		"compare a b -quick":                                         "-quick stands behind an argument; flags come first",
		"compare -server=/bin/true /no /none":                        "not defined: -server",
		"compare /no /bin/true":                                      `the server "old" is no program`,
		"compare " + v1 + " " + v1:                                   "permission denied; make build builds bin/wsify, compare takes two builds of it",
		"report":                                                     "an argument is missing: wsbench report [-out DIR] RECORD…",
		"report " + there:                                            "there.json is no record",
		"report " + v1:                                               "v1.json is no record of version 2",
		"report " + there + " -out x":                                "-out stands behind an argument",
		"report -out= " + there:                                      "-out: it is empty",
		"report " + good + " " + filepath.Dir(good) + "/./good.json": "good.json is named twice",
		"worker extra":                                               `unexpected argument "extra"`,
		"worker -listen":                                             "flag needs an argument",
		"worker -listen 7000":                                        "-listen: address 7000: missing port in address; it has to be like 0.0.0.0:7000",
		"worker -listen=":                                            "-listen: it is empty",
		"list extra":                                                 `unexpected argument "extra"`,
	} {
		var out, errs strings.Builder
		code := run(context.Background(), strings.Fields(line), &out, &errs)
		if code != exitUsage || !strings.Contains(errs.String(), want) {
			t.Errorf("wsbench %s: exit %d, %q; want %q", line, code, errs.String(), want)
		}
		if lines := strings.Count(errs.String(), "\n"); lines != 1 && !strings.Contains(errs.String(), usage) {
			t.Errorf("wsbench %s: it is told in %d lines: %s", line, lines, errs.String())
		}
	}
}

func TestHelpIsNoError(t *testing.T) {
	for line, want := range map[string]string{
		"help": usage, "-h": usage, "run -help": "Usage: wsbench run [flags]\n", "compare -h": "Usage: wsbench compare [flags] OLD NEW\n",
		"report -h": "Usage: wsbench report [-out DIR] RECORD…\n", "worker -h": "Usage: wsbench worker [-listen ADDR]\n", "list -h": "Usage: wsbench list\n", "list": "idle ",
	} {
		var out, errs strings.Builder
		if code := run(context.Background(), strings.Fields(line), &out, &errs); code != exitMeasured || !strings.HasPrefix(out.String(), want) {
			t.Errorf("wsbench %s: exit %d, %q, %q", line, code, out.String(), errs.String())
		}
	}
}
