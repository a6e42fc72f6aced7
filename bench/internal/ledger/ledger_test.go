package ledger

import (
	"math/rand/v2"
	"testing"
)

func TestContentIsFoundInAnyMessage(t *testing.T) {
	for _, size := range []int{MinSize, 128, 4096} {
		content := Append(nil, 7, 1234567890123456789, size)
		if len(content) != size {
			t.Errorf("%d bytes, want %d", len(content), size)
		}
		for _, around := range []string{"", `{"push":{"pub":{"data":`} {
			if n, due, ok := Find(append([]byte(around), content...)); !ok || n != 7 || due != 1234567890123456789 {
				t.Errorf("Find(%s%s) = %d, %d, %v", around, content[:40], n, due, ok)
			}
		}
	}
	for _, other := range []string{"", `{"id":1,"ok":true}`, `"#12"`, `"#zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz"`} {
		if _, _, ok := Find([]byte(other)); ok {
			t.Errorf("there is content in %s", other)
		}
	}
}

// Numbers come in any order, some twice and some never: the account agrees with a map.
func TestAnAccountAgreesWithAMap(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 1))
		var a Account
		a.Begin(7)  // what was heard before
		a.Note(300) // does not count
		const first, end = 100, 100 + 1000
		a.Begin(first)
		seen, newest, but := map[uint32]bool{}, uint32(0), []uint32{first, end - 1}
		for range 1000 {
			n := first + uint32(r.IntN(end-first))
			if double, late := a.Note(n); double != seen[n] || late != (!seen[n] && n < newest) {
				t.Fatalf("seed %d: Note(%d) = %t, %t; it came before: %t, and %d is the newest", seed, n, double, late, seen[n], newest)
			}
			seen[n], newest = true, max(newest, n)
		}
		seen[first], seen[end-1] = true, true
		if got, want := a.Missing(end, but), end-first-len(seen); got != want {
			t.Errorf("seed %d: %d are missing, want %d", seed, got, want)
		}
		if double, _ := a.Note(first - 1); !double {
			t.Errorf("seed %d: a number below the first counts", seed)
		}
	}
}
