// Package auth calls the operator's authorizer, a webhook, to ask whether something is allowed.
//
// A [Client] sends one POST per question and turns the answer into one of
// three decisions:
//
//	200                                    Allow
//	5xx, no connection, no whole answer
//	inside the timeout, not HTTP           Down
//	anything else (204, redirects, 4xx)    Deny
//
// It does not follow redirects, and does not read environment variables that name a proxy. It reads
// the body of an answer so that the connection can be reused, and ignores it: the status decides.
//
// # Time
//
// Config.Timeout bounds a whole call: the wait for a free connection, the lookup of the name,
// dialling, the TLS handshake, sending, and reading the answer to its end. An answer that is sent
// one byte at a time gets no more time. Call.Deadline can end a call earlier, for a question that
// has waited elsewhere.
//
// # Connections
//
// At most Config.MaxConns calls are under way at once, each on its own connection; more calls wait
// for one of these within their timeout. Connections are kept alive between calls. They are closed
// after four idle seconds, because common HTTP servers close them after five. They are also closed
// after a minute of use, so that a changed name is looked up. A webhook that has closed an idle
// connection is noticed before the next question is sent.
//
// A question is sent a second time in one case only: the webhook closed a connection that had
// served before, and sent no byte of an answer. A keep-alive connection that closes at the same
// moment looks like this. The second try uses a new connection and the rest of the same timeout. So
// a webhook may, rarely, receive a question twice.
//
// # Errors
//
// A webhook that misbehaves causes a Down with a cause, never an error to handle and never a panic.
// The zero Decision is Deny, so a forgotten decision denies. [ResultOf] turns a decision and its
// cause into a label for metrics.
package auth
