package session

import (
	"reflect"
	"testing"
	"unsafe"
)

// The garbage collector must not need to scan a million sessions.
func TestASessionIsSmallAndHasNoPointer(t *testing.T) {
	if n := unsafe.Sizeof(session{}); n != 16 {
		t.Errorf("a session has %d bytes, want 16", n)
	}
	var look func(what string, kind reflect.Type)
	look = func(what string, kind reflect.Type) {
		switch kind.Kind() {
		case reflect.Struct:
			for f := range kind.Fields() {
				look(what+"."+f.Name, f.Type)
			}
		case reflect.Array:
			look(what, kind.Elem())
		case reflect.Uint8, reflect.Uint32:
		default:
			t.Errorf("%s is a %s", what, kind)
		}
	}
	look("session", reflect.TypeFor[session]())
}

func TestAnExtraIsTheSessionsUntilItIsForgotten(t *testing.T) {
	var l loop
	sessions := make([]session, 70_000) // more than fit in two bytes
	for i := range sessions {
		l.extend(&sessions[i]).searched = i
	}
	for i := range sessions {
		s := &sessions[i]
		if e := l.more(s); e.searched != i || l.extend(s) != e {
			t.Fatalf("session %d has the extra of %d", i, e.searched)
		}
		l.drop(s)
		if l.more(s) != nil {
			t.Fatalf("session %d has an extra after drop", i)
		}
	}
	if n := l.extras.Len(); n != 0 {
		t.Errorf("%d extras are left", n)
	}
	if e := l.extend(&sessions[0]); !e.empty() || e.searched != 0 {
		t.Error("a reused extra holds values of another session")
	}
}
