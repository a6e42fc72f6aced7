// Package netpoll runs event loops on epoll: it accepts connections, reads them
// when they are readable, writes what the kernel takes, queues the rest, and keeps
// their deadlines. It handles bytes and knows nothing of WebSocket or JSON.
//
// # Ownership
//
// A Group has a fixed number of loops. Each Loop is one goroutine with one epoll
// instance; a connection is given to one loop and stays there. Every method of
// Conn, and every method of Handler, runs on that loop's goroutine, so a connection
// needs no lock. An idle connection has no goroutine, no timer, no buffer and no
// net.Conn.
//
// Other goroutines hold a connection's ID and reach it through Loop.Post,
// Loop.PostTo and Loop.Wake, which never block.
//
// # A turn
//
// A loop handles readiness events as epoll reports them. The turn that follows does
// the rest: posted tasks, due deadlines, Handler.Turn (where publications are
// delivered), gathered writes, closes. Loop.Wake requests a turn, and writes an
// eventfd if the loop may be asleep. Everything that happens before the turn starts
// is part of it.
//
// # Readiness is a hint
//
// An event says that a system call is worth trying. Only the system call tells what
// happened, so a late or spurious event is harmless.
package netpoll
