// Package operate is for operators: the admin listener with health, metrics, statistics and
// profiles, and the sampler of durations.
//
// It reads counters and asks the event loops for signs of life through its Source. It never touches
// a loop, a session or a connection, so it answers whatever those do.
package operate
