//go:build race

package session

// raceEnabled reports whether the race detector is on: it slows everything down
// and allocates memory itself.
const raceEnabled = true
