package sse

import (
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"wsify/internal/command"
	"wsify/internal/wire"
)

// Path is the URL path of streams. Methods are the methods allowed there.
const (
	Path    = "/sse"
	Methods = "GET, OPTIONS"
)

// Names of the query's parameters.
const (
	inChannel     = "channel"
	inLastEventID = "last-event-id"
)

// Rules are the rules for requests. They are immutable.
type Rules struct {
	MaxChannels      int // of one stream
	MaxChannelLength int // bytes
	// NeedsChannel: a request has to name a channel. Otherwise an authorizer may say what
	// its sender hears.
	NeedsChannel bool
}

// Request is a request for a stream.
type Request struct {
	Channels []string // in the order of the query, each once
	After    string   // where the stream goes on: Last-Event-ID; empty for now
}

// A Refusal is the answer to a request that begins no stream. The zero value means that it
// may begin.
type Refusal struct {
	Status  int
	Headers string
	Detail  string
}

var (
	errMethod = Refusal{405, "Allow: " + Methods + "\r\n", "a stream of events is read with GET"}
	errBody   = Refusal{400, "", "a request for a stream of events has no body"}
	errQuery  = Refusal{400, "", "the query cannot be decoded"}
	errUTF8   = Refusal{400, "", "a channel's name is not UTF-8 when it is decoded"}
	errMany   = Refusal{400, "", "more channels than -max-channels-per-connection"}
)

// NoChannel refuses a request that names no channel.
var NoChannel = Refusal{400, "", "name at least one channel: /sse?channel=NAME"}

// Parse reads a request. The channels and the position are those of the query, with one
// exception: the header Last-Event-ID, which a browser sends when it reconnects, is newer.
func (r *Rules) Parse(req *wire.Request) (q Request, no Refusal) {
	if string(req.Method) != "GET" {
		return q, errMethod
	}
	if req.Length() != 0 {
		return q, errBody
	}
	query, err := url.ParseQuery(string(req.RawQuery))
	if err != nil {
		return q, errQuery
	}
	for _, name := range query[inChannel] {
		if no := r.Add(&q, strings.TrimSpace(name)); no.Status != 0 {
			return q, no
		}
	}
	if len(q.Channels) == 0 && r.NeedsChannel {
		return q, NoChannel
	}
	if q.After = string(req.Header("Last-Event-ID")); q.After == "" {
		q.After = query.Get(inLastEventID)
	}
	return q, Refusal{}
}

// Add adds a channel, unless the request has it.
func (r *Rules) Add(q *Request, name string) Refusal {
	bad := command.CheckName([]byte(name))
	if bad == nil && len(name) > r.MaxChannelLength {
		bad = command.ErrChannelLength
	}
	switch {
	case bad != nil:
		return Refusal{400, "", bad.Message}
	case !utf8.ValidString(name):
		return errUTF8
	case slices.Contains(q.Channels, name):
	case len(q.Channels) == r.MaxChannels:
		return errMany
	default:
		q.Channels = append(q.Channels, name)
	}
	return Refusal{}
}
