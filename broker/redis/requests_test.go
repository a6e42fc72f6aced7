package redis

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// scripted is requests that a script answers, one word each: what was sent is a line of
// verbs and channels, what came is "+verb:channel" or "-error".
func scripted(sent string) *requestList {
	r := &requestList{}
	for _, command := range strings.Split(sent, ";") {
		words := strings.Fields(command)
		r.list = append(r.list, request{verb: words[0], channels: words[1:]})
	}
	return r
}

// Channels foo and {foo}2 are of slot 12182, bar of 5061.
func TestAnswersAreKnownByWhatTheyAreAbout(t *testing.T) {
	for name, test := range map[string]struct {
		sent string
		came []string
		want []string // what is told: confirmed, ended, refused
	}{
		"in order": {
			"ssubscribe foo {foo}2; pong; sunsubscribe foo; ssubscribe bar",
			[]string{"+ssubscribe foo", "+ssubscribe {foo}2", "+pong", "+sunsubscribe foo", "+ssubscribe bar"},
			[]string{"confirmed foo", "confirmed {foo}2", "confirmed bar"},
		},
		"the server ends another channel": {
			"sunsubscribe bar; pong",
			[]string{"+sunsubscribe foo", "+sunsubscribe bar", "+pong"},
			[]string{"ended foo"},
		},
		"the slot moves before what gives it up is met": {
			"sunsubscribe foo {foo}2; ssubscribe bar",
			[]string{"+sunsubscribe {foo}2", "+sunsubscribe foo", "-MOVED 12182 a:1", "+ssubscribe bar"},
			[]string{"confirmed bar"},
		},
		"and its answers look complete": {
			"sunsubscribe foo {foo}2; ssubscribe bar; pong",
			[]string{"+sunsubscribe foo", "+sunsubscribe {foo}2", "-MOVED 12182 a:1", "+ssubscribe bar", "+pong"},
			[]string{"confirmed bar"},
		},
		"a slot moves that nothing waits for": {
			"sunsubscribe foo; pong; ssubscribe bar",
			[]string{"+sunsubscribe foo", "+pong", "-MOVED 12182 a:1", "+ssubscribe bar"},
			[]string{"confirmed bar"},
		},
		"what follows is refused": {
			"sunsubscribe foo; ssubscribe bar; pong",
			[]string{"+sunsubscribe foo", "-NOPERM no", "+pong"},
			[]string{"refused bar"},
		},
		"a refusal is taken for another's": {
			"sunsubscribe foo; ssubscribe bar; ssubscribe foo; pong",
			[]string{"+sunsubscribe foo", "-CLUSTERDOWN no", "+ssubscribe bar", "+ssubscribe foo", "+pong"},
			[]string{"refused bar", "confirmed foo"}, // bar is asked for again
		},
		"a refusal is not noticed": {
			"ssubscribe foo; ssubscribe bar; pong",
			[]string{"+ssubscribe bar", "+pong"},
			[]string{"again foo", "confirmed bar"},
		},
		"a ping is refused": {"pong; ssubscribe bar", []string{"-MISCONF no", "+ssubscribe bar"}, []string{"refused ", "confirmed bar"}},
		"nothing is asked":  {"pong", []string{"+pong", "-ERR goodbye"}, []string{"goodbye"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := scripted(test.sent)
			var told []string
			for _, came := range test.came {
				told = append(told, r.take(came)...)
			}
			if !slices.Equal(told, test.want) {
				t.Errorf("told %q, want %q", told, test.want)
			}
			if r.first() < len(r.list) {
				t.Errorf("unanswered: %+v", r.list)
			}
		})
	}
}

// take is one answer, and what follows from it.
func (r *requestList) take(came string) (told []string) {
	again := func(missed []request) {
		for _, q := range missed {
			told = append(told, "again "+strings.Join(q.channels, " "))
		}
	}
	if text, refused := strings.CutPrefix(came, "-"); refused {
		q, ok := r.refused(respError(text))
		if !ok {
			return []string{"goodbye"}
		}
		if q.verb != "" && !q.unsubscribes() {
			told = append(told, "refused "+strings.Join(q.channels, " "))
		}
		return told
	}
	var verb, channel string
	_, _ = fmt.Sscan(came[1:], &verb, &channel)
	switch verb {
	case "pong":
		again(r.pong())
	case "ssubscribe":
		name, missed, ok := r.confirm(verb, []byte(channel))
		again(missed)
		if ok {
			told = append(told, "confirmed "+name)
		}
	default:
		if !r.ended(verb, []byte(channel)) {
			told = append(told, "ended "+channel)
		}
	}
	return told
}
