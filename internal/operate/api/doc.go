// Package api is the part of the admin listener that shows names and addresses, and changes things:
// channels, connections, kicks, revocations.
//
// It decides who may do what, reads requests and writes answers. A Control does the work.
package api
