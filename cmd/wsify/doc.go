// Command wsify is a WebSocket pub/sub server.
//
// Clients connect to /ws, join channels, and receive what is broadcast to them, or read it as a
// stream of events at /sse; a backend publishes with POST /broadcast. The operator's own webhook, the authorizer, decides who may do what.
//
// # Settings
//
// A setting is taken from the first of these that has it: the command line (-listen-addr :80, or
// with two hyphens), the environment (WSIFY_LISTEN_ADDR), the file named by -config ("listen-addr
// :80" on a line), the default. An empty variable counts as not set. A variable that begins with
// WSIFY_ or wsify_ and is not a setting is an error. Each secret can also be read from a file that
// a variable names (WSIFY_BROADCASTING_KEY_FILE).
//
// The settings are one table, in table.go; flags, environment, file, -help and
// -print-config are all made from it.
//
// # Commands
//
// With healthcheck as the first argument the program asks the server of these settings
// whether it is healthy, and serves nothing.
//
// # Exit codes
//
// 0 after a graceful shutdown, 1 when the configuration is invalid or the server fails, 2 when the
// command line is wrong. SIGTERM and SIGINT begin the shutdown; a second signal ends the program at
// once, with 1.
package main
