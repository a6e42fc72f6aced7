package broker

// Identifiers for tests outside of the package.
var ErrNoAck = errNoAck

// Deaf returns the number of deaf channels.
func (r *Remote) Deaf() int64 { return r.table.deaf.Load() }
