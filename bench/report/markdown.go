package main

import (
	"fmt"
	"strings"
)

// page is Markdown under construction.
type page struct{ strings.Builder }

// para writes a paragraph.
func (p *page) para(format string, args ...any) {
	fmt.Fprintf(p, format, args...)
	p.WriteString("\n\n")
}

// table writes a table. Cells may hold Markdown; bars and line ends in them are escaped.
func (p *page) table(head []string, rows [][]string) {
	p.row(head)
	p.WriteString(strings.Repeat("|---", len(head)) + "|\n")
	for _, r := range rows {
		p.row(r)
	}
	p.WriteString("\n")
}

func (p *page) row(cells []string) {
	for _, c := range cells {
		p.WriteString("| " + strings.NewReplacer("|", `\|`, "\n", " ").Replace(c) + " ")
	}
	p.WriteString("|\n")
}

// missing says what has not been measured and how to.
func (p *page) missing(target string) {
	p.para("*Not measured yet: run `make %s`.*", target)
}

// cite writes where the table or chart above is from.
func (p *page) cite(r *record, links string) {
	p.para("Record: %s. %s UTC, %s, commit %s, took %s: %s", link(r.file, links),
		r.Date.UTC().Format("2006-01-02 15:04"), r.Machine.String(), code(r.Commit), plain(r.Duration), code(r.commandLine()))
	if n := len(r.Failures); n > 0 {
		p.para("**Not everything could be measured** (failures: %d): see [Records](#records).", n)
	}
}

func (m machine) String() string {
	return fmt.Sprintf("%s, %d cores, %s, Linux %s", plain(m.CPU), m.Cores, quantity(float64(m.Memory), "B"), plain(m.Kernel))
}

// commandLine is what a shell would have been given.
func (r *record) commandLine() string {
	words := []string{"wsbench"}
	for _, w := range r.Command {
		if w == "" || strings.ContainsAny(w, " \t\n\"'$&|;<>()*?#~`\\") {
			w = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
		}
		words = append(words, w)
	}
	return strings.Join(words, " ")
}

func link(file, dir string) string { return fmt.Sprintf("[%s](%s/%s)", file, dir, file) }

// plain makes text from a record harmless in Markdown; bars are left to table.
func plain(s string) string {
	return strings.NewReplacer("\n", " ", "<", "&lt;", "*", `\*`, "_", `\_`, "`", "\\`", "[", `\[`).Replace(s)
}

// code is a code span, whatever s holds.
func code(s string) string {
	s = strings.ReplaceAll(s, "\n", " ")
	if s == "" {
		return "unknown"
	}
	if strings.Contains(s, "`") {
		return "`` " + s + " ``"
	}
	return "`" + s + "`"
}
