package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"unicode/utf8"
)

// maxBody is the largest body of a request. The longest name of a channel takes most of it.
const maxBody = 512 << 10

// Codes of Close frames that a kick may send; RFC 6455, section 7.4.2: for private use.
const (
	defaultCode = 4003
	minCode     = 4000
	maxCode     = 4999
	maxReason   = 123 // bytes; section 5.5
)

// decode reads the JSON of a request into v. It is strict, because a field that is written wrong
// would be one that is missing.
func decode(w http.ResponseWriter, r *http.Request, v any) error {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return &Error{415, "unsupported_media_type", "the Content-Type has to be application/json", nil}
	}
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	d.DisallowUnknownFields()
	err := d.Decode(v)
	if err == nil {
		if _, err = d.Token(); err == nil {
			return badRequest("there is something behind the object")
		} else if errors.Is(err, io.EOF) {
			return nil
		}
	}
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return &Error{413, "too_large", fmt.Sprintf("the body has more than %d bytes", large.Limit), nil}
	case errors.Is(err, io.EOF):
		return badRequest("the body is empty; it has to be a JSON object")
	}
	return badRequest(strings.TrimPrefix(err.Error(), "json: "))
}

// kick closes connections on all nodes.
func (a *API) kick(w http.ResponseWriter, r *http.Request) error {
	var body struct {
		ID, Channel, Address, Reason string
		Code                         *int
	}
	if err := decode(w, r, &body); err != nil {
		return err
	}
	body.Channel = strings.TrimSpace(body.Channel)
	targets := 0
	for _, target := range []string{body.ID, body.Channel, body.Address} {
		if target != "" {
			targets++
		}
	}
	if targets != 1 {
		return badRequest("give one of id, channel and address")
	}
	address, err := addressOf(body.Address)
	if err != nil {
		return err
	}
	code := defaultCode
	if body.Code != nil {
		code = *body.Code
	}
	switch {
	case code < minCode || code > maxCode:
		return badRequest(fmt.Sprintf("code has to be from %d to %d", minCode, maxCode))
	case len(body.Reason) > maxReason || !utf8.ValidString(body.Reason):
		return badRequest(fmt.Sprintf("reason may have %d bytes", maxReason))
	}
	return a.order(w, r, Order{ID: body.ID, Channel: body.Channel, Address: address, Code: uint16(code), Reason: body.Reason})
}

// unsubscribe ends memberships on all nodes.
func (a *API) unsubscribe(w http.ResponseWriter, r *http.Request) error {
	var body struct {
		Channel, ID string
		All         bool
	}
	if err := decode(w, r, &body); err != nil {
		return err
	}
	switch body.Channel = strings.TrimSpace(body.Channel); {
	case body.Channel == "":
		return badRequest("channel is missing")
	case (body.ID != "") == body.All:
		return badRequest(`give an id, or "all":true`)
	}
	return a.order(w, r, Order{Unsubscribe: true, ID: body.ID, Channel: body.Channel})
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
