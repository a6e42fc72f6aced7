package redis

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"wsify/broker"
)

// examine is the Examine of Driver.
func examine(ctx context.Context, cfg broker.Config) (broker.Examination, error) {
	e, err := newEngine(cfg)
	if err != nil {
		return broker.Examination{}, err
	}
	x, err := broker.Examine(ctx, cfg, e, func(ctx context.Context, _ broker.Link, x *broker.Examination) {
		x.Servers = e.servers(ctx)
	})
	if err != nil {
		return broker.WithoutHistory(cfg, err, func(cfg broker.Config) (broker.Examination, error) { return examine(ctx, cfg) })
	}
	return x, nil
}

// servers asks the masters for what they say of themselves. Those that do not answer are
// left out: Open has reached what the link needs.
func (e *engine) servers(ctx context.Context) []broker.Server {
	config, err := e.o.tlsConfig()
	if err != nil {
		return nil
	}
	d := &dialer{o: e.o, tls: config, timeout: e.o.timeout, limit: e.limit, keep: e.keep, log: e.log}
	addrs := e.addrs
	if e.o.masterSet != "" {
		if addrs, _, err = d.askSentinels(ctx); err != nil {
			return nil
		}
		addrs = addrs[:1]
	}
	answers, _ := askAll(addrs, func(addr string) (broker.Server, error) { return d.examineServer(ctx, addr) })
	return slices.DeleteFunc(answers, func(s broker.Server) bool { return s.Version == "" })
}

// examineServer asks one server. A replica has no version in the answer: nothing is
// published there.
func (d *dialer) examineServer(ctx context.Context, addr string) (broker.Server, error) {
	c, info, err := d.login(ctx, addr, nil)
	if err != nil || info.replica() {
		if c != nil {
			c.close()
		}
		return broker.Server{}, err
	}
	defer c.close()
	s := broker.Server{Addr: addr, Version: info["version"], MayLose: d.o.mayLose(ctx, c)}
	if r, err := c.call(ctx, "CONFIG", "GET", "client-output-buffer-limit"); err == nil { // a user that may not ask is told so
		s.Waiting = waitingOf(r.pairs()["client-output-buffer-limit"])
	}
	return s, nil
}

// waitingOf reads the limit of subscribers in a list as "normal 0 0 0 slave 1 1 60 pubsub
// 33554432 8388608 60". It returns nil when there is none.
func waitingOf(list string) *broker.Waiting {
	words := strings.Fields(list)
	at := slices.Index(words, "pubsub")
	if at < 0 || len(words) < at+4 {
		return nil
	}
	var w broker.Waiting
	for i, to := range []*int{&w.Hard, &w.Soft, &w.Seconds} {
		n, err := strconv.Atoi(words[at+1+i])
		if err != nil {
			return nil
		}
		*to = n
	}
	return &w
}
