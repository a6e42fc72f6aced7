package api

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Bounds of a page of a list.
const (
	defaultLimit = 100
	maxLimit     = 1000
)

// query returns the parameters of a request. A name that is not known is an error, because a
// filter that is written wrong would match everything.
func query(r *http.Request, known ...string) (url.Values, error) {
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, badRequest("the query is not percent-encoded as it has to be")
	}
	for name, values := range q {
		if !slices.Contains(known, name) {
			return nil, badRequest(fmt.Sprintf("there is no parameter %q; %s", name, list(known)))
		}
		if len(values) > 1 {
			return nil, badRequest(fmt.Sprintf("%s is there more than once", name))
		}
	}
	return q, nil
}

// limitOf returns the number of entries that a page may have.
func limitOf(q url.Values) (int, error) {
	if !q.Has("limit") {
		return defaultLimit, nil
	}
	n, err := strconv.Atoi(q.Get("limit"))
	if err != nil || n < 1 || n > maxLimit {
		return 0, badRequest(fmt.Sprintf("limit has to be a number from 1 to %d", maxLimit))
	}
	return n, nil
}

// addressOf parses an address, or a prefix of addresses. Empty is the zero Prefix.
func addressOf(s string) (netip.Prefix, error) {
	if s == "" {
		return netip.Prefix{}, nil
	}
	if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
		return a.Unmap().Prefix(a.Unmap().BitLen())
	}
	p, err := netip.ParsePrefix(s)
	if err != nil || p.Addr().Is4In6() {
		return p, badRequest(fmt.Sprintf("%q is neither an address, as 192.0.2.1 or 2001:db8::1, nor a prefix, as 192.0.2.0/24", s))
	}
	return p.Masked(), nil
}

// look waits until no other request looks at all channels or connections: that takes processor time
// from the event loops. The caller calls done at the end.
func (a *API) look(r *http.Request) (ctx context.Context, done func(), err error) {
	ctx, cancel := context.WithTimeout(r.Context(), a.timeout)
	select {
	case a.walking <- struct{}{}:
		return ctx, func() { <-a.walking; cancel() }, nil
	case <-ctx.Done():
		cancel()
		return nil, nil, &Error{503, "busy", "other requests for lists take too long", nil}
	}
}

// channelPage is a page of channels; Next is the parameter after of the next one.
type channelPage struct {
	Channels []Channel `json:"channels"`
	Next     string    `json:"next,omitempty"`
}

func (a *API) channels(w http.ResponseWriter, r *http.Request) error {
	q, err := query(r, "prefix", "after", "limit")
	if err != nil {
		return err
	}
	limit, err := limitOf(q)
	if err != nil {
		return err
	}
	_, done, err := a.look(r)
	if err != nil {
		return err
	}
	page, more := a.control.Channels(q.Get("prefix"), q.Get("after"), limit)
	done()
	p := channelPage{Channels: append([]Channel{}, page...)}
	if more {
		p.Next = page[len(page)-1].Name
	}
	answer(w, http.StatusOK, p)
	return nil
}

func (a *API) channel(w http.ResponseWriter, r *http.Request) error {
	if _, err := query(r); err != nil {
		return err
	}
	name := strings.TrimSpace(r.PathValue("name"))
	members := a.control.Members(name)
	if members == 0 {
		return &Error{404, "not_found", "the channel has no members on this node", nil}
	}
	answer(w, http.StatusOK, Channel{name, members})
	return nil
}

// connectionPage is a page of connections.
type connectionPage struct {
	Connections []Connection `json:"connections"`
	Next        string       `json:"next,omitempty"`
}

func (a *API) connections(w http.ResponseWriter, r *http.Request) error {
	q, err := query(r, "channel", "address", "user", "after", "limit")
	if err != nil {
		return err
	}
	limit, err := limitOf(q)
	if err != nil {
		return err
	}
	address, err := addressOf(q.Get("address"))
	if err != nil {
		return err
	}
	ctx, done, err := a.look(r)
	if err != nil {
		return err
	}
	page, more, err := a.control.Connections(ctx, Filter{strings.TrimSpace(q.Get("channel")), address, q.Get("user")}, q.Get("after"), limit)
	done()
	if err != nil {
		return err
	}
	p := connectionPage{Connections: append([]Connection{}, page...)}
	if more {
		p.Next = page[len(page)-1].ID
	}
	answer(w, http.StatusOK, p)
	return nil
}

func (a *API) connection(w http.ResponseWriter, r *http.Request) error {
	if _, err := query(r); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(r.Context(), a.timeout)
	defer cancel()
	c, err := a.control.Connection(ctx, r.PathValue("id"))
	if err != nil {
		return err
	}
	answer(w, http.StatusOK, c)
	return nil
}
