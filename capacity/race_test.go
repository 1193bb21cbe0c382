//go:build race

package capacity_test

// slow is the factor by which fewer drills are simulated under the race detector.
const slow = 20
