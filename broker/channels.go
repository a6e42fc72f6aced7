package broker

import "hash/maphash"

// channelParts is the number of parts of a channelMap. With a million channels a part has a
// thousand, and an operation on all of them takes some 100 us.
const channelParts = 1 << 10

// channelMap maps channel names to subscriptions. It is split into parts by a hash of the name, so
// that an operation on all channels can run one part at a time.
type channelMap struct {
	seed  maphash.Seed
	size  int
	parts [channelParts]channelPart
}

// channelPart holds the subscriptions of one part.
type channelPart struct {
	byName map[string]*subscription // nil until there is a subscription
	peak   int                      // its largest size since the map was made
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

// shrink copies a part into a smaller map when seven eighths of it are gone, because Go's maps keep
// the memory of their largest size. A part of up to eight keys is not copied.
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
