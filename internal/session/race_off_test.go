//go:build !race

package session

// raceEnabled tells tests that the race detector is off.
const raceEnabled = false
