package publish

import (
	"strconv"

	"wsify/internal/command"
)

// Outcome is what became of a publication, in one channel.
type Outcome struct {
	Bad      *command.Error // nil: it was published
	Members  int            // of the channel on this node
	Position string         // in the history of the channel; empty when it keeps none
}

// AppendOutcome appends the outcome of one publication as JSON. With several channels it has the sum
// of the members, the error of the first that failed, and the outcome of each.
func AppendOutcome(dst []byte, each []Outcome) []byte {
	if len(each) == 1 {
		return append(each[0].append(dst), '}')
	}
	sum := Outcome{}
	for _, o := range each {
		if sum.Bad == nil {
			sum.Bad = o.Bad
		}
		sum.Members += o.Members
	}
	dst = append(sum.append(dst), `,"outcomes":[`...)
	for i, o := range each {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(o.append(dst), '}')
	}
	return append(dst, ']', '}')
}

// append appends o without the closing bracket.
func (o *Outcome) append(dst []byte) []byte {
	if o.Bad != nil {
		return command.AppendFailure(append(dst, `{"ok":false,"error":`...), o.Bad)
	}
	dst = strconv.AppendInt(append(dst, `{"ok":true,"members":`...), int64(o.Members), 10)
	if o.Position != "" { // digits, letters and a dash
		dst = append(append(append(dst, `,"position":"`...), o.Position...), '"')
	}
	return dst
}
