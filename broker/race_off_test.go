//go:build !race

package broker_test

// raceEnabled says whether the race detector is on.
const raceEnabled = false
