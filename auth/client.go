package auth

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"
)

// Client asks one authorizer. Its methods may be called from any goroutine.
type Client struct {
	timeout   time.Duration        // immutable
	name      string               // immutable; the URL without its secrets
	dialer    *dialer              // immutable
	host      *fasthttp.HostClient // the pool of connections; has its own lock
	exchanges sync.Pool            // of *exchange, prepared for this URL
	closed    atomic.Bool
}

// Call is one call to the authorizer. Ask does not modify it.
type Call struct {
	// Body is the JSON to send, byte for byte. It is borrowed for the duration
	// of Ask.
	Body []byte

	// Deadline, unless it is zero, ends the call before Config.Timeout does. After it has passed,
	// no call is made: the decision is Down, with ResultBusy.
	Deadline time.Time

	// User and Channel are sent as X-Wsify-User and X-Wsify-Channel: their letters, digits, "-", ".", "_" and "~"
	// (in ASCII) as they are, every other byte as "%" and two upper-case hexadecimal
	// digits. So decodeURIComponent, url.PathUnescape, rawurldecode and their like
	// return them. An empty one is left out.
	User    string
	Channel string

	// Connection, RemoteAddr and Query are sent as X-Wsify-Connection, X-Wsify-Remote-Addr and
	// X-Wsify-Query; empty ones are omitted. Clients may choose the values. So every byte that is
	// not visible ASCII, and could end a header, is sent percent-encoded.
	Connection string
	RemoteAddr string
	Query      string

	// TraceParent and TraceState are sent as traceparent and tracestate, if TraceParent is not empty;
	// W3C Trace Context. The caller has checked them.
	TraceParent, TraceState string
}

// New returns a client for cfg. It does not connect; see Check.
func New(cfg Config) (*Client, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	u, err := parseURL(cfg.URL)
	if err != nil {
		return nil, err
	}
	d := newDialer(u, cfg.TLSConfig, cfg.Timeout)
	d.headDecides = cfg.HeadDecides
	c := &Client{timeout: cfg.Timeout, name: display(u), dialer: d}
	c.host = &fasthttp.HostClient{
		Addr:                      d.addr,
		DialTimeout:               d.pooled,
		MaxConns:                  cfg.MaxConns,
		MaxConnWaitTimeout:        cfg.Timeout,
		MaxIdleConnDuration:       idleTimeout,
		MaxIdemponentCallAttempts: 1, // transport makes the one retry
		MaxResponseBodySize:       cfg.MaxResponseSize,
		ReadBufferSize:            maxHeadSize,
		ConnPoolStrategy:          fasthttp.LIFO, // unused connections then become idle and are closed
		Transport:                 (*transport)(d),
		DisablePathNormalizing:    true,
		NoDefaultUserAgentHeader:  true,
		SecureErrorLogMessage:     true, // errors have no text of the webhook
	}
	t := newTemplate(u, cfg.UserAgent)
	c.exchanges.New = func() any { return t.exchange() }
	return c, nil
}

// Ask sends call and blocks until there is a decision, at most for
// Config.Timeout. It never panics; a nil call is Down.
//
// cause is nil exactly for Allow. It is a *StatusError when the webhook answered, otherwise a
// *CallError that says why there is no answer.
func (c *Client) Ask(call *Call) (d Decision, cause error) { return c.ask(call, nil) }

// Consult is Ask, and returns what the headers of the answer say besides; nil for nothing.
func (c *Client) Consult(call *Call) (d Decision, a *Answer, cause error) {
	d, cause = c.ask(call, func(r *fasthttp.Response) { a = answerOf(r) })
	return d, a, cause
}

// ask is Ask. If see is not nil, it is called with the answer, which it borrows.
func (c *Client) ask(call *Call, see func(*fasthttp.Response)) (d Decision, cause error) {
	if c.closed.Load() {
		return Down, errClosed
	}
	defer func() {
		if v := recover(); v != nil {
			d, cause = Down, &CallError{Result: ResultInternal, Err: fmt.Errorf("panic: %v", v)}
		}
	}()

	timeout := c.timeout
	if !call.Deadline.IsZero() {
		if timeout = min(timeout, time.Until(call.Deadline)); timeout <= 0 {
			return Down, errBusy
		}
	}
	x := c.exchanges.Get().(*exchange)
	x.prepare(call)
	err := c.host.DoTimeout(x.request, x.response, timeout)
	status := x.response.StatusCode()
	if see != nil && err == nil {
		see(x.response)
	}
	x.reset()
	c.exchanges.Put(x)

	if c.closed.Load() { // Close was called while this call held a connection
		c.host.CloseIdleConnections()
	}
	if err != nil {
		return Down, failure(err)
	}
	return judge(status)
}

// Close closes idle connections and lets calls under way finish; later ones
// are Down. The pool's own goroutine ends within the idle time of four seconds.
// Closing twice is harmless.
func (c *Client) Close() {
	c.closed.Store(true)
	c.host.CloseIdleConnections()
}
