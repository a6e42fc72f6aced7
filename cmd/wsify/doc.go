// Command wsify is a WebSocket pub/sub server.
//
// Clients connect to /ws, join channels, and hear what is broadcast to them; a
// backend publishes with POST /broadcast. Who may do what is decided by the
// operator's own webhook, the authorizer.
//
// # Settings
//
// A setting is taken from the first of these that has it: the command line
// (-listen-addr :80, or with two hyphens), the environment (WSIFY_LISTEN_ADDR), the
// file named by -config ("listen-addr :80" on a line), the default. A variable that
// is empty counts as not set; one that begins with WSIFY_ or wsify_ and is no setting is an error.
// Each secret can also be kept in a file that a variable names
// (WSIFY_BROADCASTING_KEY_FILE).
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
// 0 after an orderly end, 1 when the configuration is refused or the server fails, 2
// when the command line is wrong. SIGTERM and SIGINT begin the shutdown; a second
// one ends the program at once, with 1.
package main
