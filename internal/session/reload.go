package session

import (
	"time"

	"wsify/internal/publish"
)

// snapshot has the settings that a running Node can change. It never changes itself: a
// reload replaces it.
type snapshot struct {
	rules                    publish.Rules
	origins                  origins
	handshakeTimeout         time.Duration
	maxHeadSize              int
	maxChannelsPerConnection int
	dropSlow                 bool
	limitsInForce
}

// now returns the settings in force.
func (n *Node) now() *snapshot { return n.current.Load() }

// Reload puts those of cfg in force that a running Node can change: BroadcastingKey,
// AllowedOrigins, HandshakeTimeout, MaxHeadSize, MaxChannelsPerConnection, DropSlow and
// Limits. It ignores the others. The new settings apply to what a client does next and end no
// connection: one that is a member of more channels than it now may be stays in them.
func (n *Node) Reload(cfg Settings) {
	n.current.Store(&snapshot{
		rules: publish.Rules{
			Keys: publish.NewKeys(cfg.BroadcastingKey), MaxMessageSize: n.cfg.MaxMessageSize, MaxHeadSize: cfg.MaxHeadSize, MaxChannelLength: n.cfg.MaxChannelLength,
		},
		origins: newOrigins(cfg.AllowedOrigins), handshakeTimeout: cfg.HandshakeTimeout, maxHeadSize: cfg.MaxHeadSize,
		maxChannelsPerConnection: cfg.MaxChannelsPerConnection, dropSlow: cfg.DropSlow,
		limitsInForce: n.limitsAfter(n.current.Load(), cfg.Limits),
	})
}
