package doctor

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// Columns of the text.
const (
	width  = 100
	margin = 25 // of the sentences
)

// colours are the escape sequences of statuses on a terminal; ECMA-48, SGR.
var colours = [...]string{OK: "\x1b[32m", Warning: "\x1b[33m", Problem: "\x1b[31m"}

const plain = "\x1b[0m"

// WriteText writes the report for a reader: with colours, if that is a terminal.
func (r *Report) WriteText(w io.Writer, coloured bool) error {
	var b strings.Builder
	for _, f := range r.Findings {
		status := fmt.Sprintf("%-8s", f.Status)
		if coloured {
			status = colours[f.Status] + status + plain
		}
		text := f.Text
		if f.Holds != noBound {
			text += fmt.Sprintf(" Connections: %s.", count(f.Holds))
		}
		fmt.Fprintf(&b, "%s %-*s %s\n", status, margin-10, f.Check, wrapped(text))
	}
	r.writeVerdict(&b)
	r.writeChanges(&b)
	_, err := io.WriteString(w, b.String())
	return err
}

// wrapped breaks text into lines, of which all but the first are indented.
func wrapped(text string) string {
	var b strings.Builder
	column := margin
	for i, word := range strings.Fields(text) {
		n := utf8.RuneCountInString(word)
		switch {
		case i == 0:
		case column+1+n > width:
			b.WriteString("\n" + strings.Repeat(" ", margin))
			column = margin
		default:
			b.WriteByte(' ')
			column++
		}
		b.WriteString(word)
		column += n
	}
	return b.String()
}

// writeVerdict writes what the machine can hold.
func (r *Report) writeVerdict(b *strings.Builder) {
	b.WriteByte('\n')
	bounds := r.Bounds()
	if len(bounds) == 0 {
		b.WriteString("No limit could be read, so this does not say what the machine can hold.\n")
	} else {
		first := bounds[0]
		enough := ""
		if r.Asked > 0 {
			enough = fmt.Sprintf(", which is %s for %s", map[bool]string{true: "enough", false: "not enough"}[r.Asked <= first.Holds], count(r.Asked))
		}
		fmt.Fprintf(b, "This machine can hold %s connections%s.\nThe first limit is %s (%s)", count(first.Holds), enough, first.Check, count(first.Holds))
		if len(bounds) > 1 {
			fmt.Fprintf(b, ", the next %s (%s)", bounds[1].Check, count(bounds[1].Holds))
		}
		b.WriteString(".\n")
	}
	if len(r.Unseen) > 0 {
		fmt.Fprintf(b, "Not to be seen from here: %s.\n", strings.Join(r.Unseen, ", "))
	}
}

// writeChanges writes the lines to change, by where they are.
func (r *Report) writeChanges(b *strings.Builder) {
	places := r.places()
	if len(places) == 0 {
		return
	}
	if r.Asked == 0 && r.Holds() < r.Target {
		fmt.Fprintf(b, "\nTo change, for %s connections:\n", count(r.Target))
	} else {
		b.WriteString("\nTo change:\n")
	}
	for _, p := range places {
		fmt.Fprintf(b, "\n  # %s\n", p.where)
		for _, line := range p.lines {
			fmt.Fprintf(b, "  %s\n", line)
		}
	}
}

// boundJSON is a limit, in JSON.
type boundJSON struct {
	Check       string `json:"check"`
	Connections int64  `json:"connections"`
}

// findingJSON is a Finding, in JSON.
type findingJSON struct {
	Check       string `json:"check"`
	Status      Status `json:"status"`
	Text        string `json:"text"`
	Connections *int64 `json:"connections,omitempty"`
}

type changeJSON struct {
	Where string   `json:"where"`
	Lines []string `json:"lines"`
}

// WriteJSON writes the report for a program.
func (r *Report) WriteJSON(w io.Writer) error {
	out := struct {
		Status  Status        `json:"status"`
		Asked   int64         `json:"asked,omitempty"`
		Holds   *int64        `json:"holds,omitempty"`
		Bounds  []boundJSON   `json:"bounds"`
		Target  int64         `json:"target"`
		Checks  []findingJSON `json:"checks"`
		Unseen  []string      `json:"unseen"`
		Changes []changeJSON  `json:"changes"`
	}{Status: r.Status(), Asked: r.Asked, Target: r.Target, Bounds: []boundJSON{}, Unseen: append([]string{}, r.Unseen...), Changes: []changeJSON{}}
	for _, f := range r.Bounds() {
		out.Bounds = append(out.Bounds, boundJSON{f.Check, f.Holds})
	}
	if len(out.Bounds) > 0 {
		out.Holds = &out.Bounds[0].Connections
	}
	for _, f := range r.Findings {
		row := findingJSON{Check: f.Check, Status: f.Status, Text: f.Text}
		if f.Holds != noBound {
			row.Connections = &f.Holds
		}
		out.Checks = append(out.Checks, row)
	}
	for _, p := range r.places() {
		out.Changes = append(out.Changes, changeJSON{p.where, p.lines})
	}
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(out)
}
