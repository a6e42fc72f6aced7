//go:build !race

package server

// raceEnabled tells tests that the race detector is off.
const raceEnabled = false
