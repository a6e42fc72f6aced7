// Package doctor says how many connections a machine can hold, and what to change.
//
// [Read] collects facts: what the kernel, the control groups and systemd say, how the
// authorizer, the webhook for events and the broker's engine answer, who uses the ports. It changes nothing, and
// returns within a bounded time, whatever does not answer. [Examine] makes a [Report] of
// the facts; it is pure. [Report.WriteText] and [Report.WriteJSON] show it.
//
// A check that finds a limit on the number of connections is a bound. The least bound is
// what the machine can hold. Other checks are warnings, which cost performance or comfort,
// or problems, with which the server does not work.
package doctor
