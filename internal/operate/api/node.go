package api

import (
	"errors"
	"log/slog"
	"net/http"
)

// What an operator does to the node that is asked, and to no other.

// Draining is the answer about a drain.
type Draining struct {
	Draining bool `json:"draining"` // new clients are refused
	Changed  bool `json:"changed"`  // by this request
}

// Reloaded says what a reload has found.
type Reloaded struct {
	Changed []string `json:"changed"`       // flags whose new values are in force
	Restart []string `json:"needs_restart"` // flags whose new values need a restart
}

// ErrUnavailable means that a server cannot do what is asked for, because it was started without it.
var ErrUnavailable = errors.New("this server was started without that")

// levels are the names of levels, as -log-level has them.
var levels = map[string]slog.Level{"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError}

// logLevel changes the level of the log.
func (a *API) logLevel(w http.ResponseWriter, r *http.Request) error {
	var body struct {
		Level string `json:"level"`
	}
	if err := decode(w, r, fields{"level": &body.Level}); err != nil {
		return err
	}
	level, ok := levels[body.Level]
	if !ok {
		return badRequest("level has to be debug, info, warn or error")
	}
	if !a.control.SetLogLevel(level) {
		return &Error{409, "unavailable", ErrUnavailable.Error(), nil}
	}
	answer(w, http.StatusOK, body)
	return nil
}

// drain tells the clients of this node to reconnect, and refuses new ones.
func (a *API) drain(w http.ResponseWriter, r *http.Request) error {
	if err := nothing(w, r); err != nil {
		return err
	}
	began := a.control.Drain()
	answer(w, http.StatusOK, Draining{a.control.Draining(), began})
	return nil
}

// undrain lets clients connect again.
func (a *API) undrain(w http.ResponseWriter, r *http.Request) error {
	if err := nothing(w, r); err != nil {
		return err
	}
	ended := a.control.Undrain()
	if !ended && a.control.Draining() {
		return &Error{409, "shutting_down", "this server shuts down", nil}
	}
	answer(w, http.StatusOK, Draining{false, ended})
	return nil
}

// reload reads the configuration again.
func (a *API) reload(w http.ResponseWriter, r *http.Request) error {
	if err := nothing(w, r); err != nil {
		return err
	}
	got, err := a.control.Reload()
	switch {
	case errors.Is(err, ErrUnavailable):
		return &Error{409, "unavailable", err.Error(), nil}
	case err != nil:
		return &Error{422, "invalid_configuration", "nothing is changed: " + err.Error(), nil}
	}
	got.Changed, got.Restart = append([]string{}, got.Changed...), append([]string{}, got.Restart...)
	answer(w, http.StatusOK, got)
	return nil
}

// nothing accepts a request without a body, or with an object that is empty.
func nothing(w http.ResponseWriter, r *http.Request) error {
	if r.ContentLength == 0 {
		return nil
	}
	return decode(w, r, nil)
}
