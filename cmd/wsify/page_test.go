//go:build linux

package main

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"wsify/internal/testtool"
)

// settingsTable matches the table in docs/settings.md.
var settingsTable = regexp.MustCompile(`(?s)(<!-- settings:[^\n]*-->\n).*?(<!-- /settings -->)`)

// TestThePageOfSettingsIsThatOfTheProgram compares the table in docs/settings.md with the output of
// wsify -help.
func TestThePageOfSettingsIsThatOfTheProgram(t *testing.T) {
	const path = "../../docs/settings.md"
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	table, others := settingsOf(t, start([]string{"-help"}, nil).stdout)
	want := settingsTable.ReplaceAllString(string(text), "${1}"+strings.ReplaceAll(table, "$", "$$")+"${2}")
	if !settingsTable.Match(text) {
		t.Fatal("docs/settings.md has no place for the settings")
	}
	if *testtool.Update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if want != string(text) {
		for line := range strings.Lines(table) {
			if !strings.Contains(string(text), line) {
				t.Errorf("not in docs/settings.md: %s", line)
			}
		}
		t.Error("docs/settings.md is not what wsify -help says; make update writes it")
	}
	for _, name := range others {
		if !strings.Contains(want, "`"+name+"`") {
			t.Errorf("docs/settings.md says nothing of %s", name)
		}
	}
}

var (
	settingHead = regexp.MustCompile(`(?m)^  (-[a-z][^\n]*)\n((?: {8}[^\n]*\n)+)`)
	settingBody = regexp.MustCompile(`^(.*) Default (.*?)\. Example: .*? (WSIFY_[A-Z_]+)(, or a file with it: WSIFY_[A-Z_]+)?$`)
)

// settingsOf makes a table from the output of -help. others are names that are not settings, such
// as -version.
func settingsOf(t *testing.T, help string) (table string, others []string) {
	t.Helper()
	var b strings.Builder
	b.WriteString("| setting | default | environment | |\n|---|---|---|---|\n")
	for _, found := range settingHead.FindAllStringSubmatch(help, -1) {
		name, body := found[1], strings.Join(strings.Fields(found[2]), " ")
		parts := settingBody.FindStringSubmatch(body)
		if parts == nil {
			others = append(others, strings.Split(name, ",")[0])
			continue
		}
		env := "`" + parts[3] + "`"
		if parts[4] != "" {
			env += ", `…_FILE`"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", cell("`"+name+"`"), cell(defaultCell(parts[2])), env, cell(parts[1]))
	}
	if len(others) == 0 || !strings.Contains(b.String(), "`-listen-addr ADDR`") {
		t.Fatalf("wsify -help is not as expected:\n%s", help)
	}
	return b.String(), others
}

// defaultCell formats a default, which may have a remark after a comma and a space.
func defaultCell(word string) string {
	value, remark, remarked := strings.Cut(word, ", ")
	if value != "none" {
		value = "`" + value + "`"
	}
	if remarked {
		return value + ": " + remark
	}
	return value
}

// cell escapes characters that would end a cell or mean emphasis.
func cell(text string) string {
	text = strings.ReplaceAll(text, "|", `\|`)
	if !strings.Contains(text, "`") {
		text = strings.ReplaceAll(text, "*", `\*`)
	}
	return text
}
