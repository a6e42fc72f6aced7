// Package server builds a wsify server from a Config, starts it and stops it. The work is done by
// the packages that it connects: internal/session (sessions of clients), internal/operate (the
// admin listener), and broker.
package server
