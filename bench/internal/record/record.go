// Package record is the format of what a run found: figures with their samples, goals and verdicts, and the machine
// they are from. A record holds all that a report needs, so that it is made from anybody's records on any machine.
package record

import (
	"strings"
	"time"
)

// Version is that of the format. Records in results/v1 have another one.
const Version = 2

// Record is what one run found.
type Record struct {
	Version  int       `json:"version"`
	Date     time.Time `json:"date"`
	Seconds  float64   `json:"seconds"` // that the run took
	Command  []string  `json:"command"`
	Commit   string    `json:"commit,omitempty"` // with "+" when tracked files are changed
	Remark   string    `json:"remark,omitempty"`
	Quick    bool      `json:"quick,omitempty"` // small sizes: tells whether it works, not what it costs
	Machine  Machine   `json:"machine"`         // of the process that coordinates the run
	Workers  []Machine `json:"workers,omitempty"`
	Servers  []Server  `json:"servers"`
	Vary     string    `json:"vary,omitempty"` // what the x of figures is: a setting's name
	Figures  []Figure  `json:"figures"`
	Notes    []Note    `json:"notes,omitempty"`
	Failures []string  `json:"failures,omitempty"`

	Interrupted bool `json:"interrupted,omitempty"` // it ended early; the last failure says why
}

// Machine is where a process of the run ran.
type Machine struct {
	CPU       string            `json:"cpu"`
	Cores     int               `json:"cores"`
	Memory    uint64            `json:"memory"` // bytes
	Kernel    string            `json:"kernel"`
	Go        string            `json:"go"`
	FileLimit uint64            `json:"file_limit"` // descriptors a process may have
	Sysctls   map[string]string `json:"sysctls,omitempty"`
	Load      float64           `json:"load"`        // of the last minute, before the run
	Steal     float64           `json:"steal"`       // part of the CPU time of the run that the host took, 0 to 1
	IRQInTask bool              `json:"irq_in_task"` // whether softirq time is part of a task's CPU time
}

type Server struct {
	Name    string   `json:"name"`
	Command []string `json:"command,omitempty"` // empty for a target the run did not start
	Target  string   `json:"target,omitempty"`  // URL
}

// Note is a remark on a scenario: what limited it, what did not come to rest.
type Note struct {
	Scenario string `json:"scenario"`
	Server   string `json:"server,omitempty"`
	Text     string `json:"text"`
}

// Line is the note without its scenario.
func (n Note) Line() string { return strings.TrimSpace(n.Server + " " + n.Text) }

// Directions of a figure.
const (
	Lower  = "lower"  // lower is better
	Higher = "higher" // higher is better
	Fact   = ""       // neither: it says what the load was
)

// Verdicts on a figure that has a goal.
const (
	Met    = "met"
	Missed = "missed"
	Unsure = "unsure" // the interval holds the goal, or there are too few samples
)

// Figure is one measured quantity of one server: a row of the table. It has one sample a round.
type Figure struct {
	Scenario string    `json:"scenario"`
	Name     string    `json:"name"`        // such as "CPU of a delivery", unique in its scenario
	Server   string    `json:"server"`      // its name; Floor for the yardstick, "" for the generator's own
	X        *float64  `json:"x,omitempty"` // value of what is varied, or of Along
	Along    string    `json:"along,omitempty"`
	Unit     string    `json:"unit"` // "s", "B", "1/s", "ratio", "" for a count: base units, so that readers scale
	Better   string    `json:"better,omitempty"`
	Cost     bool      `json:"cost,omitempty"` // CPU or memory: what two builds are compared by
	Samples  []float64 `json:"samples"`
	Summary            // set when it is measured
	Goal     *Goal     `json:"goal,omitempty"`
	Verdict  string    `json:"verdict,omitempty"`
}

// Floor is the server's name in figures of the yardstick (package floor).
const Floor = "floor"

// Goal is what a figure is held against. It is set, with its verdict, when it is measured.
type Goal struct {
	Text string  `json:"text"`         // as a reader reads it: "at most 200 B", "at most 1.05 of base"
	Max  float64 `json:"max"`          // in the figure's unit, or as the ratio when Of is set; for Better == Higher the least
	Of   string  `json:"of,omitempty"` // another server in the run: samples are paired round by round
}

// MinSamples is how many samples a figure has at least; with fewer there is no figure.
const MinSamples = 5
