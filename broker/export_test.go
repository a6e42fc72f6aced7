package broker

// What tests outside of the package look at.
var ErrNoAck = errNoAck

// Deaf returns how many channels count as deaf.
func (r *Remote) Deaf() int64 { return r.table.deaf.Load() }
