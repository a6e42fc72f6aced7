package auth

// Decision is the outcome of a call. The zero value is Deny.
type Decision uint8

const (
	Deny  Decision = iota // answered with any other status
	Allow                 // answered with 200
	Down                  // answered with 5xx, or no complete answer in time
)

// String returns the decision in lower case.
func (d Decision) String() string {
	switch d {
	case Deny:
		return "deny"
	case Allow:
		return "allow"
	case Down:
		return "down"
	}
	return "invalid"
}

// judge maps a final status to a decision. Only Allow comes without a cause.
func judge(status int) (Decision, error) {
	switch {
	case status == 200:
		return Allow, nil
	case status >= 500 && status <= 599:
		return Down, statusError(status)
	default:
		return Deny, statusError(status)
	}
}
