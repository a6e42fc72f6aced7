//go:build linux

package main

import (
	"os"
	"reflect"
	"runtime/debug"
	"strings"
	"testing"
	"unicode/utf8"

	"wsify/internal/server"
	"wsify/internal/testtool"
)

func TestHelpIsWhatTheGoldenFileHas(t *testing.T) {
	const golden = "testdata/help.txt"
	for _, arg := range []string{"-help", "--help", "-h"} {
		got := start([]string{arg}, nil)
		if got.code != 0 || got.stderr != "" || got.served != nil {
			t.Fatalf("wsify %s: exit %d, stderr %q", arg, got.code, got.stderr)
		}
		if *testtool.Update {
			if err := os.WriteFile(golden, []byte(got.stdout), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if got.stdout != string(want) {
			t.Errorf("wsify %s differs from %s; when that is meant, run make update. Got:\n%s", arg, golden, got.stdout)
		}
	}
}

func TestHelpFitsInAHundredColumnsAndNamesEverySetting(t *testing.T) {
	help := start([]string{"-help"}, nil).stdout
	for line := range strings.Lines(help) {
		if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > 100 {
			t.Errorf("%d columns: %s", n, line)
		}
	}
	for name, s := range newCommandLine().byName {
		if !strings.Contains(help, "  -"+name) || !strings.Contains(help, s.env()) {
			t.Errorf("-help does not tell of -%s and %s", name, s.env())
		}
	}
}

// The examples of the help start a program. Some settings need another one.
func TestTheExamplesOfHelpAreValid(t *testing.T) {
	needs := map[string][]string{"events": {"-events-url", "http://localhost"}, "events-url": {"-events", "kicked"}}
	for name, s := range newCommandLine().byName {
		if s.once || s.arg == argFile { // the example's file does not exist here
			continue
		}
		args := append(needs[name], "-"+name)
		if !s.isSwitch() {
			args = append(args, s.example)
		}
		if got := start(args, nil); got.code != 0 || got.served == nil {
			t.Errorf("wsify %s: exit %d, stderr: %s", strings.Join(args, " "), got.code, got.stderr)
		}
	}
}

func TestCheckConfigSaysOkAndStartsNothing(t *testing.T) {
	got := start([]string{"-check-config", "-listen-addr", ":1"}, nil)
	if got.code != 0 || got.stdout != "configuration ok\n" || got.stderr != "" || got.served != nil {
		t.Errorf("wsify -check-config: %+v", got)
	}
}

func TestPrintConfigTellsTheSources(t *testing.T) {
	got := start(
		[]string{"-print-config", "-loops", "3", "-workers=10", "-broadcasting-key", "hunter2", "-config", write(t, "max-message-size 100000\nlog-level warn")},
		[]string{"WSIFY_PING_INTERVAL=0", "WSIFY_DRAIN_TIMEOUT=90s", "WSIFY_AUTHORIZER_URL_FILE=" + write(t, "https://u:hunter2@a.com/hunter2\n")},
	)
	if got.code != 0 || got.stderr != "" || got.served != nil || strings.Contains(got.stdout, "hunter2") {
		t.Fatalf("wsify -print-config: %+v", got)
	}
	for _, want := range []string{
		"listen-addr                   :3000 # default\n",
		"# broker-dsn is not set\n",
		"# authorizer-url              https://a.com/******** # env\n",
		"# broadcasting-key            ******** # flag\n",
		"loops                         3 # flag\n",
		"shards                        256 # default\n",
		"queue                         640 # default\n",
		"max-message-size              100KB # file\n",
		"write-queue-size              1MiB # default\n",
		"ping-interval                 0 # env\n",
		"drain-timeout                 1m30s # env\n",
		"log-level                     warn # file\n",
	} {
		if !strings.Contains(got.stdout, "\n"+want) && !strings.HasPrefix(got.stdout, want) {
			t.Errorf("-print-config lacks %q:\n%s", want, got.stdout)
		}
	}
}

func TestWhatPrintConfigPrintsIsAFileForConfig(t *testing.T) {
	args := []string{"-ping-interval", "0", "-slow-policy", "drop", "-broadcast-open", "-max-message-size", "1000", "-listen-addr", "unix:/a b", "-admin-addr", "off"}
	printed := start(append(args, "-print-config"), nil)
	direct := start(args, nil)
	again := start([]string{"-config", write(t, printed.stdout)}, nil)
	if again.served == nil {
		t.Fatalf("the file is refused: %s\n%s", again.stderr, printed.stdout)
	}
	for _, c := range []*server.Config{direct.served, again.served} {
		c.Logger = nil
	}
	if !reflect.DeepEqual(again.served, direct.served) {
		t.Errorf("from the file:\n     %+v\nwant %+v", again.served, direct.served)
	}
}

func TestPrintConfigOfARefusedConfigurationShowsBoth(t *testing.T) {
	got := start([]string{"-print-config", "-loops", "999"}, nil)
	if got.code != 1 || !strings.Contains(got.stdout, "loops                         999 # flag\n") ||
		got.stderr != "wsify: -loops: 999 is not between 1 and 256\n" {
		t.Errorf("wsify -print-config -loops 999: %+v", got)
	}
}

func TestMaskedShowsNothingButTheHost(t *testing.T) {
	for secret, want := range map[string]string{
		"hunter2":                     "********",
		"http://a.com":                "http://a.com",
		"http://a.com/":               "http://a.com",
		"http://a.com/hunter2":        "http://a.com/********",
		"http://a.com?hunter2":        "http://a.com/********",
		"http://a.com/#hunter2":       "http://a.com/********",
		"redis://:hunter2@a.com:6379": "redis://a.com:6379/********",
		"hunter2:pw@host":             "********",
		"http://hunter2%zz@a.com":     "********",
		"a://b,c:1,d:2/hunter2":       "a://b,c:1,d:2/********",
		"http://user:12/34@host":      "********",
		"http://u:p@12/34@host":       "********",
	} {
		if got := masked(secret); got != want {
			t.Errorf("masked(%q) = %q, want %q", secret, got, want)
		}
	}
}

func TestVersionTellsWhatTheBuildKnows(t *testing.T) {
	info := &debug.BuildInfo{Main: debug.Module{Version: "v1.0.0"}, Settings: []debug.BuildSetting{
		{Key: "vcs.revision", Value: "abc"}, {Key: "vcs.modified", Value: "true"},
	}}
	if got := describe(info); !strings.HasPrefix(got, "wsify v1.0.0 (commit abc with changes, go1.") {
		t.Errorf("describe = %q", got)
	}
	for _, info := range []*debug.BuildInfo{nil, {}, {Main: debug.Module{Version: "(devel)"}}} {
		if got := describe(info); !strings.HasPrefix(got, "wsify dev (commit unknown, go1.") {
			t.Errorf("describe(%v) = %q", info, got)
		}
	}
	// -version answers even where the configuration is refused.
	got := start([]string{"-version", "-config", "/nowhere"}, []string{"WSIFY_LOOPS=x"})
	if got.code != 0 || !strings.HasPrefix(got.stdout, "wsify ") || got.stderr != "" {
		t.Errorf("wsify -version: %+v", got)
	}
}
