package server

import (
	"cmp"
	"context"
	"slices"
	"time"

	"wsify/auth"
	"wsify/broker"
	"wsify/internal/operate"
)

// Keeps returns how many of limit descriptors a server keeps for itself, and how many it
// needs for all its workers, the admin listener, the engine and events. It keeps a quarter of the
// limit at most. c is valid.
func (c *Config) Keeps(limit uint64) (kept, needed uint64) {
	const links = 64 // to the engine
	needed = uint64(c.Workers) + operate.MaxConnections + links
	if len(c.Events) > 0 {
		needed++ // one POST is under way at a time
	}
	return min(limit/4, needed), needed
}

const (
	examineTimeout = 5 * time.Second // the longest that an examination waits for one answer
	examineTimes   = 5               // questions to a webhook
)

// ExamineAuthorizer asks the authorizer about a client that does not exist, some times,
// and says what it is like. It returns nil when none is configured. It blocks until ctx
// ends, and for one question longer. c is valid.
func (c *Config) ExamineAuthorizer(ctx context.Context) *auth.Examination {
	if c.AuthorizerURL == "" {
		return nil
	}
	return c.examine(ctx, auth.Config{URL: c.AuthorizerURL}, c.question())
}

// ExamineEvents sends the webhook for events an empty batch, some times, and says what it is like, as
// ExamineAuthorizer does. It returns nil when no events are wanted.
func (c *Config) ExamineEvents(ctx context.Context) *auth.Examination {
	if len(c.Events) == 0 {
		return nil
	}
	empty := &auth.Call{Body: []byte(`{"batch":"wsify-doctor/1","events":[]}`)}
	return c.examine(ctx, auth.Config{URL: cmp.Or(c.EventsURL, c.AuthorizerURL), HeadDecides: true}, empty)
}

func (c *Config) examine(ctx context.Context, cfg auth.Config, question *auth.Call) *auth.Examination {
	secure, err := c.authorizerTLS()
	if err != nil {
		return &auth.Examination{Err: err}
	}
	cfg.Timeout, cfg.TLSConfig, cfg.UserAgent = min(c.AuthorizerTimeout, examineTimeout), secure, "wsify-doctor"
	x := auth.Examine(ctx, cfg, question, examineTimes)
	return &x
}

// question is one that the authorizer expects: about connect, unless it is not asked about that.
func (c *Config) question() *auth.Call {
	q := &auth.Call{Connection: "wsify-doctor", RemoteAddr: "127.0.0.1:1"}
	if slices.Contains(c.AuthorizerEvents, "connect") {
		q.Body = []byte(`{"command":"connect","args":{"headers":{"User-Agent":["wsify-doctor"]},"query":{}}}`)
		return q
	}
	q.Channel = "wsify-doctor"
	q.Body = []byte(`{"command":"` + c.AuthorizerEvents[0] + `","args":{"channel":"wsify-doctor"}}`)
	return q
}

// ExamineBroker connects to the broker's engine and says what it is and lets us do. The
// result is nil for a broker without an engine. It blocks until ctx ends. c is valid.
func (c *Config) ExamineBroker(ctx context.Context) (*broker.Examination, error) {
	d, err := driverOf(c)
	if err != nil || d.Examine == nil {
		return nil, err
	}
	x, err := d.Examine(ctx, brokerConfig(c))
	return &x, err
}
