// Package netpoll runs event loops on epoll: it accepts connections, reads them
// when they are readable, writes what the kernel takes, queues the rest, and
// keeps their deadlines. It deals in bytes and knows no WebSocket and no JSON.
//
// # Ownership
//
// A Group has a fixed number of loops. Each Loop is one goroutine with one epoll
// instance; a connection is given to one loop and stays there. Every method of
// Conn, and every method of Handler, runs on that loop's goroutine, so nothing
// of a connection is locked. An idle connection has no goroutine, no timer, no
// buffer and no net.Conn.
//
// Other goroutines hold a connection's ID and reach it through Loop.Post,
// Loop.PostTo and Loop.Wake, which never block.
//
// # A turn
//
// Readiness events are handled as epoll reports them. What they leave to do is
// done in the turn that follows: posted tasks, due deadlines, Handler.Turn (where
// publications are delivered), gathered writes, closes. A turn is requested
// by Loop.Wake, which writes an eventfd for a loop that may sleep; everything that
// happens until it starts is part of it.
//
// # Readiness is a hint
//
// An event says that a system call is worth trying. What happened is told by the
// system call alone, so a late or spurious event is harmless.
package netpoll
