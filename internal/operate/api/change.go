package api

import (
	"fmt"
	"net/http"
	"strings"
	"unicode/utf8"
)

// Codes of Close frames that a kick may send; RFC 6455, section 7.4.2: for private use.
const (
	defaultCode = 4003
	minCode     = 4000
	maxCode     = 4999
	maxReason   = 123 // bytes; section 5.5
)

// kick closes connections on all nodes.
func (a *API) kick(w http.ResponseWriter, r *http.Request) error {
	var body struct{ ID, Channel, Address, User, Reason string }
	code := defaultCode
	if err := decode(w, r, fields{"id": &body.ID, "channel": &body.Channel, "address": &body.Address, "user": &body.User, "reason": &body.Reason, "code": &code}); err != nil {
		return err
	}
	body.Channel = strings.TrimSpace(body.Channel)
	targets := 0
	for _, target := range []string{body.ID, body.Channel, body.Address, body.User} {
		if target != "" {
			targets++
		}
	}
	switch {
	case targets != 1:
		return badRequest("give one of id, channel, address and user")
	case reserved(body.Channel):
		return errReserved
	}
	address, err := addressOf(body.Address)
	if err != nil {
		return err
	}
	switch {
	case code < minCode || code > maxCode:
		return badRequest(fmt.Sprintf("code has to be from %d to %d", minCode, maxCode))
	case len(body.Reason) > maxReason || !utf8.ValidString(body.Reason):
		return badRequest(fmt.Sprintf("reason may have %d bytes", maxReason))
	}
	return a.order(w, r, Order{ID: body.ID, Channel: body.Channel, Address: address, User: body.User, Code: uint16(code), Reason: body.Reason})
}

// reserved reports whether a channel is one of those that nodes use among themselves: a user's, for
// example, without which a connection would have no user any more.
func reserved(channel string) bool { return strings.HasPrefix(channel, "\x00") }

var errReserved = badRequest("a channel's name must not begin with U+0000")

// unsubscribe ends memberships on all nodes.
func (a *API) unsubscribe(w http.ResponseWriter, r *http.Request) error {
	var body struct {
		Channel, ID, User string
		All               bool
	}
	if err := decode(w, r, fields{"channel": &body.Channel, "id": &body.ID, "user": &body.User, "all": &body.All}); err != nil {
		return err
	}
	targets := 0
	for _, given := range []bool{body.ID != "", body.User != "", body.All} {
		if given {
			targets++
		}
	}
	switch body.Channel = strings.TrimSpace(body.Channel); {
	case body.Channel == "":
		return badRequest("channel is missing")
	case reserved(body.Channel):
		return errReserved
	case targets != 1:
		return badRequest(`give an id, a user, or "all":true`)
	}
	return a.order(w, r, Order{Unsubscribe: true, ID: body.ID, User: body.User, Channel: body.Channel})
}

// order carries out an order. What did not reach all nodes must not look like a success.
func (a *API) order(w http.ResponseWriter, r *http.Request, o Order) error {
	done, err := a.control.Order(r.Context(), o)
	switch {
	case err != nil:
		return &Error{503, "timeout", err.Error() + "; it goes on", &done}
	case done.Nodes != NodesNone && done.Nodes != NodesTold:
		return &Error{503, "broker_down", "the broker did not take it, so other nodes may not know of it: send it again", &done}
	}
	answer(w, http.StatusOK, done)
	return nil
}
