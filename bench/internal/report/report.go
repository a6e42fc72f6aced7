// Package report makes a page of records: REPORT.md with its charts, and a report.html that stands alone. It
// knows nothing of what was measured, where, or how many there were.
package report

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"wsify/bench/internal/record"
	"wsify/bench/internal/table"
)

// maxCharts is how many charts a report has at most.
const maxCharts = 12

// page is what a report shows.
type page struct {
	Records []recordView
	Charts  []chart
}

type recordView struct {
	*record.Record
	Scenarios []scenarioView
}

type scenarioView struct {
	Name string
	Rows []row
	Note []string
}

type row struct{ Name, Server, Value, Interval, Better, Verdict, Goal string }

// Write writes REPORT.md, report.html, and a directory charts into dir.
func Write(dir string, records []*record.Record) error {
	var p page
	for _, r := range records {
		p.Records = append(p.Records, viewOf(r))
		charts, err := chartsOf(r, maxCharts-len(p.Charts))
		if err != nil {
			return err
		}
		p.Charts = append(p.Charts, charts...)
	}
	if err := os.MkdirAll(filepath.Join(dir, "charts"), 0o755); err != nil {
		return err
	}
	for _, c := range p.Charts {
		if err := os.WriteFile(filepath.Join(dir, "charts", c.File), c.SVG, 0o644); err != nil {
			return err
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "REPORT.md"), []byte(p.markdown()), 0o644); err != nil {
		return err
	}
	var html bytes.Buffer
	if err := htmlPage.Execute(&html, p); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "report.html"), html.Bytes(), 0o644)
}

func viewOf(r *record.Record) recordView {
	v := recordView{Record: r}
	for i := range r.Figures {
		f := &r.Figures[i]
		if n := len(v.Scenarios); n == 0 || v.Scenarios[n-1].Name != f.Scenario {
			s := scenarioView{Name: f.Scenario}
			for _, note := range r.Notes {
				if note.Scenario == f.Scenario {
					s.Note = append(s.Note, strings.TrimSpace(note.Server+" "+note.Text))
				}
			}
			v.Scenarios = append(v.Scenarios, s)
		}
		s := &v.Scenarios[len(v.Scenarios)-1]
		s.Rows = append(s.Rows, rowOf(r, f))
	}
	return v
}

func rowOf(r *record.Record, f *record.Figure) row {
	w := row{
		Name: f.Name, Server: f.Server, Value: table.Value(f.Median, f.Unit), Verdict: f.Verdict,
		Interval: fmt.Sprintf("%s to %s (%d)", table.Value(f.Low, f.Unit), table.Value(f.High, f.Unit), f.N),
	}
	if f.X != nil {
		w.Name += fmt.Sprintf(", %s %v", r.Vary, *f.X)
	}
	if f.Better != record.Fact {
		w.Better = f.Better
	}
	if f.Goal != nil {
		w.Goal = f.Goal.Text
	}
	return w
}

// Title is what a record is called.
func (v recordView) Title() string {
	if v.Remark != "" {
		return v.Remark
	}
	return "Run of " + v.Date.Format("2 January 2006")
}

// Where says on what a record was made.
func (v recordView) Where() string {
	m := v.Machine
	where := fmt.Sprintf("%s, %d cores, %s of memory, Linux %s, %d descriptors a process, load %.2f before the run, steal %.1f %%", m.CPU, m.Cores,
		table.Value(float64(m.Memory), "B"), m.Kernel, m.FileLimit, m.Load, 100*m.Steal)
	if len(v.Workers) > 0 {
		where += fmt.Sprintf("; %d workers on other machines", len(v.Workers))
	}
	return where
}

// Line is the command that made a record.
func (v recordView) Line() string { return strings.Join(v.Command, " ") }

// markdown is the page as Markdown.
func (p page) markdown() string {
	var b strings.Builder
	b.WriteString("# Report\n\nA figure is the median of its samples, one a round. Behind it stands the interval that holds the true median with 95 % (93.75 % with five samples), and the number of samples. Servers took turns; compare figures only within a run.\n")
	for _, r := range p.Records {
		fmt.Fprintf(&b, "\n## %s\n\n%s. Commit %s, %s, %.0f s. Command: `%s`\n", cell(r.Title()), cell(r.Where()), cell(r.Commit), r.Date.Format("2006-01-02"), r.Seconds, strings.ReplaceAll(r.Line(), "`", "'"))
		if r.Quick {
			b.WriteString("\nMade with -quick: it shows that everything works, not what it costs.\n")
		}
		for _, s := range r.Scenarios {
			fmt.Fprintf(&b, "\n### %s\n\n| figure | server | median | interval (samples) | better | goal |\n|---|---|---|---|---|---|\n", cell(s.Name))
			for _, w := range s.Rows {
				fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s |\n", cell(w.Name), cell(w.Server), w.Value, w.Interval, w.Better, cell(strings.Trim(w.Verdict+": "+w.Goal, ": ")))
			}
			for _, n := range s.Note {
				fmt.Fprintf(&b, "\n%s\n", cell(n))
			}
		}
		for _, f := range r.Failures {
			fmt.Fprintf(&b, "\nFailed: %s\n", cell(f))
		}
	}
	for _, c := range p.Charts {
		fmt.Fprintf(&b, "\n![%s](charts/%s)\n", cell(c.Title), c.File)
	}
	return b.String()
}

var special = regexp.MustCompile("[|<>\\[\\]`*_\\\\]")

// cell makes text safe in a cell of a table.
func cell(text string) string {
	return special.ReplaceAllStringFunc(strings.Join(strings.Fields(text), " "), func(c string) string { return `\` + c })
}

//go:embed report.tmpl
var htmlText string

var htmlPage = template.Must(template.New("report").Parse(htmlText))
