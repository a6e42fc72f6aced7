package api

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"time"
)

// Control is the server, as the API sees it. Any goroutine may call its methods. Those with a
// context return when it ends at the latest; if event loops are not done then, the error names them.
type Control interface {
	// Channels returns channels sorted by name, and whether there are others behind the last one.
	Channels(prefix, after string, limit int) (page []Channel, more bool)
	// Members returns how many members a channel has on this node.
	Members(channel string) int
	// Connections returns connections behind the one named after, and whether there may be others
	// behind the last one. The error is ErrNotFound if after is no id of this node.
	Connections(ctx context.Context, f Filter, after string, limit int) (page []Connection, more bool, err error)
	// Connection describes one connection. The error is ErrNotFound if there is none.
	Connection(ctx context.Context, id string) (Connection, error)
	// Order carries out an order on all nodes. An order that has begun is not undone when ctx ends.
	Order(ctx context.Context, o Order) (Carried, error)

	// SetLogLevel reports false if the level cannot change.
	SetLogLevel(level slog.Level) bool
	// Drain reports whether the drain has begun with this call, and Undrain whether it has ended.
	Drain() (began bool)
	Undrain() (ended bool)
	Draining() bool
	// Reload reads the configuration again. After an error nothing is changed; it has no secret.
	Reload() (Reloaded, error)
}

// ErrNotFound means that no connection of this node has the id.
var ErrNotFound = errors.New("no connection of this node has this id")

// Channel is a channel with members.
type Channel struct {
	Name    string `json:"name"`
	Members int    `json:"members"`
}

// Connection describes a connection.
type Connection struct {
	ID       string    `json:"id"`
	Address  string    `json:"address"`
	Since    time.Time `json:"since"`
	Idle     float64   `json:"idle_seconds"`
	Channels int       `json:"channels"`
	Queued   int       `json:"queued_bytes"`
	State    string    `json:"state"`
	Loop     int       `json:"loop"`
	User     string    `json:"user,omitempty"`
	Names    []string  `json:"channel_names,omitempty"`

	Protocol   string `json:"protocol,omitempty"`
	Compressed bool   `json:"compressed,omitempty"`
}

// Filter says which connections are meant. Zero fields match everything.
type Filter struct {
	Channel string
	Address netip.Prefix
	User    string
}

// Order is something to do to connections on all nodes: a kick of the one with an ID, of the members
// of a Channel, of those from an Address, or of those of a User; or the end of memberships of Channel,
// of the one with an ID, of those of a User, or of all if both are empty.
type Order struct {
	Unsubscribe bool
	ID          string
	Channel     string
	Address     netip.Prefix
	User        string
	Code        uint16
	Reason      string
}

// Carried is the outcome of an Order.
type Carried struct {
	Here  int    `json:"here"`
	Nodes string `json:"nodes"`
}

// Values of Carried.Nodes.
const (
	NodesNone = "none" // there are no others
	NodesTold = "told"
)
