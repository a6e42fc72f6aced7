package follow

import (
	"fmt"
	"strings"
	"testing"

	"wsify/broker"
)

func TestAQuestionReachesBackAsFarAsAnyJoinThatWaits(t *testing.T) {
	at := func(offset uint64) *Join {
		return &Join{From: From{Asked: true, Since: broker.Position{Epoch: "e", Offset: offset}}}
	}
	last := func(n int) *Join { return &Join{From: From{Last: n}} }
	other := &Join{From: From{Asked: true, Since: broker.Position{Epoch: "f", Offset: 1}}}
	for _, tc := range []struct {
		waiting []*Join
		want    string
		isFor   string
	}{
		{[]*Join{at(9), at(3), last(50), at(5), other}, "e-3/0", "true true false true false"},
		{[]*Join{last(2), last(7), at(1)}, "/7", "true true false"},
		{[]*Join{other, at(0)}, "f-1/0", "true false"},
	} {
		ch := &channel{waiting: tc.waiting}
		most := ch.most()
		q := question{kind: askOlder, after: most.Since, last: most.Last}
		var isFor []string
		for _, j := range tc.waiting {
			isFor = append(isFor, fmt.Sprint(q.isFor(j.From)))
		}
		if got := fmt.Sprintf("%s/%d", q.after, q.last); got != tc.want || strings.Join(isFor, " ") != tc.isFor {
			t.Errorf("the question is %s, and for %v; want %s, for %s", got, isFor, tc.want, tc.isFor)
		}
	}
}
