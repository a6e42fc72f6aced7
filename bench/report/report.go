package main

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
)

// builder puts the report together in memory.
type builder struct {
	lib       *library
	prose     prose
	elsewhere *elsewhere
	links     string            // from the report to the directory of records
	files     map[string][]byte // what was built, by path from the report's directory
}

const (
	reportFile = "REPORT.md"
	chartsDir  = "charts"
)

const generated = "<!-- Written by bench/report from bench/results and bench/report/text: edit those, then run make bench-report. -->\n\n"

// build returns the report's files by their paths.
func (b *builder) build() (map[string][]byte, error) {
	b.files = make(map[string][]byte)
	p := new(page)
	p.WriteString(generated)
	p.para("# What wsify costs, measured")
	for _, part := range []func(*page) error{
		b.fragment("intro"),
		b.writeGoals,
		b.writeScenes,
		b.writePeers,
		b.writeCurves,
		b.writeMillion,
		b.fragment("tuning"),
		b.fragment("bottlenecks"),
		b.writeNodes,
		b.writeProfiles,
		b.writeRecords,
	} {
		if err := part(p); err != nil {
			return nil, err
		}
	}
	if err := b.buildScale(); err != nil {
		return nil, err
	}
	b.files[reportFile] = []byte(strings.TrimRight(p.String(), "\n") + "\n")
	return b.files, nil
}

// fragment writes a text of ours.
func (b *builder) fragment(name string) func(*page) error {
	return func(p *page) error {
		text, err := b.prose.text(name, b.lib)
		if err != nil {
			return fmt.Errorf("text: %w", err)
		}
		p.para("%s", text)
		return nil
	}
}

// remark writes a text of ours about a kind of record, where there is one.
func (b *builder) remark(p *page, kind string) error {
	err := b.fragment(kind)(p)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// picture keeps a chart and shows it.
func (b *builder) picture(p *page, file, alt string, svg []byte) {
	path := chartsDir + "/" + file
	b.files[path] = svg
	p.para("![%s](%s)", plain(alt), path)
}

// writeMillion writes what the record of a million connections says.
func (b *builder) writeMillion(p *page) error {
	p.para("## 5. A million connections")
	r := b.lib.kinds["million"]
	if r == nil {
		p.missing("bench-million")
		return nil
	}
	var rows [][]string
	for i := range r.Figures {
		f := &r.Figures[i]
		if f.Detail {
			continue
		}
		name := f.Name
		if f.Scenario != "million" {
			name = f.Scenario + ": " + name
		}
		if f.X != nil {
			name += fmt.Sprintf(", at %s", show(*f.X))
		}
		rows = append(rows, []string{plain(name), quantity(f.Median, f.Unit), f.spreadBeside(), f.count()})
	}
	p.table([]string{"figure", "median", "min..max", "n"}, rows)
	for _, n := range r.Notes {
		p.para("Note: %s", plain(n.Text))
	}
	p.cite(r, b.links)
	return b.remark(p, "million")
}

// writeProfiles links the profiles, which texts speak of.
func (b *builder) writeProfiles(p *page) error {
	if len(b.lib.profiles) == 0 {
		return nil
	}
	p.para("## Profiles")
	p.para("Where the CPU of the server went. Each file says at its top how it was taken.")
	for _, name := range b.lib.profiles {
		fmt.Fprintf(p, "- %s\n", link(name, b.links))
	}
	p.WriteString("\n")
	return nil
}

// writeRecords tells of each record what the sections above left out.
func (b *builder) writeRecords(p *page) error {
	p.para("## Records")
	used := b.lib.used()
	if len(used) == 0 {
		p.para("There are none yet that this report can show.")
	}
	for _, r := range used {
		p.para("### %s", r.file)
		b.writeRecord(p, r)
	}
	if len(b.lib.passed) > 0 {
		p.para("Not shown:")
		for _, s := range b.lib.passed {
			fmt.Fprintf(p, "- %s: %s\n", link(s.file, b.links), s.why)
		}
		p.WriteString("\n")
	}
	return nil
}

func (b *builder) writeRecord(p *page, r *record) {
	p.cite(r, b.links)
	m := r.Machine
	fmt.Fprintf(p, "- Limits: %d descriptors", m.Files)
	for _, key := range sortedKeys(m.Sysctl) {
		fmt.Fprintf(p, ", %s = %s", code(key), code(m.Sysctl[key]))
	}
	fmt.Fprintf(p, "\n- Load average at the start: %s; %s, %s\n", plain(m.Load), plain(m.Go), plain(m.OS))
	for _, s := range r.Servers {
		fmt.Fprintf(p, "- Server %s: %s, %d descriptors\n", plain(s.Name), code(s.Command), s.Files)
	}
	for _, n := range r.Notes {
		fmt.Fprintf(p, "- Note%s: %s\n", plain(n.about()), plain(n.Text))
	}
	for _, f := range r.Failures {
		fmt.Fprintf(p, "- **Not measured**: %s\n", plain(f))
	}
	p.WriteString("\n")
}
