package server

import (
	"context"
	"errors"

	"wsify/internal/operate/api"
	"wsify/internal/session"
)

// control is the server's api.Control.
type control struct{ node *session.Node }

var _ api.Control = control{}

func (c control) Channels(prefix, after string, limit int) (page []api.Channel, more bool) {
	found, more := c.node.ListChannels(prefix, after, limit)
	for _, ch := range found {
		page = append(page, api.Channel(ch))
	}
	return page, more
}

func (c control) Members(channel string) int { return c.node.Members(channel) }

func (c control) Connections(ctx context.Context, f api.Filter, after string, limit int) (page []api.Connection, more bool, err error) {
	found, more, err := c.node.ListConnections(ctx, session.ConnFilter(f), after, limit)
	for _, info := range found {
		page = append(page, api.Connection(info))
	}
	return page, more, notFound(err)
}

func (c control) Connection(ctx context.Context, id string) (api.Connection, error) {
	info, err := c.node.Connection(ctx, id)
	return api.Connection(info), notFound(err)
}

func (c control) Order(ctx context.Context, o api.Order) (api.Carried, error) {
	done, err := c.node.Order(ctx, session.Order(o))
	return api.Carried(done), err
}

func notFound(err error) error {
	if errors.Is(err, session.ErrForeign) {
		return api.ErrNotFound
	}
	return err
}
