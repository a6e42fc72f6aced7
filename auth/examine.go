package auth

import (
	"context"
	"net/http"
	"time"

	"github.com/valyala/fasthttp"
)

// Examination is what wsify doctor learns about an authorizer.
type Examination struct {
	Report Report // of connecting to it
	Err    error  // why that failed, or nil; if not, nothing else is known

	Decision Decision        // of the last question
	Cause    error           // of the decision, as Ask returns it
	Hint     string          // what to look at; may be empty
	Took     []time.Duration // of each question; the first has dialling in it
	Kept     bool            // one connection served all questions
	Skew     time.Duration   // how far its clock is ahead of ours, by its Date
	Dated    bool            // it has sent a Date
}

// Examine connects to the authorizer that cfg names, and asks it the same question so many
// times, one after the other. It ends with the first that is Down, or with ctx.
func Examine(ctx context.Context, cfg Config, question *Call, times int) (x Examination) {
	c, err := New(cfg)
	if err != nil {
		return Examination{Err: err}
	}
	defer c.Close()
	if x.Report, x.Err = c.Check(ctx); x.Err != nil {
		return x
	}
	before := c.dialer.dials.Load()
	for len(x.Took) < times && ctx.Err() == nil && x.Decision != Down {
		began := time.Now()
		x.Decision, x.Cause = c.ask(question, func(r *fasthttp.Response) { x.readDate(r, began) })
		x.Took = append(x.Took, time.Since(began))
	}
	if x.Cause != nil {
		x.Hint = c.Hint(x.Cause)
	}
	x.Kept = c.dialer.dials.Load() == before+1
	return x
}

// readDate compares the Date of an answer, which is of a second between the question and
// now, with our clock. RFC 9110, section 6.6.1.
func (x *Examination) readDate(r *fasthttp.Response, began time.Time) {
	date, err := http.ParseTime(string(r.Header.Peek("Date")))
	if err != nil {
		return
	}
	x.Dated, x.Skew = true, 0
	if late := began.Sub(date.Add(time.Second)); late > 0 {
		x.Skew = -late
	} else if early := time.Until(date); early > 0 {
		x.Skew = early
	}
}
