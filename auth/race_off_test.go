//go:build !race

package auth

// raceEnabled says whether the race detector is on.
const raceEnabled = false
