//go:build linux

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"wsify/internal/testtool"
)

// packaged are the files for settings that the packages install.
var packaged = map[string]func([]group) string{
	"wsify.conf": configExample,
	"wsify.env":  secretsExample,
}

// TestThePackagesHaveAllSettings compares the files with the table of settings.
func TestThePackagesHaveAllSettings(t *testing.T) {
	for name, write := range packaged {
		path := filepath.Join("../../deploy/package", name)
		want := write(newCommandLine().settings)
		if *testtool.Update {
			if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != want {
			t.Errorf("deploy/package/%s is not what the table of settings says (%v); make update writes it", name, err)
		}
	}
}

// chartNames matches the names of settings in the schema of the Helm chart's values: first those of
// settings, then those of secrets.
var chartNames = regexp.MustCompile(`(?s)("settings": .*?"enum": )\[[^\]]*\](.*?"keys": .*?"enum": )\[[^\]]*\]`)

// setByChart are the settings that the chart itself sets.
var setByChart = []string{"listen-addr", "admin-addr", "shutdown-delay", "drain-timeout"}

// TestTheChartKnowsAllSettings compares the schema with the table of settings.
func TestTheChartKnowsAllSettings(t *testing.T) {
	const path = "../../deploy/helm/wsify/values.schema.json"
	var settings, secrets []string
	for _, s := range newCommandLine().all {
		switch {
		case s.key() == "" || slices.Contains(setByChart, s.name):
		case s.secret:
			secrets = append(secrets, s.name)
		default:
			settings = append(settings, s.name)
		}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	list := func(names []string) string { return `["` + strings.Join(names, "\",\n     \"") + `"]` }
	want := chartNames.ReplaceAllString(string(text), "${1}"+list(settings)+"${2}"+list(secrets))
	if *testtool.Update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if want != string(text) || !chartNames.Match(text) {
		t.Errorf("%s has not the names of the settings; make update writes them", path)
	}
}

// TestThePackagesConfigIsThatOfTheDefaults reads the packaged file with its comments as settings.
func TestThePackagesConfigIsThatOfTheDefaults(t *testing.T) {
	text := configExample(newCommandLine().settings)
	if got := start([]string{"-config", write(t, text), "-check-config"}, nil); got.code != 0 {
		t.Errorf("the file as it is packaged: exit code %d: %s", got.code, got.stderr)
	}
	var lines []string
	for line := range strings.Lines(text) {
		if setting, ok := strings.CutPrefix(line, "#"); ok && !strings.HasPrefix(setting, " ") && !strings.Contains(setting, " # example") {
			lines = append(lines, setting)
		}
	}
	got := start([]string{"-config", write(t, strings.Join(lines, "")), "-print-config"}, nil)
	plain := start([]string{"-print-config"}, nil)
	values := func(printed string) string {
		return strings.NewReplacer(" # file", "", " # default", "").Replace(printed)
	}
	if want := values(plain.stdout); got.code != 0 || withoutConfig(values(got.stdout)) != withoutConfig(want) {
		t.Errorf("with every default written out: exit code %d %s\n%s\nwant\n%s", got.code, got.stderr, got.stdout, want)
	}
}

// withoutConfig leaves out the line of -config.
func withoutConfig(printed string) string { return printed[:strings.Index(printed, "# Config\n")] }

// configExample returns a file for -config in which every line is a comment.
func configExample(groups []group) string {
	var b strings.Builder
	b.WriteString("# Settings of wsify: a name and a value on each line. Every user may read this file, so secrets\n" +
		"# are in wsify.env. `wsify -check-config -config /etc/wsify/wsify.conf` checks it.\n")
	for _, g := range groups {
		written := false
		for _, s := range g.settings {
			if s.key() == "" || s.secret {
				continue
			}
			if !written {
				fmt.Fprintf(&b, "\n\n# %s\n", strings.ToUpper(g.title))
				written = true
			}
			fmt.Fprintf(&b, "\n%s#%s\n", comment(s.about), s.name+" "+exampleOf(s))
		}
	}
	return b.String()
}

// exampleOf returns the default of s, or an example where there is none.
func exampleOf(s *setting) string {
	if s.initial == "" {
		return s.example + " # example"
	}
	return s.initial
}

// secretsExample returns a file for the environment with the secrets, as comments.
func secretsExample(groups []group) string {
	var b strings.Builder
	b.WriteString("# Secrets of wsify, as environment variables. Only root can read this file.\n")
	for _, g := range groups {
		for _, s := range g.settings {
			if s.secret {
				fmt.Fprintf(&b, "\n%s#%s=%s\n", comment(s.about), s.env(), exampleOfSecret(s))
			}
		}
	}
	return b.String()
}

// exampleOfSecret returns an address, or the word for a key: an example of a key would be used.
func exampleOfSecret(s *setting) string {
	if s.arg == argSecret {
		return s.arg
	}
	return s.example
}

// comment returns text as lines of a comment.
func comment(text string) string {
	var b strings.Builder
	line := "#"
	for _, word := range strings.Fields(text) {
		if len(line)+1+len(word) > helpWidth {
			b.WriteString(line + "\n")
			line = "#"
		}
		line += " " + word
	}
	return b.String() + line + "\n"
}
