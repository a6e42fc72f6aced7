package server

import (
	"bytes"
	"errors"
	"log"
	"mime"
	"net"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/valyala/fasthttp"

	"wsify/broker"
	"wsify/hub"
	"wsify/internal/command"
	"wsify/internal/wire"
)

// Bounds on HTTP connections. A head is bounded like that of an upgrade.
const (
	httpReadTimeout  = 30 * time.Second // a whole request
	httpIdleTimeout  = 75 * time.Second // between requests; proxies keep 60s
	httpWriteTimeout = 30 * time.Second
	publishTimeout   = 5 * time.Second // until an asynchronous broker has answered
)

const (
	pathBroadcast  = "/broadcast"
	allowedMethods = "POST, OPTIONS"
)

// httpServer answers what is no upgrade, on connections that the event loops hand
// off. Its methods may be called from any goroutine.
type httpServer struct {
	tracker
	srv      *Server
	fast     *fasthttp.Server
	verdicts sync.Map // of requests that are refused, by *fasthttp.RequestHeader; see bounds
}

func newHTTP(srv *Server) *httpServer {
	h := &httpServer{srv: srv}
	h.conns = make(map[*httpConn]struct{})
	h.empty = make(chan struct{})
	h.fast = &fasthttp.Server{
		Handler:               h.handle,
		HeaderReceived:        h.bounds,
		ExpectHandler:         h.expect,
		ErrorHandler:          h.failed,
		ConnState:             h.changed,
		ReadBufferSize:        srv.cfg.MaxHeadSize,
		MaxRequestBodySize:    h.srv.cfg.MaxMessageSize,
		ReadTimeout:           httpReadTimeout,
		WriteTimeout:          httpWriteTimeout,
		IdleTimeout:           httpIdleTimeout,
		Concurrency:           maxHTTP + 1, // our own bound comes first
		NoDefaultServerHeader: true,
		SecureErrorLogMessage: true,
		Logger:                debugLogger(h.srv),
	}
	return h
}

// debugLogger passes what fasthttp logs on as debug: it is about strangers.
func debugLogger(srv *Server) fasthttp.Logger {
	return log.New(writerFunc(func(p []byte) (int, error) {
		srv.log.Debug("http", "detail", strings.TrimSpace(string(p)))
		return len(p), nil
	}), "", 0)
}

type writerFunc func(p []byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// handle answers one request. A panic must not end the process.
func (h *httpServer) handle(ctx *fasthttp.RequestCtx) {
	defer func() {
		if p := recover(); p != nil {
			h.srv.faults.Error("panic while answering a request", "panic", p, "stack", string(debug.Stack()))
			answer(ctx, fasthttp.StatusInternalServerError, "internal error")
		}
	}()
	switch string(ctx.Path()) {
	case pathBroadcast:
		h.broadcast(ctx)
	case pathWS:
		h.upgrade(ctx)
	default:
		notFound(ctx)
	}
	if h.srv.draining.Load() {
		ctx.SetConnectionClose()
	}
	if c, ok := ctx.Conn().(*httpConn); ok {
		c.stranger.Store(refusal(ctx.Response.StatusCode()))
	}
}

// refusal reports whether a status says that the peer has no business here. Such a
// connection is not kept for long: places at the HTTP server are for backends.
func refusal(status int) bool {
	switch status {
	case fasthttp.StatusForbidden, fasthttp.StatusNotFound, fasthttp.StatusMethodNotAllowed, fasthttp.StatusUpgradeRequired:
		return true
	}
	return false
}

// verdict is a refusal that is known from the head of a request.
type verdict struct {
	status int
	why    string
}

// bounds decides on the head alone how much of a body is read: nothing, where the
// request will be refused whatever it holds. It is fasthttp's HeaderReceived.
//
// fasthttp forgets the head when a body is too large, so the verdict is kept by the
// head's address, which is the same in failed.
func (h *httpServer) bounds(head *fasthttp.RequestHeader) fasthttp.RequestConfig {
	v := h.judge(head)
	if v.status == 0 {
		h.verdicts.Delete(head)
		return fasthttp.RequestConfig{}
	}
	h.verdicts.Store(head, v)
	return fasthttp.RequestConfig{MaxRequestBodySize: 1}
}

// judge refuses what needs neither the body nor the whole request to be refused.
func (h *httpServer) judge(head *fasthttp.RequestHeader) verdict {
	path, query, _ := bytes.Cut(head.RequestURI(), []byte("?"))
	switch {
	case string(path) == pathWS:
		return verdict{fasthttp.StatusBadRequest, "an upgrade has no body"}
	case string(path) != pathBroadcast:
		return verdict{fasthttp.StatusNotFound, whatThereIs}
	case !head.IsPost():
		return verdict{fasthttp.StatusMethodNotAllowed, "publish with POST"}
	case !h.srv.keys.admit(query, head.Peek("Authorization")):
		return verdict{fasthttp.StatusForbidden, wrongKey}
	}
	return verdict{}
}

// unread answers a request whose body was too large to be read.
func (h *httpServer) unread(ctx *fasthttp.RequestCtx) {
	allowCORS(ctx)
	if v, ok := h.verdicts.LoadAndDelete(&ctx.Request.Header); ok {
		v := v.(verdict)
		if v.status == fasthttp.StatusMethodNotAllowed {
			ctx.Response.Header.Set("Allow", allowedMethods)
		}
		answer(ctx, v.status, v.why)
		return
	}
	tooLarge(ctx)
}

// failed answers a request that could not be read.
func (h *httpServer) failed(ctx *fasthttp.RequestCtx, err error) {
	var small *fasthttp.ErrSmallBuffer
	var netErr net.Error
	switch {
	case errors.As(err, &small):
		answer(ctx, fasthttp.StatusRequestHeaderFieldsTooLarge, "the request head is larger than -max-head-size")
	case errors.Is(err, fasthttp.ErrBodyTooLarge):
		h.unread(ctx)
	case errors.As(err, &netErr) && netErr.Timeout():
		answer(ctx, fasthttp.StatusRequestTimeout, "the request was not finished in time")
	default:
		answer(ctx, fasthttp.StatusBadRequest, "malformed request")
	}
}

func notFound(ctx *fasthttp.RequestCtx) { answer(ctx, fasthttp.StatusNotFound, whatThereIs) }

// Why a request is refused, for people.
const (
	whatThereIs = "not found: this server has /ws and POST /broadcast"
	wrongKey    = "wrong or missing key: POST /broadcast?key=KEY, or Authorization: Bearer KEY"
)

func tooLarge(ctx *fasthttp.RequestCtx) {
	allowCORS(ctx)
	answer(ctx, fasthttp.StatusRequestEntityTooLarge, "the body is larger than -max-message-size")
}

// answer sets status and a plain text body of one line.
func answer(ctx *fasthttp.RequestCtx, status int, body string) {
	ctx.SetStatusCode(status)
	ctx.SetContentType("text/plain; charset=utf-8")
	ctx.SetBodyString(body + "\n")
}

// upgrade gives a connection back to the event loops for an upgrade that came
// behind another request.
func (h *httpServer) upgrade(ctx *fasthttp.RequestCtx) {
	head := append([]byte(nil), ctx.Request.Header.Header()...)
	r, err := wire.ParseRequest(head)
	if err == nil && string(r.Path) != pathWS {
		notFound(ctx) // it only normalizes to /ws: the loops would hand it off again
		return
	}
	if err != nil || !r.IsUpgrade() {
		ctx.Response.Header.Set("Upgrade", "websocket")
		ctx.Response.Header.Set("Connection", "Upgrade")
		answer(ctx, fasthttp.StatusUpgradeRequired, strings.TrimSpace(howToConnect))
		return
	}
	ctx.HijackSetNoResponse(true)
	ctx.Hijack(func(c net.Conn) {
		if u, ok := c.(interface{ UnsafeConn() net.Conn }); ok {
			if own, ok := u.UnsafeConn().(*httpConn); ok {
				h.giveBack(own, head, c)
			}
		}
	})
}

// broadcast answers /broadcast.
func (h *httpServer) broadcast(ctx *fasthttp.RequestCtx) {
	allowCORS(ctx)
	switch {
	case ctx.IsOptions():
		preflight(ctx)
	case !ctx.IsPost():
		ctx.Response.Header.Set("Allow", allowedMethods)
		answer(ctx, fasthttp.StatusMethodNotAllowed, "publish with POST")
	default:
		if status, why := h.admit(ctx); status != 0 {
			answer(ctx, status, why)
			return
		}
		h.publish(ctx)
	}
}

func allowCORS(ctx *fasthttp.RequestCtx) {
	ctx.Response.Header.Set("Access-Control-Allow-Origin", "*")
}

func preflight(ctx *fasthttp.RequestCtx) {
	ctx.Response.Header.Set("Access-Control-Allow-Methods", allowedMethods)
	ctx.Response.Header.Set("Access-Control-Allow-Headers", "Content-Type, Authorization")
	ctx.Response.Header.Set("Access-Control-Max-Age", "86400")
	ctx.SetStatusCode(fasthttp.StatusNoContent)
}

// expect judges a request before its body is sent, so that a client that asks
// with "Expect: 100-continue" need not send what will be refused.
func (h *httpServer) expect(ctx *fasthttp.RequestCtx) int {
	if string(ctx.Path()) != pathBroadcast || !ctx.IsPost() {
		h.handle(ctx)
		return ctx.Response.StatusCode()
	}
	if ctx.Request.Header.ContentLength() > h.srv.cfg.MaxMessageSize {
		tooLarge(ctx)
		return fasthttp.StatusRequestEntityTooLarge
	}
	if status, why := h.admit(ctx); status != 0 {
		allowCORS(ctx)
		answer(ctx, status, why)
		return status
	}
	return fasthttp.StatusContinue
}

// admit checks what does not need the body: who publishes, and the media type. It
// returns the status and reason of a refusal, or 0.
func (h *httpServer) admit(ctx *fasthttp.RequestCtx) (status int, why string) {
	if !h.srv.keys.admit(ctx.URI().QueryString(), ctx.Request.Header.Peek("Authorization")) {
		return fasthttp.StatusForbidden, wrongKey
	}
	media, _, err := mime.ParseMediaType(string(ctx.Request.Header.ContentType()))
	if err != nil || media != "application/json" {
		return fasthttp.StatusUnsupportedMediaType, "Content-Type must be application/json"
	}
	return 0, ""
}

// publish hands the body's publication to the broker and answers with the outcome.
func (h *httpServer) publish(ctx *fasthttp.RequestCtx) {
	if !utf8.Valid(ctx.PostBody()) { // no text message may hold it; RFC 6455, section 8.1
		answer(ctx, fasthttp.StatusBadRequest, "not valid UTF-8")
		return
	}
	p, bad := command.ParsePublication(ctx.PostBody())
	if bad == nil && len(p.Channel) > h.srv.cfg.MaxChannelLength {
		bad = errChannelLength
	}
	if bad != nil {
		answer(ctx, fasthttp.StatusBadRequest, bad.Message)
		return
	}
	switch err := h.srv.publish(p.Channel, p.Content); {
	case err == nil:
		h.srv.publishedHTTP.Add(1)
		ctx.SetStatusCode(fasthttp.StatusCreated)
	case errors.Is(err, hub.ErrBusy):
		h.unpublished(ctx, &h.srv.droppedHTTP, "1", "not published: "+err.Error())
	case errors.Is(err, broker.ErrFull):
		h.unpublished(ctx, &h.srv.fullHTTP, "1", "not published: "+err.Error())
	case errors.Is(err, broker.ErrUnknown):
		h.unpublished(ctx, &h.srv.failedHTTP, "5", broker.ErrUnknown.Error())
	case errors.Is(err, broker.ErrDown): // the cause may name machines, and is in the log
		h.unpublished(ctx, &h.srv.failedHTTP, "5", "not published: "+broker.ErrDown.Error())
	case errors.Is(err, broker.ErrTooBig): // however often it is tried
		h.srv.failedHTTP.Add(1)
		answer(ctx, fasthttp.StatusRequestEntityTooLarge, "not published: "+broker.ErrTooBig.Error())
	default:
		h.unpublished(ctx, &h.srv.failedHTTP, "5", "not published: "+err.Error())
	}
}

// unpublished answers and counts a publication that the broker did not take.
func (h *httpServer) unpublished(ctx *fasthttp.RequestCtx, count *atomic.Uint64, retry, why string) {
	count.Add(1)
	ctx.Response.Header.Set("Retry-After", retry)
	answer(ctx, fasthttp.StatusServiceUnavailable, why)
}

// publish waits for the outcome of a publication.
func (srv *Server) publish(channel, content []byte) error {
	if srv.hub.Busy(channel, wire.FrameSize(len(content))) {
		return hub.ErrBusy
	}
	if !srv.broker.Asynchronous() {
		_, err := srv.broker.Publish(channel, content, nil)
		return err
	}
	outcome := make(chan error, 1)
	pending, err := srv.broker.Publish(channel, content, func(err error) { outcome <- err })
	if !pending {
		return err
	}
	timer := time.NewTimer(publishTimeout)
	defer timer.Stop()
	select {
	case err := <-outcome:
		return err
	case <-timer.C:
		return broker.ErrUnknown
	}
}
