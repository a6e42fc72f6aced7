package broker

import (
	"context"
	"fmt"
	"slices"

	"wsify/broker/internal/link"
)

// ReadHistory implements Historian. Publications that may not be delivered are left out and counted,
// and the page is not complete then.
func (r *Remote) ReadHistory(ctx context.Context, channel string, after Position, last int) (Page, error) {
	if !r.cfg.History.Keeps(channel) {
		return Page{}, ErrNoHistory
	}
	l := r.opened.Load()
	switch {
	case r.ctx.Err() != nil:
		return Page{}, ErrClosed
	case l == nil:
		return Page{}, ErrDown
	case ctx.Err() != nil:
		return Page{}, context.Cause(ctx)
	}
	h, ok := l.link.(HistoryLink)
	if !ok {
		return Page{}, ErrNoHistory
	}
	within, cancel := link.Within(l.ctx, ReadTimeout)
	defer cancel()
	page, err := h.ReadHistory(within, r.cfg.Prefix+channel, after, last)
	if err != nil && l.ctx.Err() != nil {
		return Page{}, fmt.Errorf("%w: %w", ErrDown, err)
	}
	page.Entries = slices.DeleteFunc(page.Entries, func(e Entry) bool {
		reason := r.unfit(e.Content)
		if reason == "" {
			return false
		}
		r.drop(reason, link.Bytes(channel), len(e.Content))
		page.Complete = false
		return true
	})
	return page, err
}

// WhenResumed implements Historian.
func (r *Remote) WhenResumed(resumed func(channel string)) { r.resumed = resumed }

// mayHaveMissed reports that publications of a channel may not have been received.
func (r *Remote) mayHaveMissed(channel string) {
	if r.resumed != nil && r.cfg.History.Keeps(channel) {
		r.resumed(channel)
	}
}
