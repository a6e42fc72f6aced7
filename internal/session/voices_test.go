package session

import "testing"

// TestEachClassCanPingAndEnd: a class that is spoken to has a whole voice.
func TestEachClassCanPingAndEnd(t *testing.T) {
	for class, v := range voices {
		if speaks := v.publication != nil || v.deflated; speaks != (v.ping != nil) || speaks != (v.farewell != nil) {
			t.Errorf("class %d: %+v", class, v)
		}
	}
}
