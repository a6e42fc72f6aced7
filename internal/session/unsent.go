package session

import (
	"errors"

	"wsify/broker"
	"wsify/hub"
	"wsify/internal/command"
)

// unsent is why a backend's publication was not published, or may not have been.
type unsent struct {
	*command.Error
	status int
	retry  string // seconds until a retry may succeed; empty: it cannot
	why    dropReason
}

// retryAfter returns the header that says when to retry.
func (u *unsent) retryAfter() string {
	if u.retry == "" {
		return ""
	}
	return "Retry-After: " + u.retry + "\r\n"
}

// unsentFor says what a backend is told of an error of the broker, or of a channel without room.
func unsentFor(err error) *unsent {
	said := func(code, text string, status int, retry string, why dropReason) *unsent {
		return &unsent{&command.Error{Code: code, Message: text}, status, retry, why}
	}
	switch {
	case errors.Is(err, hub.ErrBusy):
		return said(command.Limit, "not published: "+err.Error(), 503, "1", dropBusy)
	case errors.Is(err, errPublisherGone): // who sends it again, with the same Idempotency-Key, is told
		return said(command.Limit, "not published: "+err.Error(), 503, "1", dropGone)
	case errors.Is(err, broker.ErrFull):
		return said(command.Limit, "not published: "+err.Error(), 503, "1", dropFull)
	case errors.Is(err, broker.ErrUnknown):
		return said(command.BrokerDown, broker.ErrUnknown.Error(), 503, "5", dropBroker)
	case errors.Is(err, broker.ErrDown): // the cause may name machines, and is in the log
		return said(command.BrokerDown, "not published: "+broker.ErrDown.Error(), 503, "5", dropBroker)
	case errors.Is(err, broker.ErrTooBig): // a retry cannot succeed
		return said(command.Limit, "not published: "+broker.ErrTooBig.Error(), 413, "", dropBroker)
	}
	return said(command.BrokerDown, "not published: "+err.Error(), 503, "5", dropBroker)
}

// tooOften is for a channel that has had too many publications.
var tooOften = &unsent{errPublishRate, 429, "1", dropPublishRate}

// malformed is for what is no publication.
func malformed(bad *command.Error) *unsent { return &unsent{Error: bad, status: 400} }
