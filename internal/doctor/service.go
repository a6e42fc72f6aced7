package doctor

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"
	"time"

	"wsify/auth"
)

// processors compares the event loops with the processors that there are for them.
func (c *checker) processors() {
	have, whose := float64(c.Cores), "processors"
	if c.Quota > 0 && c.Quota < have {
		have, whose = c.Quota, "processors' time, by the control group's quota"
	}
	text := fmt.Sprintf("%d event loops have %g %s.", c.Config.Loops, have, whose)
	if most := int(math.Ceil(have)); c.Config.Loops > most {
		c.say("processors", Warning, text+" More loops than processors only wait for each other.", setting(fmt.Sprintf("loops %d", most)))
		return
	}
	c.say("processors", OK, text)
}

// From which difference on two clocks are not in step, and are wrong.
const (
	outOfStep  = 2 * time.Second
	wrongClock = time.Minute
)

// clock checks whether the clock is kept right, and compares it with the authorizer's.
func (c *checker) clock() {
	status, text, dated := OK, "", c.Authorizer != nil && c.Authorizer.Dated
	if dated {
		off := c.Authorizer.Skew.Abs()
		text = fmt.Sprintf("It differs from the authorizer's by %s.", rounded(off))
		switch {
		case off >= wrongClock:
			status, text = Problem, text+" Times in its answers, in tokens and in certificates mean something else here."
		case off >= outOfStep:
			status = Warning
		case off == 0:
			text = "It agrees with the authorizer's."
		}
	}
	switch {
	case !c.ClockKnown && !dated:
		c.unseen("the clock")
		return
	case c.ClockKnown && !c.Synchronized:
		status, text = max(status, Warning), join(text, "The kernel says that nothing keeps it right.")
		if c.Place == Host {
			c.say("clock", status, text, Change{"the shell, as root", "timedatectl set-ntp true"})
			return
		}
	case c.ClockKnown:
		text = join(text, "Something keeps it right.")
	}
	c.say("clock", status, text)
}

func join(text, more string) string {
	if text == "" {
		return more
	}
	return text + " " + more
}

const (
	slowAnswer = 250 * time.Millisecond // of an authorizer, or of an engine
	lastWeeks  = 14 * 24 * time.Hour    // of a certificate
)

// authorizer checks how the authorizer answers.
func (c *checker) authorizer() {
	const check = "authorizer"
	if c.Authorizer == nil {
		c.say(check, OK, "There is none: everybody may connect, join and broadcast.")
		return
	}
	c.webhook(check, c.Authorizer, c.answered, c.reconnects)
}

// events checks how the webhook for events answers, if there is one.
func (c *checker) events() {
	if c.Events != nil {
		c.webhook("events", c.Events, taken, func(time.Duration) string { return "" })
	}
}

// webhook checks a webhook. judge says what its answers mean, and means what it means that they take
// so long.
func (c *checker) webhook(check string, x *auth.Examination, judge func(*auth.Examination) (Status, string), means func(time.Duration) string) {
	if x.Err != nil {
		text := sentence(unnamed(x.Err.Error()))
		if x.Report.URL != "" {
			text = join(reached(x), text)
		}
		c.say(check, Problem, text)
		return
	}
	f := Finding{Check: check, Holds: noBound, Text: reached(x)}
	f.worse(judge(x))
	if x.Decision != auth.Down {
		f.worse(c.latency(x, means))
		f.worse(keepAlive(x))
	}
	f.worse(expiry(x.Report.Expires, c.Now))
	c.add(f)
}

// reached says how a webhook was reached, or that it was not.
func reached(x *auth.Examination) string { return sentence(unnamed(x.Report.String())) }

// unnamed is a text of package auth without the name of whom it is about.
func unnamed(text string) string { return strings.TrimPrefix(text, "authorizer ") }

// worse adds a sentence to f, and raises its status.
func (f *Finding) worse(status Status, text string) {
	f.Status = max(f.Status, status)
	if text != "" {
		f.Text += " " + text
	}
}

// answered judges what the authorizer says to a client that shows no credentials.
func (c *checker) answered(x *auth.Examination) (Status, string) {
	status := statusOf(x)
	switch {
	case x.Decision == auth.Down:
		return down(x)
	case x.Decision == auth.Allow:
		return OK, "It allows a client without credentials to connect."
	case x.Hint != "":
		return Problem, fmt.Sprintf("It answers %d: %s", status, sentence(x.Hint))
	case slices.Contains([]int{http.StatusUnauthorized, http.StatusForbidden}, status):
		return OK, fmt.Sprintf("It refuses a client without credentials, with %d.", status)
	}
	return Warning, fmt.Sprintf("It answers %d, which counts as no: is the URL right, and does it take POST?", status)
}

// taken judges what the webhook for events says to an empty batch.
func taken(x *auth.Examination) (Status, string) {
	status := statusOf(x)
	switch {
	case status >= 200 && status <= 299:
		return OK, fmt.Sprintf("It takes an empty batch, with %d.", status)
	case x.Decision == auth.Down:
		return down(x)
	case x.Hint != "":
		return Problem, fmt.Sprintf("It answers %d: %s", status, sentence(x.Hint))
	}
	return Warning, fmt.Sprintf("It answers %d to an empty batch. Events are lost with such an answer: is the URL right, and does it take POST?", status)
}

// statusOf returns the status of the last answer, or 0.
func statusOf(x *auth.Examination) int {
	status := (*auth.StatusError)(nil)
	switch {
	case errors.As(x.Cause, &status):
		return status.Status
	case x.Decision == auth.Allow:
		return http.StatusOK
	}
	return 0
}

// down says why a webhook is down.
func down(x *auth.Examination) (Status, string) {
	if auth.ResultOf(x.Decision, x.Cause) == auth.ResultTimeout {
		return Problem, "It is down: it takes the connection and does not answer in time."
	}
	cause := unnamed(x.Cause.Error())
	if statusOf(x) != 0 {
		cause = "it " + cause
	}
	text := "It is down: " + cause + "."
	if x.Hint != "" {
		text += " " + sentence(x.Hint)
	}
	return Problem, text
}

// latency judges how long answers take.
func (c *checker) latency(x *auth.Examination, means func(median time.Duration) string) (Status, string) {
	took := x.Took
	if len(took) > 1 {
		took = took[1:] // the first has dialling in it
	}
	median, longest := medianOf(took)
	text := fmt.Sprintf("It answers in %s, at most %s.%s", rounded(median), rounded(longest), means(median))
	if median >= slowAnswer || longest >= c.Config.AuthorizerTimeout/2 {
		return Warning, text + " That is slow."
	}
	return OK, text
}

// reconnects says how long everybody is asked about when everybody reconnects.
func (c *checker) reconnects(median time.Duration) string {
	workers := int64(c.Config.Workers)
	if c.needed == 0 || median == 0 {
		return ""
	}
	all := time.Duration(float64(c.needed) / float64(workers) * float64(median))
	return fmt.Sprintf(" %s clients that reconnect at once are asked about in %s (-workers %d).", count(c.needed), rounded(all), workers)
}

func keepAlive(x *auth.Examination) (Status, string) {
	if !x.Kept && len(x.Took) > 1 {
		return Warning, "It closes connections after an answer: let it keep them, or each call costs a connection."
	}
	return OK, ""
}

func expiry(expires, now time.Time) (Status, string) {
	switch left := expires.Sub(now); {
	case expires.IsZero():
		return OK, ""
	case left < lastWeeks:
		return Warning, fmt.Sprintf("Its certificate expires on %s.", expires.UTC().Format(time.DateOnly))
	}
	return OK, fmt.Sprintf("Its certificate is valid until %s.", expires.UTC().Format(time.DateOnly))
}

// listeners checks the addresses to listen on.
func (c *checker) listeners() {
	for _, l := range c.Listeners {
		switch l.State {
		case Free:
			c.say(l.Flag, OK, l.Addr+" is free.")
		case Passed:
			c.say(l.Flag, OK, l.Addr+" is opened by what starts wsify.")
		case Ours:
			c.say(l.Flag, OK, "A wsify answers at "+l.Addr+". Its connections count in what is used.")
		case Taken:
			c.say(l.Flag, Problem, fmt.Sprintf("%s is taken, and no wsify answers there. Choose another -%s.", l.Addr, l.Flag))
		case Refused:
			c.say(l.Flag, Problem, fmt.Sprintf("%s cannot be listened on: %s.", l.Addr, l.Err), c.privileges(l)...)
		}
	}
}
