// Package server puts a wsify server together from a Config, starts it and stops it. What
// it does is in the packages it joins: sessions of clients (internal/session), the admin
// listener (internal/operate), and the broker.
package server
