package broker

import "hash/maphash"

// channelParts is how many parts a channelMap has: of a million channels a part has a
// thousand, and all that is done to it takes some 100 us.
const channelParts = 1 << 10

// channelMap is subscriptions by the name of their channel, in parts by its hash, so
// that what has to be done to all of them can be done a part at a time.
type channelMap struct {
	seed  maphash.Seed
	size  int
	parts [channelParts]channelPart
}

// channelPart is the subscriptions of some channels.
type channelPart struct {
	byName map[string]*subscription // nil until there is one
	peak   int                      // most of them since the map was made
}

func (m *channelMap) part(name string) *channelPart {
	return &m.parts[maphash.String(m.seed, name)%channelParts]
}

func (m *channelMap) get(name string) *subscription { return m.part(name).byName[name] }

func (m *channelMap) add(s *subscription) {
	p := m.part(s.name)
	if p.byName == nil {
		p.byName = map[string]*subscription{}
	}
	p.byName[s.name] = s
	p.peak = max(p.peak, len(p.byName))
	m.size++
}

func (m *channelMap) remove(s *subscription) {
	p := m.part(s.name)
	delete(p.byName, s.name)
	m.size--
	p.shrink()
}

// shrink copies a part into a smaller map when seven eighths of it are gone: Go's maps
// keep the memory of their largest size, and up to eight keys are the smallest.
func (p *channelPart) shrink() {
	if p.peak <= 8 || len(p.byName) > p.peak/8 {
		return
	}
	small := make(map[string]*subscription, len(p.byName))
	for name, s := range p.byName {
		small[name] = s
	}
	p.byName, p.peak = small, len(small)
}
