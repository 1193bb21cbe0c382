// Written by make scoreboard-train; do not edit.

package capacity

// shipped are scores of simulated drills whose systems are not those of the
// scoreboard: their quantiles, by what the prediction rested on.
func shipped(kind string) []float64 {
	return []float64{1}
}
