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

// Numbers come in an order that differs by less than the window, some twice and some never:
// the account agrees with a set.
func TestAnAccountAgreesWithASet(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 1))
		var a Account
		a.Begin(100)
		seen, lost, doubles, wantDoubles := map[uint32]bool{}, 0, 0, 0
		const end = 100 + 1000
		for n := uint32(100); n < end; n++ {
			if r.IntN(20) == 0 {
				continue // never comes, or comes late
			}
			for range 1 + r.IntN(8)/7 {
				l, double := a.Note(n)
				lost += l
				if double {
					doubles++
				}
				if seen[n] {
					wantDoubles++
				}
				seen[n] = true
			}
			if late := n - uint32(r.IntN(30)); late >= 100 && !seen[late] {
				l, double := a.Note(late)
				if lost += l; double {
					t.Fatalf("seed %d: %d is called a double", seed, late)
				}
				seen[late] = true
			}
		}
		if got, want := lost+a.Missing(end), end-100-len(seen); got != want || doubles != wantDoubles {
			t.Errorf("seed %d: %d missing, want %d; %d doubles, want %d", seed, got, want, doubles, wantDoubles)
		}
	}
}
