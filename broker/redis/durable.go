package redis

import (
	"context"
	"strings"
)

// doubt warns once when the server may lose what it acknowledges, although the DSN says that it does
// not. c is a connection to it, for this only.
func (e *engine) doubt(ctx context.Context, c *conn) {
	if e.keep == nil || e.told {
		return
	}
	if reason := e.o.mayLose(ctx, c); reason != "" {
		e.told = true
		e.log.Warn("the broker's DSN says durable=true, and the server may lose what it has acknowledged: members may miss something after its next restart, and not be told", "redis", c.addr, "cause", reason)
	}
}

// mayLose returns why the server at c may lose what it acknowledges, or "": it says nothing against
// durable=true, the user may not ask, or the DSN does not have it.
//
// Redis writes to its file before it answers and before it passes anything on to subscribers, and with
// appendfsync always it also waits for the disk. With everysec it answers without having written
// while the disk is busy, so even a killed process can lose some.
func (o *options) mayLose(ctx context.Context, c *conn) string {
	if !o.durable {
		return ""
	}
	info, err := c.call(ctx, "INFO", "persistence")
	if err == nil && strings.Contains(info.text, "aof_enabled:0") {
		return "appendonly is no"
	}
	config, err := c.call(ctx, "CONFIG", "GET", "appendfsync")
	if policy := config.pairs()["appendfsync"]; err == nil && policy != "" && policy != "always" {
		return "appendfsync is " + policy
	}
	return ""
}
