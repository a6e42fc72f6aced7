package command

import "strings"

// Bounds of a Whom.
const (
	MaxTargets    = 100 // channels, or users, of one publication
	MaxExcept     = 100 // connections that it leaves out
	MaxUserLength = 255 // bytes
	MaxConnLength = 64  // bytes in the id of a connection
)

// Whom says whom a publication is for when that is not just everybody in one channel.
type Whom struct {
	Channels []string // decoded, without white space around them, each once; empty when there is one channel, or Users
	Users    []string // each once; empty when there are channels
	Except   []string // ids of connections that do not get it
	Silent   bool     // the publishing connection does not get it
	Members  bool     // the reply says how many members got it
}

// The members of args that make a Whom, and those of a body.
const (
	whomOfArgs fieldSet = 1<<fieldChannels | 1<<fieldUser | 1<<fieldUsers | 1<<fieldExcept | 1<<fieldEcho | 1<<fieldMembers
	whomOfBody fieldSet = 1<<fieldChannels | 1<<fieldUser | 1<<fieldUsers | 1<<fieldExcept
)

// Restricted reports whether w says more than a client may say without an authorizer: it names
// several channels, users, or connections to leave out. w may be nil.
func (w *Whom) Restricted() bool {
	return w != nil && (len(w.Channels) > 0 || len(w.Users) > 0 || len(w.Except) > 0)
}

// Targeted reports whether w names channels or users, so that there is no single channel. w may be nil.
func (w *Whom) Targeted() bool { return w != nil && (len(w.Channels) > 0 || len(w.Users) > 0) }

// Longest returns the bytes of the longest name in Channels. w may be nil.
func (w *Whom) Longest() (most int) {
	if w == nil {
		return 0
	}
	for _, name := range w.Channels {
		most = max(most, len(name))
	}
	return most
}

// whom reads the members of the set that found has.
func (s *scanner) whom(found *[fields]token, set fieldSet) (*Whom, *Error) {
	w, err := new(Whom), (*Error)(nil)
	targets := 0
	for f := fieldChannel; f < fields && err == nil; f++ {
		t := found[f]
		if t.absent() || set&(1<<f) == 0 && f != fieldChannel {
			continue
		}
		switch f {
		case fieldChannel:
			targets++
		case fieldChannels:
			targets++
			w.Channels, err = s.channels(t)
		case fieldUser, fieldUsers:
			targets++
			w.Users, err = s.users(t, f == fieldUser)
		case fieldExcept:
			w.Except, err = s.except(t)
		case fieldEcho:
			w.Silent, err = t.kind == 'f', t.mustBeBool(errEcho)
		case fieldMembers:
			w.Members, err = t.kind == 't', t.mustBeBool(errMembers)
		}
	}
	if err == nil && targets > 1 {
		err = errTargets
	}
	return w, err
}

// misplaced reports whether found has a member of the set. There it would mean nothing, and the
// publication would go to others than its publisher has named.
func misplaced(found *[fields]token, set fieldSet) bool {
	for f := fieldOther; set>>f != 0; f++ {
		if set&(1<<f) != 0 && !found[f].absent() {
			return true
		}
	}
	return false
}

// mustBeBool returns e unless t is true or false.
func (t token) mustBeBool(e *Error) *Error {
	if t.kind != 't' && t.kind != 'f' {
		return e
	}
	return nil
}

// channels reads the list of channels in t.
func (s *scanner) channels(t token) ([]string, *Error) {
	names, ok := s.list(t, MaxTargets)
	if !ok {
		return nil, errChannels
	}
	for i, name := range names {
		names[i] = strings.TrimSpace(name)
		if err := CheckName([]byte(names[i])); err != nil {
			return nil, err
		}
	}
	if repeats(names) {
		return nil, errRepeats
	}
	return names, nil
}

// users reads the user, or the list of users, in t.
func (s *scanner) users(t token, one bool) (names []string, err *Error) {
	ok := false
	switch {
	case !one:
		names, ok = s.list(t, MaxTargets)
	case t.kind == '"' && !hasLoneSurrogate(s.between(t)):
		names, ok = []string{string(s.text(t))}, true
	}
	for _, name := range names {
		ok = ok && len(name) > 0 && len(name) <= MaxUserLength
	}
	switch {
	case !ok && one:
		return nil, errUser
	case !ok:
		return nil, errUsers
	case repeats(names):
		return nil, errRepeats
	}
	return names, nil
}

// except reads the list of connections in t. An id that no connection has, or twice, does no harm.
func (s *scanner) except(t token) ([]string, *Error) {
	ids, ok := s.list(t, MaxExcept)
	for _, id := range ids {
		ok = ok && len(id) > 0 && len(id) <= MaxConnLength && plain(id)
	}
	if !ok {
		return nil, errExcept
	}
	return ids, nil
}

// list decodes an array of 1 to most strings. None may have half a surrogate pair, which decoders
// read differently.
func (s *scanner) list(t token, most int) (texts []string, ok bool) {
	if t.kind != '[' {
		return nil, false
	}
	in := scanner{data: s.data[:t.end], pos: t.start + 1} // the array is valid JSON
	for in.space(); in.peek() != ']'; in.space() {
		text, _ := in.value(1)
		if text.kind != '"' || len(texts) == most || text.escaped && hasLoneSurrogate(s.between(text)) {
			return nil, false
		}
		texts = append(texts, string(appendUnquoted(nil, s.between(text))))
		in.space()
		in.comma()
	}
	return texts, len(texts) > 0
}

// repeats reports whether a name is in the list twice. Lists are short.
func repeats(names []string) bool {
	seen := make(map[string]bool, len(names))
	for _, name := range names {
		if seen[name] {
			return true
		}
		seen[name] = true
	}
	return false
}
