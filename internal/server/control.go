package server

import (
	"context"
	"errors"
	"log/slog"

	"wsify/internal/operate/api"
	"wsify/internal/session"
)

// control is the server's api.Control.
type control struct{ srv *Server }

var _ api.Control = control{}

func (c control) Channels(prefix, after string, limit int) (page []api.Channel, more bool) {
	found, more := c.srv.node.ListChannels(prefix, after, limit)
	for _, ch := range found {
		page = append(page, api.Channel(ch))
	}
	return page, more
}

func (c control) Members(channel string) int { return c.srv.node.Members(channel) }

func (c control) Connections(ctx context.Context, f api.Filter, after string, limit int) (page []api.Connection, more bool, err error) {
	found, more, err := c.srv.node.ListConnections(ctx, session.ConnFilter(f), after, limit)
	for _, info := range found {
		page = append(page, api.Connection(info))
	}
	return page, more, notFound(err)
}

func (c control) Connection(ctx context.Context, id string) (api.Connection, error) {
	info, err := c.srv.node.Connection(ctx, id)
	return api.Connection(info), notFound(err)
}

func (c control) Order(ctx context.Context, o api.Order) (api.Carried, error) {
	done, err := c.srv.node.Order(ctx, session.Order(o))
	return api.Carried(done), err
}

func notFound(err error) error {
	if errors.Is(err, session.ErrForeign) {
		return api.ErrNotFound
	}
	return err
}

func (c control) SetLogLevel(level slog.Level) bool {
	to := c.srv.cfg.LogLevel
	if to == nil {
		return false
	}
	was := to.Level()
	to.Set(level)
	c.srv.log.Warn("an operator has changed the level of the log", "level", level.String(), "was", was.String())
	return true
}

func (c control) Drain() bool    { return c.srv.Drain() }
func (c control) Undrain() bool  { return c.srv.Undrain() }
func (c control) Draining() bool { return c.srv.node.Draining() || c.srv.leaving.Load() }

func (c control) Reload() (api.Reloaded, error) {
	got, err := c.srv.Reload()
	if errors.Is(err, ErrNoReread) {
		err = api.ErrUnavailable
	}
	return got, err
}
