// Package auth asks the operator's authorizer, a webhook, whether something
// may happen.
//
// A [Client] sends one POST per question and turns the answer into one of
// three decisions:
//
//	200                                    Allow
//	5xx, no connection, no whole answer
//	inside the timeout, not HTTP           Down
//	anything else (204, redirects, 4xx)    Deny
//
// Redirects are not followed and environment variables that name a proxy are
// not read. The body of an answer is read so that the connection can be used
// again, and is otherwise ignored: the status decides.
//
// # Time
//
// Config.Timeout bounds a whole call: the wait for a free connection, the look
// up of the name, dialling, the TLS handshake, sending, and reading the answer
// to its end. A webhook that sends its answer one byte at a time gains nothing.
// Call.Deadline can end it earlier: a question that has waited elsewhere.
//
// # Connections
//
// At most Config.MaxConns calls are under way at once, each on a connection of
// its own; further ones wait for one of these inside their timeout. Connections
// are kept alive between calls and closed after four idle seconds, below the
// five that common HTTP servers wait, and after a minute of use, so that a name that
// points elsewhere by then is found. A webhook that closed an idle connection
// is noticed before the next question is sent.
//
// A question is sent a second time in one case only: on a connection that had
// served before, the webhook closed the connection before the first byte of its answer. That
// is how a keep-alive connection closed at the same moment looks. The second
// try uses a new connection and the rest of the same timeout. A webhook may
// therefore, rarely, hear a question twice.
//
// # Errors
//
// A webhook that misbehaves is a Down with a cause, never an error to handle
// and never a panic. The zero Decision is Deny, so what is forgotten is closed.
// [ResultOf] turns a decision and its cause into a label for metrics.
package auth
