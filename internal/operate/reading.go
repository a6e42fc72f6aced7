package operate

import (
	"math"
	"runtime/metrics"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/procfs"

	"wsify/internal/operate/live"
)

// reading is all that the live page shows, at one moment.
type reading struct {
	at                         time.Time
	stats                      Stats
	asking, publishing, fanout *dto.Histogram
	lag                        time.Duration // the longest that a loop let a task wait since the reading before
	resident, heap, cpu        float64       // bytes, bytes, seconds; NaN if unknown
}

// since returns the seconds since an earlier reading.
func (r *reading) since(before *reading) float64 { return r.at.Sub(before.at).Seconds() }

func (r *reading) readProcess() {
	r.resident, r.cpu = math.NaN(), math.NaN()
	if p, err := procfs.Self(); err == nil {
		if stat, err := p.Stat(); err == nil {
			r.resident, r.cpu = float64(stat.ResidentMemory()), stat.CPUTime()
		}
	}
	heap := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(heap)
	r.heap = float64(heap[0].Value.Uint64())
}

func read(h prometheus.Histogram) *dto.Histogram {
	var m dto.Metric
	_ = h.Write(&m) // no error: the bounds are ours
	return m.GetHistogram()
}

// charts turns readings into points of the live page. It belongs to the sampler's goroutine.
type charts struct {
	board   *live.Board
	columns []column // set by the first reading
	before  *reading
}

// add adds a point, unless r is the first reading: rates need two.
func (c *charts) add(r *reading, notes func() live.Notes) {
	before := c.before
	c.before = r
	if before == nil {
		c.columns = columnsOf(r)
		var names []string
		for _, column := range c.columns {
			names = append(names, column.name)
		}
		c.board.Name(names)
		return
	}
	p := live.Point{At: r.at, Values: make([]float32, len(c.columns))}
	for i, column := range c.columns {
		p.Values[i] = float32(column.of(r, before))
	}
	c.board.Add(p, notes)
}
