package loadgen

import (
	"github.com/headroom-project/headroom/loadgen/attack"
	"github.com/headroom-project/headroom/scenarios"
)

// preciseBelow is the latency objective in ms below which the generator's own
// lateness of up to a millisecond would matter.
const preciseBelow = 10.0

// Precise says whether objectives need hits to be sent within microseconds of
// their instants. It costs CPU, so that it is chosen only then.
func Precise(objectives []scenarios.Objective) bool {
	for _, o := range objectives {
		if o.Unit() == scenarios.UnitMillis && o.Value < preciseBelow {
			return true
		}
	}
	return false
}

// AttackConfig is what a scenario says of how a slice is attacked. The caller
// fills in who attacks, and by which clock.
func AttackConfig(s *scenarios.Scenario, slice scenarios.Slice) attack.Config {
	users := 0
	for _, step := range slice.Plan.Steps {
		users = max(users, slice.Users(step))
	}
	connections := s.Target.Connections
	if connections > 0 && slice.Of > 1 {
		// The bound is the whole fleet's.
		share := connections / slice.Of
		if slice.Index < connections%slice.Of {
			share++
		}
		connections = max(share, 1)
	}
	return attack.Config{
		Slice: slice, Connections: connections, Users: users,
		MaxBody: int64(s.Target.MaxBody), Precise: Precise(s.Objectives),
	}
}
