package auth

import (
	"crypto/sha256"
	"sync"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
)

// Cache keeps answers that may be given again without a call: those with a max-age, until it is
// over. It holds so many at most, and the least recently used goes first. Its methods may be called
// from any goroutine, and wait for moments for a leaf lock. A nil Cache keeps nothing.
type Cache struct {
	entries *lru.Cache[cacheKey, cached]
	used    atomic.Bool   // something was kept
	forgets atomic.Uint64 // calls of Forget

	forgotten sync.Map     // when each of these users was forgotten, as a time.Time
	users     atomic.Int64 // their number
}

// maxForgotten is how many users a Cache knows that were forgotten. With one more it drops all that
// is kept, and begins anew.
const maxForgotten = 10_000

// Question is what the authorizer is asked, for a Cache.
type Question struct {
	User string // who asks; empty if nobody knows
	Conn uint64 // the connection that asks; no two have the same
	Text []byte // what is asked. It is borrowed

	// Epoch is the Cache's when the authorizer is asked. An answer of before a call of Forget is not
	// kept after it.
	Epoch uint64
}

// maxQuestion is how many bytes a question may have to be kept. Its digest is made on event loops.
const maxQuestion = 32 << 10

// cacheKey names one question of those who may share its answer. A digest takes the place of the text,
// which is a client's and may be long.
type cacheKey struct {
	scope scope
	user  string
	conn  uint64
	text  [sha256.Size]byte
}

// scope says who may share an answer.
type scope uint8

const (
	ofEverybody scope = iota
	ofUser
	ofConn
)

// cached is one kept answer.
type cached struct {
	decision Decision
	answer   *Answer
	from     time.Time
	until    time.Time
}

// NewCache returns a cache for so many answers; nil for less than one.
func NewCache(entries int) *Cache {
	if entries < 1 {
		return nil
	}
	c := new(Cache)
	c.entries, _ = lru.New[cacheKey, cached](entries) // it refuses sizes below 1 only
	return c
}

// Used reports whether anything was ever kept. If not, no question has to be made for Get.
func (c *Cache) Used() bool { return c != nil && c.used.Load() }

// Epoch is for Question.Epoch.
func (c *Cache) Epoch() uint64 {
	if c == nil {
		return 0
	}
	return c.forgets.Load()
}

// key returns the key of q for those of a scope.
func (q *Question) key(s scope, text [sha256.Size]byte) cacheKey {
	k := cacheKey{scope: s, text: text}
	switch s {
	case ofUser:
		k.user = q.User
	case ofConn:
		k.conn = q.Conn
	}
	return k
}

// own is the scope of an answer that is not public.
func (q *Question) own() scope {
	if q.User != "" {
		return ofUser
	}
	return ofConn
}

// Keep keeps the answer to q, if it allows that.
func (c *Cache) Keep(q Question, d Decision, a *Answer) {
	if c == nil || a == nil || a.MaxAge <= 0 || d == Down || len(q.Text) > maxQuestion {
		return
	}
	s := q.own()
	if a.Public {
		s = ofEverybody
	}
	now, life := time.Now(), a.MaxAge
	if a.Expires > 0 {
		life = min(life, a.Expires)
	}
	k := q.key(s, sha256.Sum256(q.Text))
	c.used.Store(true)
	c.entries.Add(k, cached{d, a, now, now.Add(life)})
	if c.Epoch() != q.Epoch { // Forget may have passed the place already
		c.entries.Remove(k)
	}
}

// Get returns the answer to q that was kept. What it says of times counts from now.
func (c *Cache) Get(q Question) (d Decision, a *Answer, ok bool) {
	if !c.Used() || len(q.Text) > maxQuestion {
		return Deny, nil, false
	}
	text := sha256.Sum256(q.Text)
	now := time.Now()
	for _, s := range [...]scope{q.own(), ofEverybody} {
		k := q.key(s, text)
		switch found, ok := c.entries.Get(k); {
		case !ok:
		case now.Before(found.until) && !c.outdated(&k, &found):
			return found.decision, found.answer.after(now.Sub(found.from)), true
		default:
			c.entries.Remove(k)
		}
	}
	return Deny, nil, false
}

// after returns what the answer says when it is so old.
func (a *Answer) after(age time.Duration) *Answer {
	if a.Expires == 0 {
		return a
	}
	later := *a
	later.Expires = max(a.Expires-age, 1)
	return &later
}

// Forget drops what only this user may be given, and what has named this user. It takes no longer
// with more that is kept: event loops wait for the same lock. The next Get drops it.
func (c *Cache) Forget(user string) {
	if c == nil {
		return
	}
	c.forgets.Add(1)
	if _, known := c.forgotten.Swap(user, time.Now()); !known && c.users.Add(1) > maxForgotten {
		c.entries.Purge()
		c.users.Store(0)
		c.forgotten.Clear()
		c.entries.Purge() // what concerns a user who was forgotten meanwhile
	}
}

// outdated reports whether a kept answer concerns a user who was forgotten since.
func (c *Cache) outdated(k *cacheKey, found *cached) bool {
	if c.forgets.Load() == 0 {
		return false
	}
	for _, user := range [...]string{k.user, found.answer.User} {
		if at, ok := c.forgotten.Load(user); ok && user != "" && !found.from.After(at.(time.Time)) {
			return true
		}
	}
	return false
}
