//go:build race

package session

// raceEnabled tells tests that the race detector is on: it slows everything down
// and allocates on its own account.
const raceEnabled = true
