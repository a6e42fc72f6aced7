package doctor

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"wsify/broker"
)

// leastWaiting is how much may wait at an engine for a busy node, in bytes.
const leastWaiting = 64 << 20

// broker checks what the engine lets us do.
func (c *checker) broker() {
	const check = "broker"
	x := c.Broker
	switch {
	case c.BrokerErr != nil:
		c.say(check, Problem, fmt.Sprintf("There is no link to the engine: %s.", strings.ReplaceAll(c.BrokerErr.Error(), "\n", "; ")))
		return
	case x == nil:
		c.say(check, OK, "It is memory, which needs nothing: this is the only node.")
		return
	}
	f := Finding{Check: check, Holds: noBound, Text: fmt.Sprintf("%s, version %s.", x.Engine, versions(x))}
	c.rights(x, &f)
	if x.RoundTrip > 0 {
		text, status := fmt.Sprintf("A publication is back in %s.", rounded(x.RoundTrip)), OK
		if x.RoundTrip >= slowAnswer {
			status, text = Warning, text+" That is slow."
		}
		f.worse(status, text)
	}
	if most := c.Config.MaxMessageSize; x.MaxContent > 0 && x.MaxContent < most {
		f.worse(Problem, fmt.Sprintf("It takes %s of content, and -max-message-size allows %s.", size(int64(x.MaxContent)), size(int64(most))))
		f.Change = append(f.Change, setting(fmt.Sprintf("max-message-size %d", x.MaxContent)))
	}
	c.durable(x, &f)
	c.waiting(x, &f)
	c.add(f)
}

// versions returns the versions of the servers, each once.
func versions(x *broker.Examination) string {
	var all []string
	for _, s := range x.Servers {
		if !slices.Contains(all, s.Version) {
			all = append(all, s.Version)
		}
	}
	if len(all) == 0 {
		return "unknown"
	}
	return strings.Join(all, ", ")
}

// rights judges whether our user may subscribe and publish.
func (c *checker) rights(x *broker.Examination, f *Finding) {
	for _, tried := range []struct {
		what string
		err  error
	}{{"subscribe to", x.Subscribe}, {"publish to", x.Publish}, {"hear", x.Deaf}, {"keep history of", x.History}} {
		if tried.err != nil {
			f.worse(Problem, fmt.Sprintf("wsify cannot %s %s: %s.", tried.what, x.Channel, tried.err))
		}
	}
	if f.Status == Problem && errors.Join(x.Subscribe, x.Publish) != nil || f.Status == Problem && denied(x.History) {
		f.Change = c.grant()
	}
}

// denied reports whether an engine says that the user lacks a right.
func denied(err error) bool {
	return err != nil && (strings.Contains(err.Error(), "NOPERM") || strings.Contains(strings.ToLower(err.Error()), "permission"))
}

// grant returns the lines that give our user its rights.
func (c *checker) grant() []Change {
	user := "default"
	if u, err := url.Parse(c.Config.BrokerDSN); err == nil && u.User.Username() != "" {
		user = u.User.Username()
	}
	if c.Config.BrokerDriver == "nats" {
		all, rights := c.Config.BrokerPrefix+">", "permissions: { publish: %[1]q, subscribe: %[1]q }"
		if len(c.Config.HistoryChannels) > 0 {
			rights = `permissions: { publish: [%[1]q, "_WSIFY.%[1]s", "$JS.API.>"], subscribe: [%[1]q, "_INBOX.>"] }`
		}
		return []Change{{"nats.conf, for the user " + user, fmt.Sprintf(rights, all)}}
	}
	rights := "+hello +ping '+client|setname' +publish +subscribe +unsubscribe"
	if len(c.Broker.Servers) > 1 {
		rights += " '+cluster|slots' '+cluster|info' +spublish +ssubscribe +sunsubscribe"
	}
	keys := ""
	if len(c.Config.HistoryChannels) > 0 {
		keys = "'~wsify:*' "
		rights += " +info +eval +evalsha '+script|load' +hmget +hset +hincrby +del +xadd +xdel +xrange +xrevrange +pexpire +time"
	}
	return []Change{{"redis-cli; an ACL file needs it too", fmt.Sprintf("ACL SETUSER %s '&%s*' %s%s", user, c.Config.BrokerPrefix, keys, rights)}}
}

// durable judges whether a server loses nothing that it acknowledges, where the DSN says so.
func (c *checker) durable(x *broker.Examination, f *Finding) {
	for _, s := range x.Servers {
		if s.MayLose == "" {
			continue
		}
		f.worse(Warning, fmt.Sprintf("The DSN says durable=true, but %s at %s: a restart may lose what was acknowledged, and members are not told.", s.MayLose, s.Addr))
		where := configuring(s.Addr)
		f.Change = append(f.Change, Change{where, "CONFIG SET appendonly yes"}, Change{where, "CONFIG SET appendfsync always"}, Change{where, "CONFIG REWRITE"})
	}
}

// waiting judges how much may wait at the servers for a node that is slow for a moment.
// Servers that say the same share a sentence.
func (c *checker) waiting(x *broker.Examination, f *Finding) {
	const unknown = "It is not known how much"
	var order []string
	addrs := map[string][]string{}
	for _, s := range x.Servers {
		text := unknown
		if s.Waiting != nil {
			text = allowance(s.Waiting)
		}
		if addrs[text] == nil {
			order = append(order, text)
		}
		addrs[text] = append(addrs[text], s.Addr)
		if tight(s.Waiting) {
			f.Change = append(f.Change, c.moreWaiting(s.Addr)...)
		}
	}
	for _, text := range order {
		f.worse(OK, fmt.Sprintf("%s may wait for a node at %s.", text, some(addrs[text])))
	}
	if slices.ContainsFunc(x.Servers, func(s broker.Server) bool { return tight(s.Waiting) }) {
		f.worse(Warning, "Beyond it the node's connection is closed, and what waited is lost. 64 MiB should fit.")
	}
}

// some names the first of addrs, and counts the others.
func some(addrs []string) string {
	const most = 3
	if len(addrs) <= most {
		return strings.Join(addrs, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(addrs[:most], ", "), len(addrs)-most)
}

// tight reports whether a busy node may soon be beyond a limit.
func tight(w *broker.Waiting) bool {
	return w != nil && (small(w.Hard) || small(w.Soft) && w.Seconds < 60)
}

func small(bytes int) bool { return bytes > 0 && bytes < leastWaiting }

// allowance writes a limit of what may wait.
func allowance(w *broker.Waiting) string {
	text := "Any number of bytes"
	if w.Hard > 0 {
		text = size(int64(w.Hard))
	}
	if w.Soft > 0 {
		text += fmt.Sprintf(", or %s for %d s,", size(int64(w.Soft)), w.Seconds)
	}
	return text
}

func (c *checker) moreWaiting(addr string) []Change {
	if c.Config.BrokerDriver == "nats" {
		return []Change{{"nats.conf", "max_pending: 256MB"}}
	}
	where := configuring(addr)
	return []Change{
		{where, "CONFIG SET client-output-buffer-limit 'pubsub 256mb 64mb 60'"},
		{where, "CONFIG REWRITE"},
	}
}

// configuring says where Redis is configured.
func configuring(addr string) string { return "redis-cli at " + addr + ", as a user that may CONFIG" }
