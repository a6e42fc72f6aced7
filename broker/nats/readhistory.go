package nats

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"wsify/broker"
	"wsify/broker/internal/link"
)

// getRequest asks for a message of a stream; the field names are those of JetStream's API.
type getRequest struct {
	Seq   uint64 `json:"seq,omitempty"`
	Last  string `json:"last_by_subj,omitempty"`
	Next  string `json:"next_by_subj,omitempty"`
	Batch int    `json:"batch,omitempty"`

	MaxBytes int `json:"max_bytes,omitempty"`
}

// getAnswer is the leader's answer; only what is needed of it.
type getAnswer struct {
	Message *struct {
		Seq uint64 `json:"seq"`
	} `json:"message"`
	Error *apiError `json:"error"`
}

type apiError struct {
	Code        int    `json:"code"`
	Description string `json:"description"`
}

func (e *apiError) Error() string { return e.Description }

var (
	errBehind = errors.New("the server that has the history is behind the others")
	errAnswer = errors.New("JetStream gives an answer that cannot be read")
)

// batchBytes is the most that a server is asked for at once, so that nats.go does not drop any.
const batchBytes = 8 << 20

// behindPause is the time between two questions to a replica that is behind its leader.
const behindPause = 20 * time.Millisecond

// ReadHistory implements broker.HistoryLink.
//
// Publications of a channel are dropped in their order: those that have expired, which are the first
// of the stream, and those beyond one more than Size. So nothing behind a position was dropped while
// an older one of the channel is still kept; and neither if the stream still begins at or before the
// position, and the channel has at most Size.
func (l *serverLink) ReadHistory(ctx context.Context, channel string, after broker.Position, last int) (broker.Page, error) {
	if l.keep == nil {
		return broker.Page{}, broker.ErrNoHistory
	}
	defer context.AfterFunc(ctx, l.cut)()
	subject, err := subjectOf(channel)
	if err != nil {
		return broker.Page{}, err
	}
	page, err := l.keep.read(ctx, channel, inbound+subject, after, last)
	switch {
	case errors.Is(err, errReplaced):
		l.lost(err)
		err = fmt.Errorf("%w: %w", broker.ErrDown, err)
	case err != nil:
		err = fmt.Errorf("read history: %w", l.engine.dsn.secrets.Err(err))
	}
	return page, err
}

func (k *keeper) read(ctx context.Context, channel, subject string, after broker.Position, last int) (broker.Page, error) {
	state, err := k.state(ctx)
	if err != nil {
		return broker.Page{}, err
	}
	newest, err := k.newest(ctx, subject)
	if err != nil {
		return broker.Page{}, err
	}
	page := broker.Page{Tail: broker.Position{Epoch: k.epoch, Offset: newest}, Complete: true}
	if newest == 0 {
		page.Tail.Offset = state.LastSeq
	}
	switch {
	case last > 0:
		_, err = k.fill(ctx, subject, &page, 1, newest, min(last, k.Size))
	case after != broker.Position{}:
		err = k.readAfter(ctx, subject, &page, after, newest)
	}
	if err == nil && newest == 0 {
		k.began(channel, page.Tail.Offset)
	}
	return page, err
}

// readAfter reads what follows a position.
func (k *keeper) readAfter(ctx context.Context, subject string, page *broker.Page, after broker.Position, newest uint64) (err error) {
	if page.Complete = false; after.Epoch == k.epoch {
		oldest := newest
		if newest > after.Offset {
			if oldest, err = k.fill(ctx, subject, page, after.Offset+1, newest, k.Size+1); err != nil {
				return err
			}
		}
		state, err := k.state(ctx, jetstream.WithSubjectFilter(subject)) // afterwards, because it may be dropped meanwhile
		if err != nil {
			return err
		}
		older := oldest > 0 && oldest <= after.Offset
		few := after.Offset+1 >= state.FirstSeq && state.Subjects[subject] < min(uint64(k.Size)+1, state.most)
		if page.Complete = after.Offset <= state.LastSeq && (older || few); page.Complete {
			if len(page.Entries) == 0 {
				page.Tail = after
			}
			return nil
		}
	}
	if page.Entries = nil; newest > 0 {
		newest = page.Tail.Offset
	}
	_, err = k.fill(ctx, subject, page, 1, newest, k.Size)
	return err
}

// streamState is what a stream says of itself.
type streamState struct {
	jetstream.StreamState
	most uint64 // how many of a channel it keeps
}

// state asks the stream's leader.
func (k *keeper) state(ctx context.Context, more ...jetstream.StreamInfoOpt) (s streamState, err error) {
	info, err := k.handle.Info(ctx, more...)
	if err != nil {
		return s, err
	}
	if !info.Created.Equal(k.opened) {
		return s, errReplaced
	}
	return streamState{info.State, uint64(info.Config.MaxMsgsPerSubject)}, nil // -1 is no limit
}

// newest asks the leader for the sequence of the newest publication to a subject; 0 is none.
func (k *keeper) newest(ctx context.Context, subject string) (uint64, error) {
	return k.sequence(ctx, getRequest{Last: subject})
}

// sequence asks the leader for the sequence of a publication; 0 is none.
func (k *keeper) sequence(ctx context.Context, which getRequest) (uint64, error) {
	request, _ := json.Marshal(which) // a struct of texts and numbers
	m, err := k.nc.RequestWithContext(ctx, k.api+"STREAM.MSG.GET."+k.stream, request)
	if err != nil {
		return 0, err
	}
	return parseSequence(m.Data)
}

func parseSequence(answer []byte) (uint64, error) {
	var a getAnswer
	switch err := json.Unmarshal(answer, &a); {
	case err != nil, a.Error == nil && a.Message == nil:
		return 0, errAnswer
	case a.Error != nil && a.Error.Code == 404:
		return 0, nil
	case a.Error != nil:
		return 0, a.Error
	}
	return a.Message.Seq, nil
}

// fill adds to page the publications from a sequence on, the newest most of them, until it has that
// of the sequence newest. The server that answers may be behind the leader. It returns the sequence of
// the oldest one that is kept afterwards; those before it are left out, as some behind them may have
// been dropped before they were read.
func (k *keeper) fill(ctx context.Context, subject string, page *broker.Page, from, newest uint64, most int) (oldest uint64, err error) {
	if newest == 0 {
		return 0, nil
	}
	for {
		before := from
		err := k.batch(ctx, subject, from, func(e broker.Entry) {
			if e.Head.Prev = from - 1; from == 1 { // what was before is not known
				e.Head.Prev = e.Head.Position.Offset - 1
			}
			from = e.Head.Position.Offset + 1
			if page.Entries = append(page.Entries, e); len(page.Entries) > 2*most {
				page.Entries = page.Entries[len(page.Entries)-most:]
			}
		})
		switch {
		case err != nil:
			return 0, err
		case from > newest:
			page.Entries = page.Entries[max(0, len(page.Entries)-most):]
			page.Tail.Offset = max(page.Tail.Offset, from-1)
			oldest, err = k.sequence(ctx, getRequest{Seq: 1, Next: subject})
			page.Entries = slices.DeleteFunc(page.Entries, func(e broker.Entry) bool { return oldest == 0 || e.Head.Position.Offset < oldest })
			return oldest, err
		case from == before:
			if link.Pause(ctx, behindPause); ctx.Err() != nil {
				return 0, errBehind
			}
			if newest, err = k.newest(ctx, subject); err != nil { // it may have expired
				return 0, err
			}
		}
	}
}

// batch asks for publications to a subject from a sequence on, and calls got for each that comes. A
// server before 2.11 returns one at a time.
func (k *keeper) batch(ctx context.Context, subject string, from uint64, got func(broker.Entry)) error {
	inbox := k.nc.NewRespInbox()
	sub, err := k.nc.SubscribeSync(inbox)
	if err != nil {
		return err
	}
	defer func() { _ = sub.Unsubscribe() }()
	request, _ := json.Marshal(getRequest{Seq: from, Next: subject, Batch: k.Size + 1, MaxBytes: batchBytes}) // a struct of texts and numbers
	if err := k.nc.PublishRequest(k.api+"DIRECT.GET."+k.stream, inbox, request); err != nil {
		return err
	}
	for {
		m, err := sub.NextMsgWithContext(ctx)
		if err != nil {
			return err
		}
		e, more, err := k.entry(m)
		if err != nil || e == nil {
			return err
		}
		if got(*e); !more {
			return nil
		}
	}
}

// entry reads an answer to a direct get. It is nil for the end of a batch, and when there is nothing.
func (k *keeper) entry(m *nats.Msg) (e *broker.Entry, more bool, err error) {
	switch status := m.Header.Get(headerStatus); status {
	case "":
	case "204", "404":
		return nil, false, nil
	default:
		return nil, false, fmt.Errorf("direct get: %s %s", status, m.Header.Get("Description"))
	}
	seq, err := strconv.ParseUint(m.Header.Get(headerSequence), 10, 64)
	if err != nil || seq == 0 {
		return nil, false, errAnswer
	}
	e = &broker.Entry{}
	e.Head, e.Content, _ = broker.SplitHead(m.Data)
	e.Head.Position = broker.Position{Epoch: k.epoch, Offset: seq}
	return e, m.Header.Get(headerPending) != "", nil
}
