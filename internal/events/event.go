package events

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Kind says what happened.
type Kind uint8

const (
	Disconnect Kind = iota // a session has ended
	Occupied               // a channel has its first member on this node
	Vacated                // a channel has lost its last member on this node
	Slow                   // a session became a slow consumer
	Kicked                 // an operator closed a session
	numKinds
)

var kindNames = [numKinds]string{"disconnect", "occupied", "vacated", "slow", "kicked"}

// String returns the kind's name, as in -events.
func (k Kind) String() string {
	if k < numKinds {
		return kindNames[k]
	}
	return "invalid"
}

// MarshalText returns the kind's name.
func (k Kind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// ParseKind returns the kind with this name.
func ParseKind(name string) (Kind, error) {
	if i := slices.Index(kindNames[:], name); i >= 0 {
		return Kind(i), nil
	}
	return 0, fmt.Errorf("%q is none of %s", name, strings.Join(kindNames[:], ", "))
}

// Event is one event, as it is sent. Those of sessions have a Connection, those of channels a
// Channel.
type Event struct {
	Kind       Kind      `json:"event"`
	Connection string    `json:"connection,omitempty"`
	User       string    `json:"user,omitempty"`
	Address    string    `json:"address,omitempty"`
	Channel    string    `json:"channel,omitempty"`
	Code       uint16    `json:"code,omitempty"`    // close code
	Reason     string    `json:"reason,omitempty"`  // why the session ended, or was closed
	Seconds    *float64  `json:"seconds,omitempty"` // for how long the session has been open
	Node       string    `json:"node"`              // set by Add
	Time       time.Time `json:"time"`              // when it happened
}

// stamp returns t as it is sent: to a millisecond.
func stamp(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }
