package command

import (
	stdjson "encoding/json"
	"maps"
	"slices"
	"strings"
)

// The names that make a Whom.
var (
	bodyNames = []string{"channels", "user", "users", "except"}
	argsNames = append([]string{"echo", "members"}, bodyNames...)
)

// whom does what scanner.whom does.
func (l library) whom(object map[string]stdjson.RawMessage, names []string) (*Whom, bool) {
	w, has, ok, targets := &Whom{}, false, true, 0
	for _, name := range append([]string{"channel"}, names...) {
		raw, given := object[name]
		has = has || given && name != "channel"
		if null(raw) {
			continue
		}
		yes := string(raw) == "true"
		switch name {
		case "channel":
			targets++
		case "channels":
			targets++
			w.Channels = l.list(raw, func(s string) string { return string(l.channel(mustJSON(s))) }, &ok)
		case "users":
			targets++
			w.Users = l.list(raw, userOf, &ok)
		case "user":
			targets++
			w.Users = l.list([]byte("["+string(raw)+"]"), userOf, &ok)
		case "except":
			w.Except = l.list(raw, connOf, nil)
			ok = ok && w.Except != nil
		case "echo":
			w.Silent = !yes
			ok = ok && (yes || string(raw) == "false")
		case "members":
			w.Members = yes
			ok = ok && (yes || string(raw) == "false")
		}
	}
	if !has {
		return nil, true
	}
	return w, ok && targets < 2
}

// hasAny reports whether the object has one of the names, in any case, and not as null. Of a name
// that repeats the last one counts.
func (l library) hasAny(object []byte, names []string) bool {
	last := map[string]bool{}
	eachMember(object, func(name string, value stdjson.RawMessage) {
		for _, ours := range names {
			if strings.EqualFold(name, ours) {
				last[ours] = !null(value)
			}
		}
	})
	return slices.Contains(slices.Collect(maps.Values(last)), true)
}

func mustJSON(s string) []byte {
	p, _ := stdjson.Marshal(s)
	return p
}

func userOf(s string) string {
	if len(s) > MaxUserLength {
		return ""
	}
	return s
}

func connOf(s string) string {
	if len(s) > MaxConnLength || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' || r == '"' || r == '\\' }) {
		return ""
	}
	return s
}

// list returns a list of 1 to 100 strings that read does not make empty. unique, if not nil, is
// cleared when it is no such list, or has one string twice.
func (l library) list(raw []byte, read func(string) string, unique *bool) (list []string) {
	var texts []*string
	bad := kind(raw) != '[' || hasHalfPair(raw) || l.unmarshal(raw, &texts) != nil || len(texts) == 0 || len(texts) > 100
	seen := map[string]bool{}
	for _, text := range texts {
		if bad || text == nil || read(*text) == "" || unique != nil && seen[read(*text)] {
			bad = true
			break
		}
		seen[read(*text)] = true
		list = append(list, read(*text))
	}
	if bad {
		if unique != nil {
			*unique = false
		}
		return nil
	}
	return list
}
